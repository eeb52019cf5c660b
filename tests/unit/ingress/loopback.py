"""Both sides of an ingress's test: an ASGI server by hand, and uvicorn with a client on raw bytes.

`Asgi` plays one request of an ASGI server that knows nothing of ours. `serving` has an application
served by uvicorn and our `Protocol` on the test's own loop; `Peer` is a client of it.
"""

import asyncio
import contextlib
import re
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import uvicorn
from uvicorn.server import ServerState

from modelmux.ingress.asgi import Adapter, Lifespan, Message, Scope
from modelmux.ingress.fast import FastProtocol
from modelmux.ingress.http import Answer, HttpRequest
from modelmux.ingress.protocol import Protocol

MAX_BODY_BYTES = 100


async def nothing() -> None:
    """Neither start nor stop anything."""


class Handling:
    """A handler round `door`, which takes every request for fast that can be."""

    def __init__(self, door: Callable[[HttpRequest], Awaitable[Answer]]) -> None:
        self._door = door
        self.broken: list[Exception] = []

    async def __call__(self, request: HttpRequest) -> Answer:
        if request.fault is not None:
            path = (b"x-path", request.path.encode())
            return Answer(413, [path], str(request.fault).encode())
        return await self._door(request)

    def broke(self, _request: HttpRequest, exc: Exception) -> None:
        self.broken.append(exc)

    def takes_upload(self, path: str) -> bool:
        return path.startswith("/upload")

    def is_fast(self, method: bytes, path: bytes) -> bool:
        return method != b"HEAD" and re.fullmatch(rb"/[\w./-]*", path) is not None


def adapter(
    door: Callable[[HttpRequest], Awaitable[Answer]], *, max_body_bytes: int = MAX_BODY_BYTES
) -> Adapter:
    """`door` as an application, whose clock always says 7."""
    lifespan = Lifespan(nothing, nothing)
    return Adapter(Handling(door), max_body_bytes, lambda: 7.0, lifespan)


def scope(
    method: str = "GET",
    path: str = "/",
    query: bytes = b"",
    headers: Sequence[tuple[bytes, bytes]] = (),
    **more: object,
) -> Scope:
    """The scope of a request, as a server makes it that knows no `GONE`."""
    return {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query,
        "headers": list(headers),
        "client": ("127.0.0.1", 4711),
        **more,
    }


class Asgi:
    """One request's `receive` and `send`.

    What `incoming` has is received in that order; after it, the client is there until `leave`.
    """

    def __init__(self, *incoming: Message, fails: Exception | None = None) -> None:
        self.sent: list[Message] = []
        self.received = 0
        self._incoming = list(incoming) or [{"type": "http.request", "body": b""}]
        self._fails = fails
        self._left = asyncio.Event()

    def leave(self) -> None:
        """The client closes."""
        self._left.set()

    async def receive(self) -> Message:
        if self.received < len(self._incoming):
            self.received += 1
            return self._incoming[self.received - 1]
        if self._fails is not None:
            raise self._fails
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        status: int = self.sent[0]["status"]
        return status

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def is_complete(self) -> bool:
        """The answer was sent to its end."""
        return bool(self.sent) and not self.sent[-1].get("more_body", False)


@dataclass(frozen=True)
class Got:
    """An answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes


class Peer:
    """A client's side of a connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def head(self) -> Got:
        """The head of an answer."""
        lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        fields = dict(line.split(": ", 1) for line in lines[1:-2])
        return Got(int(lines[0].split()[1]), fields, b"")

    async def chunk(self) -> bytes:
        """One chunk of a chunked body; empty at its end."""
        size = int(await self._reader.readline(), 16)
        data = await self._reader.readexactly(size + 2)
        return data[:-2]

    async def answer(self, *, bodiless: bool = False) -> Got:
        """A whole answer."""
        got = await self.head()
        body = b""
        if not bodiless and got.headers.get("transfer-encoding") == "chunked":
            while piece := await self.chunk():
                body += piece
        elif not bodiless:
            body = await self._reader.readexactly(int(got.headers["content-length"]))
        return Got(got.status, got.headers, body)

    async def at_end(self) -> bool:
        """Wait for the server to send more, or to close."""
        return await self._reader.read(1) == b""

    async def rest(self) -> bytes:
        """All that comes until the server closes."""
        return await self._reader.read()

    async def leave(self, *, rudely: bool = False) -> None:
        """Close; `rudely`, as when a process is killed."""
        if rudely:
            line: socket.socket = self._writer.get_extra_info("socket")
            line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()
        self._writer.close()
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


class Served:
    """A running server."""

    def __init__(self, port: int, state: ServerState) -> None:
        self.port = port
        self.state = state
        self._peers: list[Peer] = []

    async def connect(self) -> Peer:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        peer = Peer(reader, writer)
        self._peers.append(peer)
        return peer

    async def ask(self, request: bytes, *, bodiless: bool = False) -> Got:
        """The answer to one request on a connection of its own."""
        peer = await self.connect()
        await peer.write(request)
        return await peer.answer(bodiless=bodiless)

    async def aclose(self) -> None:
        for peer in self._peers:
            await peer.leave()
        while tasks := [*self.state.tasks]:
            await asyncio.wait(tasks)
        for connection in [*self.state.connections]:
            connection.transport.close()


def protocol_of(app: Adapter, state: ServerState | None = None, *, fast: bool = False) -> Protocol:
    """The protocol of one connection to `app`."""
    kind = FastProtocol if fast else Protocol
    config = uvicorn.Config(app, http=kind, ws="none", lifespan="off", log_config=None)
    config.load()
    return kind(config=config, server_state=state or ServerState(), app_state={})


@asynccontextmanager
async def serving(app: Adapter, *, fast: bool = False) -> AsyncGenerator[Served]:
    """`app` served by uvicorn with our `Protocol`; at the end, every request must end by itself."""
    state = ServerState()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: protocol_of(app, state, fast=fast), "127.0.0.1", 0)
    served = Served(server.sockets[0].getsockname()[1], state)
    try:
        yield served
    finally:
        await served.aclose()
        server.close()
        await server.wait_closed()
