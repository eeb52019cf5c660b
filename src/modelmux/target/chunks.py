"""A stream as its target sends it: bytes on the target's wire, decoded only if asked for."""

from collections.abc import AsyncGenerator, AsyncIterator, Callable

from modelmux.errors import TargetError
from modelmux.ir import events as ev
from modelmux.ir.response import Failure
from modelmux.ir.restore import Restore, Restorer
from modelmux.wire.base import Wire


class Chunks:
    """Pieces of a stream on one wire.

    Attributes:
        wire: The wire of the bytes.
        chunks: What is still to be read.
        head: What `first` has read of them: whoever takes the bytes takes these before.
    """

    def __init__(self, wire: Wire, chunks: AsyncIterator[bytes]) -> None:
        self.wire = wire
        self.chunks = chunks
        self.head: list[bytes] = []
        self._decoder = wire.decoder()
        self._early: list[ev.Event] = []  # what `first` has decoded
        self._unfed = b""  # what it has read, and not needed to decode

    async def first(self) -> ev.Event | None:
        """The first event that says something; `None` if the stream ends without any.

        Raises:
            TargetError: The connection failed before that.
        """
        async for chunk in self.chunks:
            self.head.append(chunk)
            start = 0
            while start < len(chunk):
                # Frame by frame: nobody may need the rest decoded.
                end = chunk.find(b"\n\n", start) + 2
                end = end if end >= 2 else len(chunk)
                events = self._decoder.feed(chunk[start:end])
                start = end
                if self._keep(events):
                    self._unfed = chunk[start:]
                    return self._early[0]
        self._keep(self._decoder.finish())
        return self._early[0] if self._early else None

    async def batches(
        self, restore: Restore | None, fail: Callable[[TargetError], Failure]
    ) -> AsyncGenerator[list[ev.Event], None]:
        """The stream's events, as they came together. A failure is the `Fail` event.

        Args:
            restore: What must be undone in the answer.
            fail: Called if the connection fails before the stream has finished, for its words.
        """
        restorer = Restorer(restore) if restore is not None else None
        source = self._decoded(fail)
        try:
            async for decoded in source:
                batch = decoded
                if restorer is not None:
                    batch = [restored for event in decoded for restored in restorer.feed(event)]
                if batch:
                    yield batch
        finally:
            await source.aclose()

    async def _decoded(
        self, fail: Callable[[TargetError], Failure]
    ) -> AsyncGenerator[list[ev.Event], None]:
        decoder = self._decoder
        yield self._early + decoder.feed(self._unfed)
        try:
            async for chunk in self.chunks:
                yield decoder.feed(chunk)
            yield decoder.finish()
        except TargetError as exc:
            # A stream that had said all it must has finished, whatever the connection did then.
            ending = decoder.finish()
            if ending and isinstance(ending[-1], ev.Fail):
                ending[:] = [ev.Fail(fail(exc))]
            yield ending

    def _keep(self, events: list[ev.Event]) -> bool:
        """Keep what says something: a ping before the answer begins commits nobody."""
        self._early += [event for event in events if not isinstance(event, ev.Ping)]
        return bool(self._early)
