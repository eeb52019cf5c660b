"""A scripted HTTP/1.1 server: the test says which bytes are answered, and when.

    with Upstream(lambda request: [http1.answer(200, {"ok": True})]) as upstream:
        ...                                   # whatever is tested talks to upstream.base_url
    assert upstream.requests[0].body == b"..."

A *script* is called with each request and gives the parts of its answer, as a list or as a
generator: raw bytes, a `Gate` that holds the rest back until the test opens it, or one of `Do`. So
a test waits for what happens and not for time to pass. The server has a thread and a loop of its
own; the test may block, or run a loop itself.

A peer that closes, or only stops sending, is gone: its script ends where it stands and
`Request.abandoned` is set.
"""

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Future
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from tests.support.http1 import Parser, Request

T = TypeVar("T")

WAIT_S = 10.0
"""Longest wait for what should happen at once; only a failing test ever waits so long."""


class Do(Enum):
    """What a script can do beside sending bytes."""

    CLOSE = "close"
    """End the connection in order: what was written is delivered, then FIN."""
    RESET = "reset"
    """Cut the connection at once: RST, as when a process is killed."""
    WAIT_FOR_CLOSE = "wait for close"
    """Stay until the peer closes."""


class Gate:
    """Holds scripts back where they stand until the test calls `open`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reached = threading.Event()
        self._is_open = False
        self._held: list[Future[None]] = []

    def open(self) -> None:
        """Let scripts go on, now or when they get here."""
        with self._lock:
            self._is_open = True
            held, self._held = self._held, []
        for future in held:
            # False where the script has been given up meanwhile.
            if future.set_running_or_notify_cancel():
                future.set_result(None)

    def wait_until_reached(self) -> None:
        """Block until a script stands here: what comes before it has been written."""
        assert self._reached.wait(WAIT_S), f"no script has reached the gate in {WAIT_S:.0f} s"

    def arrive(self) -> Future[None]:
        """For the server: say that a script is here; done once it may go on."""
        future: Future[None] = Future()
        with self._lock:
            if self._is_open:
                future.set_result(None)
            else:
                self._held.append(future)
        self._reached.set()
        return future


Part = bytes | Gate | Do
Script = Callable[[Request], Iterable[Part]]


class _Over(Exception):
    """The connection is over: by the script, by an error in it, or because the test has ended."""


class _PeerClosed(_Over):
    """The connection is over because the peer has gone."""


class Upstream:
    """The server: a context manager, used once.

    Args:
        script: Called on the server's thread, once for each request.
        unix_path: Listen there, and not on a free port of 127.0.0.1.
        tls: Speak TLS.

    Leaving the context ends every connection, then raises what a script raised.
    """

    def __init__(
        self, script: Script, *, unix_path: Path | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.requests: list[Request] = []
        """Every request that arrived whole, in that order."""
        self.connections = 0
        """How many connections were ever accepted."""
        self._script = script
        self._unix_path = unix_path
        self._tls = tls
        self._port = 0
        self._changed = threading.Condition()
        self._started: Future[None] = Future()
        self._ending: Future[None] = Future()
        self._failures: list[BaseException] = []
        self._open: set[_Connection] = set()
        self._thread = threading.Thread(target=self._run, name="upstream")

    @property
    def port(self) -> int:
        """The TCP port."""
        return self._port

    @property
    def base_url(self) -> str:
        """`http://127.0.0.1:PORT` or `unix:PATH`, with no path behind it."""
        if self._unix_path is not None:
            return f"unix:{self._unix_path}"
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    def wait_for_requests(self, count: int) -> list[Request]:
        """Block until so many requests have arrived whole; all of them."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: len(self.requests) >= count, WAIT_S)
        assert arrived, f"expected {count} requests, got {len(self.requests)} in {WAIT_S:.0f} s"
        return list(self.requests)

    def wait_for_connections(self, count: int) -> None:
        """Block until so many connections have been accepted."""
        with self._changed:
            arrived = self._changed.wait_for(lambda: self.connections >= count, WAIT_S)
        assert arrived, f"expected {count} connections, got {self.connections} in {WAIT_S:.0f} s"

    def __enter__(self) -> Self:
        self._thread.start()
        self._started.result(WAIT_S)
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ending.set_result(None)
        self._thread.join(WAIT_S)
        assert not self._thread.is_alive(), "the upstream's thread did not end"
        if self._failures and exc is None:
            raise self._failures[0]

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except OSError as error:
            self._started.set_exception(error)

    async def _serve(self) -> None:
        if self._unix_path is not None:
            server = await asyncio.start_unix_server(self._accept, self._unix_path, ssl=self._tls)
        else:
            server = await asyncio.start_server(
                self._accept, "127.0.0.1", 0, ssl=self._tls, backlog=4096
            )
            self._port = server.sockets[0].getsockname()[1]
        self._started.set_result(None)
        await asyncio.wrap_future(self._ending)
        # CPython loses a connection that is half accepted when its server closes, so: accept no
        # more, wait until no task is left, then close.
        loop = asyncio.get_running_loop()
        for listener in server.sockets:
            loop.remove_reader(listener.fileno())
        while tasks := asyncio.all_tasks() - {asyncio.current_task()}:
            for connection in self._open:
                connection.end()
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        server.close()
        await server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with self._changed:
            self.connections += 1
            self._changed.notify_all()
        connection = _Connection(self.connections, reader, writer)
        self._open.add(connection)
        try:
            async with asyncio.TaskGroup() as tasks:
                reading = tasks.create_task(connection.read())
                await self._answer_all(connection)
                reading.cancel()
        finally:
            self._open.remove(connection)
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    async def _answer_all(self, connection: "_Connection") -> None:
        with contextlib.suppress(_Over):
            while True:
                request = await connection.next_request()
                with self._changed:
                    self.requests.append(request)
                    self._changed.notify_all()
                try:
                    for part in self._script(request):
                        await connection.play(part)
                except _PeerClosed:
                    request.abandoned.set()
                    raise
                except _Over:
                    raise
                except Exception as error:
                    # A script is test code: the test gets what it raises when it leaves.
                    self._failures.append(error)
                    raise _Over from error


class _Connection:
    """One accepted connection, whose requests are answered one after the other."""

    def __init__(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._parser = Parser(number)
        self._arrived: asyncio.Queue[Request] = asyncio.Queue()
        self._over: asyncio.Future[_Over] = asyncio.get_running_loop().create_future()

    def end(self) -> None:
        """Stop whatever script is playing, and play no other."""
        self._set_over(_Over())

    async def read(self) -> None:
        """Take in requests until the peer closes."""
        with contextlib.suppress(OSError):
            while received := await self._reader.read(65536):
                for request in self._parser.feed(received):
                    self._arrived.put_nowait(request)
        self._set_over(_PeerClosed())

    def _set_over(self, why: _Over) -> None:
        if not self._over.done():
            self._over.set_result(why)

    async def next_request(self) -> Request:
        """The next request, in order.

        Raises:
            _Over: There will be none.
        """
        return await self._unless_over(self._arrived.get())

    async def play(self, part: Part) -> None:
        """Do one part of a script.

        Raises:
            _Over: The connection was over before it was done, or is now.
        """
        match part:
            case bytes():
                await self._write(part)
            case Gate():
                await self._unless_over(asyncio.wrap_future(part.arrive()))
            case Do.WAIT_FOR_CLOSE:
                raise await self._over
            case Do.CLOSE:
                raise _Over
            case Do.RESET:
                self._reset()
                raise _Over

    async def _write(self, part: bytes) -> None:
        if self._over.done():
            raise self._over.result()
        self._writer.write(part)
        # Once it is all with the kernel, a peer that closes has had the chance to read it.
        if self._writer.transport.get_write_buffer_size() > 0:
            await self._unless_over(self._writer.drain())
        else:
            await asyncio.sleep(0)

    async def _unless_over(self, awaited: Awaitable[T]) -> T:
        happening = asyncio.ensure_future(awaited)
        try:
            either: set[asyncio.Future[T] | asyncio.Future[_Over]] = {happening, self._over}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if happening.done():
                return happening.result()
        except OSError as error:
            raise _PeerClosed from error
        finally:
            happening.cancel()
        raise self._over.result()

    def _reset(self) -> None:
        line: socket.socket = self._writer.get_extra_info("socket")
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()
