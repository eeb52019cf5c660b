"""In what form a caller gets a stream: as asked, in sentences, at once, or as one JSON body."""

import asyncio
import tomllib
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from importlib.resources import files
from typing import Literal

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from modelmux.ir import events as ev
from modelmux.ir.parts import Text
from modelmux.wire.framing import sse

Mode = Literal["auto", "never", "standard", "buffered", "always"]
Take = Literal["as_asked", "json", "buffered", "at_once"]

SENTENCE_BYTES = 50
"""Buffered text is sent when this much is held, if no sentence ends before."""

_SENTENCE_ENDS = (".", "!", "?", "\n")


class _Client(Struct, forbid_unknown_fields=True):
    name: str
    header: str
    words: list[str]
    take: Take


class _Table(Struct, forbid_unknown_fields=True):
    clients: list[_Client]


def _clients() -> list[_Client]:
    text = files("modelmux.ingress").joinpath("clients.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), _Table).clients


class Streaming:
    """The rules of one configuration."""

    def __init__(self, mode: Mode, buffer_bytes: int, chunk_timeout_s: float) -> None:
        """Take the rules.

        Args:
            mode: `auto` asks the table of clients; the others hold for every client.
            buffer_bytes: Most text that is held back in buffered form.
            chunk_timeout_s: Longest time for which it is.
        """
        self._mode: Mode = mode
        self._clients = _clients()
        self._limit = min(SENTENCE_BYTES, buffer_bytes)
        self._timeout_s = chunk_timeout_s

    def take(self, headers: Mapping[str, str], stream_type: bytes = sse.MEDIA_TYPE) -> Take:
        """The form in which the client that sent `headers` gets a stream it asked for.

        Args:
            headers: By lower-case name.
            stream_type: The content type of such a stream on the client's wire.
        """
        match self._mode:
            case "never":
                return "json"
            case "standard" | "always":
                return "as_asked"
            case "buffered":
                return "buffered"
            case "auto":
                # Clients of other kinds of streams say `application/json`, and mean lines of it.
                return self._detect(headers) if stream_type is sse.MEDIA_TYPE else "as_asked"

    def _detect(self, headers: Mapping[str, str]) -> Take:
        accept = headers.get("accept", "*/*").lower()
        if "text/event-stream" in accept:
            return "as_asked"
        for client in self._clients:
            value = headers.get(client.header)
            if value is not None and any(word in value.lower() for word in client.words):
                return client.take
        return "as_asked" if "*/*" in accept else "json"

    async def buffered(
        self, batches: AsyncGenerator[list[ev.Event]]
    ) -> AsyncGenerator[list[ev.Event]]:
        """Events with their text joined to sentences, held no longer than the configured time."""
        now = asyncio.get_running_loop().time
        joiner = _Joiner(self._limit)
        due: float | None = None  # when what is held must go
        async with aclosing(batches):
            upcoming = asyncio.ensure_future(anext(batches, None))
            try:
                while True:
                    if due is None and joiner.holds:
                        due = now() + self._timeout_s
                    timeout_s = max(0.0, due - now()) if due is not None else None
                    await asyncio.wait((upcoming,), timeout=timeout_s)
                    if not upcoming.done():
                        due = None
                        yield joiner.flush()
                        continue
                    batch = upcoming.result()
                    if batch is None:
                        return
                    if out := joiner.feed(batch):
                        due = None
                        yield out
                    upcoming = asyncio.ensure_future(anext(batches, None))
            finally:
                upcoming.cancel()
                await asyncio.wait((upcoming,))  # a generator that still runs cannot be closed


class _Joiner:
    """Joins deltas of text until a sentence ends, enough is held, or something else comes."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._in_text = False
        self._index = 0
        self._held: list[str] = []
        self._size = 0

    @property
    def holds(self) -> bool:
        return bool(self._held)

    def feed(self, batch: list[ev.Event]) -> list[ev.Event]:
        out: list[ev.Event] = []
        for event in batch:
            if isinstance(event, ev.PartDelta) and self._in_text and event.citation is None:
                self._hold(event)
                if self._size >= self._limit or any(end in event.text for end in _SENTENCE_ENDS):
                    out += self.flush()
                continue
            out += self.flush()
            if isinstance(event, ev.PartStart):
                self._in_text = isinstance(event.part, Text)
            out.append(event)
        return out

    def flush(self) -> list[ev.Event]:
        if not self._held:
            return []
        text, self._held, self._size = "".join(self._held), [], 0
        return [ev.PartDelta(self._index, text)]

    def _hold(self, event: ev.PartDelta) -> None:
        if not event.text:
            return
        self._index = event.index
        self._held.append(event.text)
        self._size += len(event.text.encode())


async def at_once(batches: AsyncGenerator[list[ev.Event]]) -> AsyncGenerator[list[ev.Event]]:
    """Events with the deltas of each part joined to one, sent when the part is complete."""
    held: list[ev.PartDelta] = []
    async with aclosing(batches):
        async for batch in batches:
            out: list[ev.Event] = []
            for event in batch:
                if isinstance(event, ev.PartDelta):
                    held.append(event)
                    continue
                if not isinstance(event, ev.Ping):
                    out += _joined(held)
                    held = []
                out.append(event)
            if out:
                yield out


def _joined(deltas: list[ev.PartDelta]) -> list[ev.Event]:
    """One delta of text for all of `deltas`, and those that carry something else after it."""
    text = "".join([delta.text for delta in deltas])
    out: list[ev.Event] = [ev.PartDelta(deltas[0].index, text)] if text else []
    rest = [replace(delta, text="") for delta in deltas if delta.signature or delta.citation]
    return [*out, *rest]


HOW_TO_STREAM = "send `accept: text/event-stream` to get it piece by piece"
"""Goes into the answer's header where the rules changed what the body asked for."""
