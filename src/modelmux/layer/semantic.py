"""Find the answer to a question that was asked before in other words.

Only the caller's last words may differ. Everything else, the conversation before them included, has
to be the same: it is the *frame*, and questions are compared within a frame only.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from modelmux.errors import GatewayError
from modelmux.ir.parts import Text
from modelmux.ir.request import Request
from modelmux.target import kept
from modelmux.target.call import Call

MAX_TEXT_CHARS: Final = 8192
"""Longer questions are not compared: a page that is nearly another page is not the same."""
TIMEOUT_S: Final = 2.0
"""For a vector: what takes longer than that saves nobody time."""


class Embedder(Protocol):
    """Makes vectors of texts."""

    @property
    def name(self) -> str:
        """Vectors of another name cannot be compared with its own."""
        ...

    async def embed(self, text: str, call: Call) -> Sequence[float]:
        """The vector of `text`, made on behalf of `call`. Raises `GatewayError`."""
        ...


class Near(Protocol):
    """A vector that is near, and what it is kept under."""

    @property
    def key(self) -> str: ...

    @property
    def similarity(self) -> float: ...


class Index(Protocol):
    """Vectors in groups."""

    def nearest(self, group: str, vector: Sequence[float]) -> Near | None: ...

    def add(self, group: str, vector: Sequence[float], key: str) -> None: ...


class Question(NamedTuple):
    """What was asked, as it is compared."""

    frame: str
    vector: Sequence[float]


class Semantic:
    """Finds questions that are alike. For one event loop."""

    def __init__(self, embedder: Embedder, index: Index, threshold: float) -> None:
        """Compare what `embedder` makes of texts; alike is what is as near as `threshold`."""
        self._embedder = embedder
        self._index = index
        self._threshold = threshold
        self.errors = 0
        """How often no vector was to be had."""

    def inherit(self, earlier: "Semantic") -> None:
        """Go on with what `earlier` has found, if vectors are made in the same way."""
        if self._embedder.name == earlier._embedder.name:
            self._index = earlier._index

    async def question(self, call: Call, scope: Sequence[str]) -> Question | None:
        """What `call` asks; `None`: it is nothing that can be compared.

        Args:
            call: A call whose request can be decoded.
            scope: What else must be the same, as for `kept.key`.
        """
        request = replace(call.request, model=call.envelope.model)
        text = _last_words(request)
        if not text or len(text) > MAX_TEXT_CHARS:
            return None
        try:
            async with asyncio.timeout(TIMEOUT_S):
                vector = await self._embedder.embed(text, call)
        except (GatewayError, TimeoutError):
            self.errors += 1
            return None
        return Question(kept.key(_without_words(request), ("alike", *scope)), vector)

    def nearest(self, question: Question) -> Near | None:
        """The key of the answer to a question that is alike, and how alike it is."""
        found = self._index.nearest(question.frame, question.vector)
        return found if found is not None and found.similarity >= self._threshold else None

    def add(self, question: Question, key: str) -> None:
        """Remember that `question` is answered under `key`."""
        self._index.add(question.frame, question.vector, key)


def _last_words(request: Request) -> str:
    """The text of the last message, if it is the user's."""
    if not request.messages or request.messages[-1].role != "user":
        return ""
    parts = request.messages[-1].parts
    return "\n".join(part.text for part in parts if isinstance(part, Text)).strip()


def _without_words(request: Request) -> Request:
    *before, last = request.messages
    parts = tuple(part for part in last.parts if not isinstance(part, Text))
    return replace(request, messages=(*before, replace(last, parts=parts)))
