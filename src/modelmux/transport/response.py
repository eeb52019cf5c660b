"""One response and the bytes of its body that came and were not read yet."""

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol

from modelmux.errors import GatewayError, Interrupted, ProtocolViolation
from modelmux.transport.head import NO_FIELDS, Head


class Source(Protocol):
    """The connection that a response comes from, until its last byte has come."""

    def resume(self) -> None:
        """Read on: what was unread has been taken."""
        ...

    def abandon(self, response: "Response", error: GatewayError) -> None:
        """Close the connection, if it still works for this response, which fails thus."""
        ...


class Response:
    """What `HttpResponse` promises, filled in by the connection.

    It is an object of its own, and the connection's state is not: by the time the task that
    waits for a response runs, its connection may already be busy with the next one.
    """

    __slots__ = (
        "_loop",
        "_source",
        "chunks",
        "error",
        "headers",
        "is_complete",
        "is_encoded",
        "is_paused",
        "is_read_whole",
        "is_stale",
        "status",
        "unread_bytes",
        "waiter",
    )

    def __init__(self, source: Source, loop: asyncio.AbstractEventLoop) -> None:
        self.status = 0
        self.headers: Head = NO_FIELDS
        self.chunks: list[bytes] = []
        self.unread_bytes = 0
        """Bytes of the connection that made up `chunks`, framing included."""
        self.is_complete = False
        """The last byte has come. The connection is somebody else's."""
        self.is_encoded = False
        """There is a `content-encoding`."""
        self.is_paused = False
        """The connection reads no more until `chunks` are taken."""
        self.is_stale = False
        """A reused connection turned out to be closed: the request may be repeated."""
        self.is_read_whole = False
        """Nobody needs a part: wake the reader at the end, or when no more is read."""
        self.error: GatewayError | None = None
        self.waiter: asyncio.Future[None] = loop.create_future()
        self._loop = loop
        self._source = source

    def wake(self) -> None:
        """Let the task that waits for more look again."""
        waiter = self.waiter
        if not waiter.done():
            waiter.set_result(None)

    def header(self, name: bytes) -> bytes | None:
        """The first field of that name (lower case)."""
        return self.headers.first(name)

    async def read(self, max_bytes: int) -> bytes:
        """The rest of the body. Raises as `HttpResponse.read` does."""
        parts: list[bytes] = []
        size = 0
        while True:
            if self.error is not None:
                raise self.error
            if self.chunks:
                part = self._take()
                size += len(part)
                if size > max_bytes:
                    text = f"the response's body is longer than {max_bytes} bytes"
                    error = ProtocolViolation(text)
                    self.refuse(error)
                    raise error
                parts.append(part)
            if self.is_complete:
                return parts[0] if len(parts) == 1 else b"".join(parts)
            self.is_read_whole = True
            self.waiter = self._loop.create_future()
            await self.waiter

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """All that came since the last time; the error, if there is one, after the bytes."""
        while not self.chunks:
            if self.error is not None:
                raise self.error
            if self.is_complete:
                raise StopAsyncIteration
            self.is_read_whole = False
            self.waiter = self._loop.create_future()
            await self.waiter
        return self._take()

    async def aclose(self) -> None:
        """Give up what is left of the body; reading on raises `Interrupted`."""
        if self.error is None and (self.chunks or not self.is_complete):
            self.refuse(Interrupted("the response was closed before its body was read"))

    def refuse(self, error: GatewayError) -> None:
        """Give up what is left of the body; reading on raises `error`."""
        self._source.abandon(self, error)
        self.error = error
        self.chunks = []

    def _take(self) -> bytes:
        chunks = self.chunks
        taken = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self.chunks = []
        self.unread_bytes = 0
        if self.is_paused:
            self._source.resume()
        return taken
