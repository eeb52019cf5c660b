"""Sandboxes: listening sockets that were made inside of them, served with an identity of their own.

Whoever isolates a program connects to a socket of the gateway's that only its user can open, and
sends one line of JSON (`Request`) with one descriptor: a socket that listens inside the sandbox.
The gateway answers with a line (`Reply`), and tells of each call in a line of its own (`Told`).

As long as the connection is open, the sandbox's socket is served; when it closes, for whatever
reason, the socket and all of its connections are closed too. Whoever wants to know that nothing
more will come closes its sending side first: then the last line is `Told(done=True)`.
"""

import asyncio
import os
import re
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Protocol

import msgspec
from msgspec import Struct

from modelmux.ingress.entrance import Entrance, Identity, credentials
from modelmux.target.call import Peer
from modelmux.target.record import CallRecord
from modelmux.telemetry.watchers import Watchers

MAX_REQUEST_BYTES: Final = 65_536
"""A request is a few names."""

MAX_SANDBOXES: Final = 256
"""At once. Each is a listening socket, and a connection to whoever made it."""

MAX_CONNECTIONS: Final = 512
"""Of one sandbox, which could take all descriptors from everybody else."""

MAX_UNREAD_BYTES: Final = 8 * 1024 * 1024
"""What is kept for somebody who does not read; then lines are left out, and counted."""

HANDSHAKE_S: Final = 10.0
"""Longest wait for a request: who connects has it ready."""

FLUSH_S: Final = 2.0
"""Longest wait, at the end, for calls whose callers are gone to be over."""

_NAME: Final = re.compile(r"[!-~]{1,64}")


class Request(Struct, frozen=True, forbid_unknown_fields=True):
    """What a sandbox is to be."""

    name: str
    key: str = ""
    """Calls count as this key's; empty: as nobody's, and no key is asked for."""
    models: tuple[str, ...] = ()
    tags: Mapping[str, str] = {}
    budget_calls: int | None = None


class Reply(Struct, frozen=True):
    """Whether it is."""

    ok: bool
    error: str = ""
    hint: str = ""


class CallTold(Struct, frozen=True, omit_defaults=True):
    """A call, as far as who isolates wants to know."""

    id: str
    ended_at_s: float
    model: str
    target: str
    status: int
    outcome: str
    duration_s: float
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: str | None = None
    """`None`: not known."""
    error: str = ""


class Told(Struct, frozen=True, omit_defaults=True):
    """One line to whoever isolates."""

    call: CallTold | None = None
    left_out: int = 0
    """Calls that are not told because nobody read."""
    done: bool = False


class Doors(Protocol):
    """The server, as far as sandboxes need it."""

    async def open(self, sock: socket.socket, entrance: Entrance) -> None: ...
    def drop(self, entrance: Entrance) -> None: ...


class Sandboxes:
    """Serves sandboxes as long as those who made them are there."""

    def __init__(
        self,
        doors: Doors,
        watchers: Watchers,
        *,
        has_key: Callable[[str], bool],
        event: Callable[[str], None],
    ) -> None:
        """Begin without any.

        Args:
            doors: Serves listening sockets.
            watchers: Tells of calls.
            has_key: Whether there is a key of that name.
            event: Told what happens, for the log.
        """
        self._doors = doors
        self._watchers = watchers
        self._has_key = has_key
        self._event = event
        self._names: set[str] = set()

    async def serve(self, listener: socket.socket) -> None:
        """Take sandboxes until cancelled; then all of them are dropped."""
        listener.setblocking(False)
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            while True:
                line, _ = await loop.sock_accept(listener)
                line.setblocking(False)
                group.create_task(self._serve_one(line))

    async def _serve_one(self, line: socket.socket) -> None:
        with line:
            try:
                async with asyncio.timeout(HANDSHAKE_S):
                    request, sock = await self._request(line)
            except (OSError, TimeoutError):
                return
            except Refusal as exc:
                await _say(line, Reply(ok=False, error=exc.message, hint=exc.hint))
                return
            self._names.add(request.name)
            try:
                await self._keep(line, request, sock)
            except OSError as exc:
                sock.close()
                await _say(line, Reply(ok=False, error=f"it cannot be served: {exc.strerror}"))
            finally:
                self._names.remove(request.name)

    async def _keep(self, line: socket.socket, request: Request, sock: socket.socket) -> None:
        """Serve a sandbox until whoever made it leaves."""
        identity = Identity(
            "guest", request.key, request.models, request.tags, asks=bool(request.key)
        )
        pid, uid, gid = credentials(line)
        entrance = Entrance(
            request.name,
            identity,
            budget_calls=request.budget_calls,
            peer=Peer(request.name, uid=uid, gid=gid, pid=pid),
        )
        entrance.max_connections = MAX_CONNECTIONS
        await self._doors.open(sock, entrance)
        self._event(f"sandbox {request.name} opened")
        tell = _Teller(line)
        self._watchers.add(request.name, tell.call)
        try:
            with suppress(OSError):
                await _say(line, Reply(ok=True))
                await tell.until_left()
            self._doors.drop(entrance)
            await tell.until_told(entrance)
        except BaseException:
            self._doors.drop(entrance)
            raise
        finally:
            self._watchers.remove(request.name)
            self._event(f"sandbox {request.name} closed after {tell.calls} calls")

    async def _request(self, line: socket.socket) -> tuple[Request, socket.socket]:
        """What somebody who has connected wants, and the sandbox's socket. Raises `Refusal`."""
        text, fds = await _received(line)
        try:
            _check_user(line)
            if len(fds) != 1:
                raise Refusal(f"expected one descriptor with the request, got {len(fds)}")
            request = _decoded(text)
            self._check(request)
            sock = socket.socket(fileno=os.dup(fds[0]))
        finally:
            for fd in fds:
                os.close(fd)
        if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.close()
            raise Refusal("expected a socket that listens")
        sock.setblocking(False)
        return request, sock

    def _check(self, request: Request) -> None:
        if not _NAME.fullmatch(request.name):
            raise Refusal("expected a name of at most 64 printable characters")
        if request.name in self._names:
            raise Refusal(f"there is a sandbox {request.name!r} already")
        if len(self._names) >= MAX_SANDBOXES:
            raise Refusal(f"there are {MAX_SANDBOXES} sandboxes, the most that are served")
        if request.key and not self._has_key(request.key):
            raise Refusal(f"there is no key {request.key!r}", hint="add it to [[keys]]")
        if request.budget_calls is not None and request.budget_calls < 0:
            raise Refusal("expected a number of calls of at least 0")


class Refusal(Exception):
    """A sandbox cannot be had."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class _Teller:
    """Tells whoever made a sandbox of its calls, and notices when it leaves."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._unsent = bytearray()
        self._left_out = 0
        self._is_gone = False
        self._is_writing = False
        self._changed = asyncio.Event()
        self.calls = 0

    def call(self, record: CallRecord) -> None:
        """A call is over."""
        self.calls += 1
        self._changed.set()
        if len(self._unsent) > MAX_UNREAD_BYTES:
            self._left_out += 1
            return
        usage = record.usage
        cost = record.cost_usd
        told = CallTold(
            record.id,
            record.started_at_s + record.duration_s,
            record.model,
            record.target,
            record.status,
            record.outcome,
            record.duration_s,
            usage.input_tokens,
            usage.output_tokens,
            None if cost is None else f"{cost:f}",
            record.error,
        )
        self._send(Told(call=told))

    async def until_left(self) -> None:
        """Return once the other side has closed, or said that it sends no more."""
        while await self._loop.sock_recv(self._line, 4096):
            pass

    async def until_told(self, entrance: Entrance) -> None:
        """Return once every call is over and told, or nobody is there to be told."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                while self.calls < entrance.begun:
                    self._changed.clear()
                    await self._changed.wait()
                self._send(Told(done=True, left_out=self._left_out))
                while self._unsent and not self._is_gone:
                    self._changed.clear()
                    await self._changed.wait()
        if self._is_writing:
            self._loop.remove_writer(self._line.fileno())

    def _send(self, told: Told) -> None:
        if self._is_gone:
            return
        self._unsent += msgspec.json.encode(told) + b"\n"
        if not self._is_writing:
            self._is_writing = True
            self._loop.add_writer(self._line.fileno(), self._write)

    def _write(self) -> None:
        try:
            sent = self._line.send(self._unsent)
            del self._unsent[:sent]
        except BlockingIOError:
            return
        except OSError:
            self._is_gone = True
        if self._is_gone or not self._unsent:
            self._is_writing = False
            self._loop.remove_writer(self._line.fileno())
            self._changed.set()


async def _received(line: socket.socket) -> tuple[bytes, list[int]]:
    """A line and the descriptors that came with it."""
    text = b""
    fds: list[int] = []
    try:
        while not text.endswith(b"\n"):
            await _readable(line)
            data, more, _, _ = socket.recv_fds(line, MAX_REQUEST_BYTES, 4)
            fds += more
            text += data
            if not data or len(text) > MAX_REQUEST_BYTES:
                raise Refusal("expected one line of JSON")
    except BaseException:
        for fd in fds:
            os.close(fd)
        raise
    return text, fds


async def _readable(line: socket.socket) -> None:
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(line.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(line.fileno())


def _decoded(text: bytes) -> Request:
    try:
        return msgspec.json.decode(text, type=Request)
    except msgspec.DecodeError as exc:
        raise Refusal(f"the request is not understood: {exc}", hint="another version?") from None


async def _say(line: socket.socket, reply: Reply) -> None:
    with suppress(OSError):
        await asyncio.get_running_loop().sock_sendall(line, msgspec.json.encode(reply) + b"\n")


def _check_user(line: socket.socket) -> None:
    """Who may open the file is its owner, and root; what the kernel says must agree."""
    _, uid, _ = credentials(line)
    if uid is not None and uid not in (0, os.geteuid()):
        raise Refusal("this gateway belongs to another user")
