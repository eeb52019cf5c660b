"""The other side of a transport's test: servers that say what the test says, on the test's loop.

`play` runs a test's coroutine and fails it if anything went wrong behind its back. `Server` hands
out its side of every connection, a `Line`. `ClockLoop` has a clock that only the test moves.
`Wire` is a transport without a network, for tests of a connection alone.
"""

import asyncio
import itertools
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import uvloop

from modelmux.transport.base import HttpResponse, Timeouts
from modelmux.transport.connection import Connection
from modelmux.transport.http import OriginClient
from modelmux.transport.origin import parse

T = TypeVar("T")

LOOPS = {"uvloop": uvloop.new_event_loop, "asyncio": asyncio.new_event_loop}
TIMEOUTS = Timeouts()
POST = b"POST /v1 HTTP/1.1\r\nhost: test\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
WAIT_S = 30.0
"""Only a failing test waits so long."""


def play(scene: Callable[[], Awaitable[T]], loop: Callable[[], asyncio.AbstractEventLoop]) -> T:
    """Run a test's coroutine to its end; nothing may fail beside it."""
    complaints: list[dict[str, Any]] = []

    def complain(_: asyncio.AbstractEventLoop, said: dict[str, Any]) -> None:
        # A handshake that a client ends is an error to the server, which is not under test.
        if "incoming connection" not in said["message"]:
            complaints.append(said)

    async def watched() -> T:
        asyncio.get_running_loop().set_exception_handler(complain)
        async with asyncio.timeout(None if loop is ClockLoop else WAIT_S):
            return await scene()

    with asyncio.Runner(loop_factory=loop) as runner:
        result = runner.run(watched())
    assert not complaints, complaints
    return result


class ClockLoop(asyncio.SelectorEventLoop):
    """A loop whose time stands still until `pass_time`."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__()

    def time(self) -> float:
        return self.now


async def pass_time(seconds: float) -> None:
    """Move the clock of a `ClockLoop`, and let what is due happen."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, ClockLoop)
    await settle()
    loop.now += seconds
    await settle()


async def settle() -> None:
    """Let everything happen that can without waiting."""
    for _ in range(20):
        await asyncio.sleep(0)


async def until(is_so: Callable[[], object]) -> None:
    """Let others run until something is so; `play` ends what never will be."""
    for _ in itertools.count():
        if is_so():
            return
        await asyncio.sleep(0)


def begin(coroutine: Awaitable[T]) -> "asyncio.Future[T]":
    """Let a coroutine run beside the test, which awaits or cancels it."""
    return asyncio.ensure_future(coroutine)


class Line:
    """The server's side of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """One request, with a body of its `content-length`."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        _, found, after = head.partition(b"content-length: ")
        body_bytes = int(after.partition(b"\r\n")[0]) if found else 0
        return head + await self.reader.readexactly(body_bytes)

    def write(self, data: bytes) -> None:
        self.writer.write(data)

    async def answer(self, data: bytes = OK) -> bytes:
        """Take a request, then write."""
        request = await self.request()
        self.write(data)
        return request

    def close(self) -> None:
        """End the connection in order."""
        self.writer.close()

    def reset(self) -> None:
        """Cut the connection, as when a process is killed."""
        line = self.writer.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    async def gone(self) -> bytes:
        """Wait for the client to close; what it wrote before."""
        try:
            return await self.reader.read()
        except ConnectionError:
            return b""


class Server:
    """Connections as they are accepted."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.lines: list[Line] = []
        self._accepted: asyncio.Queue[Line] = asyncio.Queue()

    async def accept(self) -> Line:
        """The next connection."""
        return await self._accepted.get()

    async def on_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        line = Line(reader, writer)
        self.lines.append(line)
        self._accepted.put_nowait(line)


@asynccontextmanager
async def answering(server: Server) -> AsyncIterator[None]:
    """Meanwhile, every request on every connection is answered with its own body."""

    async def answer_all(line: Line) -> None:
        try:
            while True:
                body = (await line.request()).partition(b"\r\n\r\n")[2]
                line.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        except (asyncio.IncompleteReadError, ConnectionError):
            line.close()

    async def accept_all() -> None:
        async with asyncio.TaskGroup() as lines:
            while True:
                lines.create_task(answer_all(await server.accept()))

    accepting = begin(accept_all())
    yield
    accepting.cancel()


@asynccontextmanager
async def serving(
    *, tls: ssl.SSLContext | None = None, unix_path: str = ""
) -> AsyncIterator[Server]:
    """A server on a free port of 127.0.0.1, or on a unix socket (`@` for an abstract one)."""
    server = Server("")
    if unix_path:
        line = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        line.bind(f"\0{unix_path[1:]}" if unix_path.startswith("@") else unix_path)
        listener = await asyncio.start_unix_server(server.on_connection, sock=line)
        server.url = f"unix:{unix_path}"
    else:
        listener = await asyncio.start_server(server.on_connection, "127.0.0.1", 0, ssl=tls)
        port = listener.sockets[0].getsockname()[1]
        server.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield server
    finally:
        listener.close()
        for line_ in server.lines:
            line_.writer.transport.abort()
        await listener.wait_closed()
        await settle()


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[OriginClient]:
    """A client of a server, closed at the end."""
    client = OriginClient(parse(url), **options)
    try:
        yield client
    finally:
        await client.aclose()


async def exchange(client: OriginClient, line: Line, answer: bytes = OK) -> HttpResponse:
    """One exchange over a connection that is known already."""
    sending = begin(client.send(POST, b"{}", TIMEOUTS))
    await line.answer(answer)
    return await sending


class Wire(asyncio.Transport):
    """A transport that keeps what is written and does what the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.is_reading_paused = False
        self.is_aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def pause_reading(self) -> None:
        assert not self.is_reading_paused
        self.is_reading_paused = True

    def resume_reading(self) -> None:
        assert self.is_reading_paused
        self.is_reading_paused = False

    def abort(self) -> None:
        self.is_aborted = True

    def is_closing(self) -> bool:
        return self.is_aborted


class Owner:
    """Notes what a connection tells its owner."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def released(self, connection: Connection) -> None:
        self.calls.append("released")

    def closed(self, connection: Connection) -> None:
        self.calls.append("closed")

    def lost(self, connection: Connection) -> None:
        self.calls.append("lost")


class StillLoop:
    """As much of a loop as a connection needs; its clock is the test's."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._loop = asyncio.new_event_loop()
        self._loop.close()

    def time(self) -> float:
        return self.now

    def create_future(self) -> "asyncio.Future[None]":
        return self._loop.create_future()
