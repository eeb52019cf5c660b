"""One answer read by several callers, as it comes, and kept when it is whole.

The bytes of a stream are held until it ends, so that who comes late reads it from its beginning.
Nobody owns the reading: whoever needs more than there is reads on for all. So a caller that leaves
takes nothing from the others, and the last one to leave ends it. A stream that is too long to be
held has no room for newcomers; what all have read of it is forgotten, and nobody runs far ahead.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Final

from msgspec.structs import replace

from modelmux.errors import TargetError
from modelmux.ir.events import Event, PartDelta, fold
from modelmux.ir.response import Response
from modelmux.ir.restore import restore_response
from modelmux.target.chunks import Chunks
from modelmux.target.reply import Events, Reply, Source, Whole

MAX_HELD_BYTES: Final = 4 * 1024 * 1024
"""Longest answer that is held for others: a million tokens of text."""

_MASK: Final = "…".encode()


class Sharing:
    """A reply, and those who read it. For one event loop.

    Attributes:
        reply: What is read. It is closed when its last reader is.
        is_open: Others may join.
    """

    def __init__(self, reply: Reply, ended: Callable[["Sharing", Response | None], None]) -> None:
        """Share `reply`, which nobody else may read from now on.

        Args:
            reply: The answer.
            ended: Called once, with the answer when it is whole and was held, or with nothing
                when that will never be.
        """
        self.reply = reply
        self.is_open = True
        self._ended: Callable[[Sharing, Response | None], None] | None = ended
        self._source: Source = reply._source
        self._stream: _Stream | None = None
        if isinstance(self._source, Chunks):
            self._stream = _Stream(self._source, self._give_up)
        elif isinstance(self._source, Events):
            self.is_open = False  # they are made for one
        self._events: list[Event] = []
        self._readers: list[Reply] = []

    def reader(self) -> Reply:
        """The answer from its beginning, for one more caller. It must be open, or this the first.

        The first reader's answer is the one that was asked for and is paid; those of the others
        are `saved`. If the first leaves early, another one pays.
        """
        original = self.reply
        source = self._source
        if self._stream is not None:
            source = Chunks(self._stream.wire, self._stream.pieces_for())
        elif isinstance(source, Events):
            source = Events(self._noted(source.events))
        made = Reply(
            source, target=original.target, losses=original.losses, restore=original._restore
        )
        made._renamed = original._renamed
        made.answered_at_s = original.answered_at_s
        made.headers = original.headers
        made.upstream_id = original.upstream_id
        made.credential = original.credential
        made.summary = original.summary
        made.saved = bool(self._readers)
        made.attempts = 0 if made.saved else original.attempts
        self._readers.append(made)
        made._aclose = _Close(self, made)
        return made

    async def leave(self, reader: Reply) -> None:
        """For a reader that is closed, at its end or before."""
        original = self.reply
        self._readers.remove(reader)
        if self._stream is not None and isinstance(reader._source, Chunks):
            self._stream.forget(reader._source.chunks)
        if reader.complete and reader.summary.failure is None:
            original.summary, original.complete = reader.summary, True
            self._keep(reader)
        elif not original.complete:
            original.summary = reader.summary  # usage as far as it is known, or why it broke
            if self._readers and not reader.saved:
                # Who was to pay has left before the end: the next one does.
                heir = self._readers[0]
                heir.saved, heir.attempts = False, original.attempts
        if not self._readers:
            self.is_open = False
            self._end(None)
            await original.aclose()

    def _give_up(self) -> None:
        """It has become too long."""
        self.is_open = False
        self._end(None)

    def _end(self, response: Response | None) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(self, response)

    def _keep(self, reader: Reply) -> None:
        if self._ended is None:
            return
        source = reader._source
        try:
            if isinstance(source, Response):  # the reader has decoded it
                self._end(source)
            elif isinstance(self._source, Whole):
                self._end(None if self._source.opaque else self._decoded(self._source))
            elif self._stream is not None and self._stream.is_whole:
                self._end(self._folded(self._stream))
            elif self._events:
                self._end(fold(self._events))
        except TargetError:
            self._end(None)

    async def _noted(self, events: AsyncIterator[Event]) -> AsyncGenerator[Event]:
        size = 0
        async for event in events:
            size += len(event.text) if isinstance(event, PartDelta) else 0
            if size <= MAX_HELD_BYTES:
                self._events.append(event)
            else:
                self._events.clear()
            yield event

    def _decoded(self, source: Whole) -> Response:
        return self._finished(source.wire.decode_response(source.body))

    def _folded(self, stream: "_Stream") -> Response:
        data = stream.held()
        if self.reply.credential:
            data = data.replace(self.reply.credential, _MASK)
        decoder = stream.wire.decoder()
        return self._finished(fold([*decoder.feed(data), *decoder.finish()]))

    def _finished(self, response: Response) -> Response:
        if self.reply._restore is not None:
            response = restore_response(response, self.reply._restore)
        if not response.created_at_s:
            response = replace(response, created_at_s=self.reply.answered_at_s)
        return response


class _Close:
    """What closes a reader."""

    __slots__ = ("_reader", "_sharing")

    def __init__(self, sharing: Sharing, reader: Reply) -> None:
        self._sharing = sharing
        self._reader = reader

    async def __call__(self) -> None:
        await self._sharing.leave(self._reader)


class _Stream:
    """A stream's bytes, as far as they have come."""

    def __init__(self, source: Chunks, too_long: Callable[[], None]) -> None:
        self.wire = source.wire
        self.pieces = source.head.copy()
        self.start = 0  # the number of the first piece that is held
        self.is_whole = True
        """All of it is held, from the beginning."""
        self.is_done = False
        self._chunks = source.chunks
        self._too_long = too_long
        self._size = sum(map(len, self.pieces))
        self._error: TargetError | None = None
        self._is_reading = False
        self._waiting: list[asyncio.Future[None]] = []
        self._readers: list[_Pieces] = []

    def pieces_for(self) -> "_Pieces":
        made = _Pieces(self, self.start)
        self._readers.append(made)
        return made

    def forget(self, reader: object) -> None:
        if isinstance(reader, _Pieces) and reader in self._readers:
            self._readers.remove(reader)
            self._trim()
            self._wake()

    def held(self) -> bytes:
        return b"".join(self.pieces)

    async def more(self, reader: "_Pieces") -> None:
        """Wait until there is more than `reader` has read. Raises as reading the source does."""
        if self._error is not None:
            raise self._error
        if self.is_done:
            raise StopAsyncIteration
        if self._is_reading or self._is_far_ahead(reader):
            waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(waiting)
            try:
                await waiting
            finally:
                if waiting in self._waiting:
                    self._waiting.remove(waiting)
            return
        self._is_reading = True
        try:
            piece = await anext(self._chunks)
        except StopAsyncIteration:
            self.is_done = True
        except TargetError as exc:
            self._error = exc
        else:
            self._add(piece)
        finally:
            # Also when the reader has left meanwhile: the next one reads on.
            self._is_reading = False
            self._wake()

    def _add(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self._size += len(piece)
        if self.is_whole and self._size > MAX_HELD_BYTES:
            self.is_whole = False
            self._too_long()
        if not self.is_whole:
            self._trim()

    def advanced(self) -> None:
        """A reader has read on."""
        if not self.is_whole:
            self._trim()
            self._wake()

    def _trim(self) -> None:
        if self.is_whole or not self._readers:
            return
        behind = min(reader.position for reader in self._readers) - self.start
        if behind > 0:
            self._size -= sum(map(len, self.pieces[:behind]))
            del self.pieces[:behind]
            self.start += behind

    def _is_far_ahead(self, reader: "_Pieces") -> bool:
        """Whether so much is held for others that `reader` has to wait for them."""
        return (
            not self.is_whole
            and self._size > MAX_HELD_BYTES
            and any(other.position < reader.position for other in self._readers)
        )

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            if not future.done():
                future.set_result(None)


class _Pieces:
    """A stream's bytes for one reader."""

    __slots__ = ("_stream", "position")

    def __init__(self, stream: _Stream, position: int) -> None:
        self._stream = stream
        self.position = position

    def __aiter__(self) -> "_Pieces":
        return self

    async def __anext__(self) -> bytes:
        stream = self._stream
        while self.position - stream.start >= len(stream.pieces):
            await stream.more(self)
        piece = stream.pieces[self.position - stream.start]
        self.position += 1
        stream.advanced()
        return piece
