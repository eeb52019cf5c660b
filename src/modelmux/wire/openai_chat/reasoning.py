"""Reasoning on a wire that has no official word for it.

OpenAI's own models keep their thinking to themselves. Servers that speak its wire show it as
`reasoning_content` (DeepSeek, Qwen, SGLang), as `reasoning` (vLLM, Groq), as both with opaque
`reasoning_details` (OpenRouter), or in `<think>` tags before the answer. All decode to
`Reasoning`. Which name a message used is remembered in the part's `extra`, so that it goes back
under the same name.

In answers that come from another wire, the text goes out as `reasoning_content`. What that wire
wants back, a signature or encrypted thinking, goes out beside it, in OpenRouter's shape:

```json
"reasoning_details": [
  {"type": "reasoning.text", "text": "…", "signature": "…", "format": "modelmux/NAME"},
  {"type": "reasoning.encrypted", "data": "…", "format": "modelmux/NAME"}
]
```

NAME is that of the wire it is from, such as `anthropic.messages`, behind a prefix that nobody else
uses. A client that sends the message back unchanged, as chat clients do with fields they do not
know, so returns the signature with it; it is decoded to a `Reasoning` with that `origin`, and only
the wire of that name will replay it. Details of any other format are opaque and stay on this wire.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.parts import Extra, Reasoning
from modelmux.wire import extra
from modelmux.wire.openai.values import NULL
from modelmux.wire.openai_chat.schema import NAME

FORMAT = "modelmux/"
"""What the format of our own details begins with; the origin's name follows."""

CONTENT = "/reasoning_content"
SHORT = "/reasoning"
DETAILS = "/reasoning_details"

SAID_SHORT = Extra(NAME, {SHORT: NULL})
"""Marks reasoning that came as `reasoning`; the name counts, the value is not written."""

_OPEN = "<think>"
_CLOSE = "</think>"
_LONGEST_LEAD = 64
"""Most characters of white space before a tag that still stands at the start."""
_LONGEST_EDGE = 1024
"""Most characters of white space before the closing tag that go with it."""


class Detail(Struct):
    """One of `reasoning_details`.

    https://openrouter.ai/docs/guides/best-practices/reasoning-tokens, read 2026-11-20.
    """

    type: str = ""
    text: str | None = None
    summary: str | None = None
    signature: str | None = None
    data: str | None = None
    format: str | None = None


_NOTHING: Mapping[str, Raw] = {}

_detail = msgspec.json.Decoder(Detail)


def decode(
    content: str | None, short: str | None, details: Sequence[Raw] | None, at: str = ""
) -> list[Reasoning]:
    """The reasoning of one message, from the fields of it that may hold some."""
    kept: dict[str, Raw] = {}
    if details:
        read = read_details(details)
        own = [part for part in map(from_detail, read) if part is not None]
        if len(own) == len(read):
            return own
        text = content or short or "".join([d.text or d.summary or "" for d in read])
        kept[DETAILS] = Raw(msgspec.json.encode(details))
    elif content is None and short is None:
        return []
    else:
        text = content if content is not None else short or ""
    if short is not None:
        kept[SHORT] = NULL
    if kept and content is not None:
        kept[CONTENT] = NULL
    return [Reasoning(text, origin=NAME, extra=Extra(NAME, kept, at) if kept else None)]


def read_details(details: Iterable[Raw]) -> list[Detail]:
    """What is understood of each; details that are not objects are empty."""
    out: list[Detail] = []
    for raw in details:
        try:
            out.append(_detail.decode(raw))
        except extra.MALFORMED:
            out.append(Detail())
    return out


def from_detail(detail: Detail) -> Reasoning | None:
    """The reasoning in a detail that a gateway of our kind wrote; `None` for any other."""
    if detail.format is None or not detail.format.startswith(FORMAT):
        return None
    origin = detail.format[len(FORMAT) :]
    if detail.type == "reasoning.encrypted":
        return Reasoning(encrypted=detail.data, origin=origin)
    return Reasoning(detail.text or "", detail.signature, origin=origin)


def to_detail(part: Reasoning) -> dict[str, object] | None:
    """The detail that keeps what `part.origin` wants back; `None` where that is nothing."""
    form = FORMAT + part.origin
    if part.encrypted is not None:
        return {"type": "reasoning.encrypted", "data": part.encrypted, "format": form}
    if part.signature is None:
        return None
    detail = {"type": "reasoning.text", "text": part.text, "signature": part.signature}
    return {**detail, "format": form}


def encode(parts: Sequence[Reasoning], message: dict[str, object]) -> None:
    """Write the reasoning of a message into it, each part under the name it came with."""
    content: list[str] = []
    short: list[str] = []
    details: list[object] = []
    unread: Raw | None = None  # details as they came, in a format that is not ours
    for part in parts:
        fields = (
            part.extra.fields if part.extra is not None and part.extra.wire == NAME else _NOTHING
        )
        unread = fields.get(DETAILS, unread)
        if part.text or part.origin == NAME:  # where it is empty, DeepSeek's still counts
            if SHORT in fields:
                short.append(part.text)
            if CONTENT in fields or not (SHORT in fields or DETAILS in fields):
                content.append(part.text)
        detail = to_detail(part)
        if detail is not None:
            details.append(detail)
    if content:
        message["reasoning_content"] = "".join(content)
    if short:
        message["reasoning"] = "".join(short)
    if details or unread is not None:
        message["reasoning_details"] = details or unread


Kind = Literal["reasoning", "text"]


class Tags:
    """Tells thinking in `<think>` tags from the answer after it, in a text that comes in pieces.

    A tag counts only at the very start: anywhere else it is the model's own writing, in code for
    example. White space at the tags' inner and outer edge goes with them.
    """

    def __init__(self) -> None:
        self._held = ""
        self._state: Literal["start", "inside", "edge", "text"] = "start"
        self._thought = False  # some thinking has come: before that, white space is the tag's

    @property
    def settled(self) -> bool:
        """Whether all that follows is text, so that nobody needs to ask any more."""
        return self._state == "text"

    def feed(self, text: str) -> list[tuple[Kind, str]]:
        """What is certain so far, in order; no piece is empty."""
        self._held += text
        out: list[tuple[Kind, str]] = []
        if self._state == "start":
            self._begin()
        if self._state == "inside":
            self._inside(out)
        if self._state == "edge":
            self._held = self._held.lstrip()
            if self._held:
                self._state = "text"
        if self._state == "text" and self._held:
            out.append(("text", self._held))
            self._held = ""
        return out

    def finish(self) -> list[tuple[Kind, str]]:
        """What was held back. Thinking that was never closed is thinking still."""
        rest, self._held = self._held, ""
        if self._state == "inside":
            rest = rest.rstrip()
        if not rest:
            return []
        return [("reasoning" if self._state == "inside" else "text", rest)]

    def _begin(self) -> None:
        start = self._held.lstrip()
        if len(self._held) - len(start) > _LONGEST_LEAD:
            self._state = "text"
        elif start.startswith(_OPEN):
            self._state = "inside"
            self._held = start[len(_OPEN) :]
        elif not _OPEN.startswith(start):
            self._state = "text"

    def _inside(self, out: list[tuple[Kind, str]]) -> None:
        thought, closed, rest = self._held.partition(_CLOSE)
        if closed:
            self._state, self._held = "edge", rest
            thought = thought[: _edge(thought)]
        else:
            length = _certain(thought)
            thought, self._held = thought[:length], thought[length:]
        if not self._thought:
            thought = thought.lstrip()
        if thought:
            self._thought = True
            out.append(("reasoning", thought))


def _certain(thought: str) -> int:
    """How much of `thought` belongs to it whatever follows: not what may begin the closing tag."""
    for length in range(len(_CLOSE) - 1, 0, -1):
        if thought.endswith(_CLOSE[:length]):
            thought = thought[:-length]
            break
    return _edge(thought)


def _edge(thought: str) -> int:
    """Where the white space at the end of `thought` begins, of which not all may be the tag's."""
    return max(len(thought.rstrip()), len(thought) - _LONGEST_EDGE)
