"""Going on as a new process: the same command line, with whatever code is now on the disk.

Theory of operation. The old process starts the new one with its listening sockets, which so are
open all the time: whoever connects meanwhile waits in their queue. The new one reads its
configuration, takes the sockets, serves, and says so; only then does the old one let go of them
and end as calls under way do. A new one that does not get that far has changed nothing.

What they say to each other is a line each, on a pair of sockets: `ready`, with the addresses that
the new one took; `go`, when the old one has let go; `done`, when the new one has its control
socket. What the new one says on stderr before it is ready comes to the old one.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct
from typing_extensions import override

from modelmux.config.gateway import Gateway
from modelmux.config.listening import Listening
from modelmux.errors import ConfigError
from modelmux.ingress.control import Problem, Upgraded
from modelmux.transport.notify import Notify
from modelmux.transport.process import Child, how_it_ended

VARIABLE: Final = "MODELMUX_HANDOVER"
"""How a new process learns that it is one."""

STDERR: Final = 2

ACTIVATED: Final = "LISTEN_PID"

READY_S: Final = 60.0
"""Longest wait for the new process to serve: it starts in a fifth of a second."""

DONE_S: Final = 5.0
"""Longest wait for its control socket, without which it serves all the same."""

MAX_SAID_BYTES: Final = 16_384
"""Most that is kept of what it says on stderr: a traceback and some."""


class Handed(Struct, frozen=True):
    """Listening sockets of one address."""

    address: str
    fds: tuple[int, ...]


class Handover(Struct, frozen=True):
    """What a new process is given, by its descriptors' numbers."""

    pid: int
    """Whose place it takes."""
    channel: int
    stderr: int
    listeners: tuple[Handed, ...]


class Ready(Struct, frozen=True):
    """The new process serves."""

    pid: int
    took: tuple[str, ...]
    """Addresses, of those that it was given."""


class Upgrader:
    """The old process's side."""

    def __init__(
        self,
        gateway: Gateway,
        listening: Listening,
        hand_over: Callable[[], None],
        environ: Mapping[str, str] | None,
    ) -> None:
        """Connect the parts.

        Args:
            gateway: What is to go on in a new process.
            listening: Where it listens.
            hand_over: Ends serving here, as where others go on.
            environ: What this process was started in; without it there is no new one.
        """
        self._gateway = gateway
        self._listening = listening
        self._hand_over = hand_over
        self._environ = environ
        self._tasks: asyncio.TaskGroup | None = None
        self._lock = asyncio.Lock()

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Begin; upgrades run in `tasks`."""
        self._tasks = tasks

    async def upgrade(self) -> Upgraded:
        """Have a new process take over; what is told if that fails is why."""
        if self._tasks is None:
            return self._failed(ConfigError("the gateway is not serving yet"))
        # Whoever asks may leave meanwhile.
        return await asyncio.shield(self._tasks.create_task(self._next()))

    async def settled(self) -> None:
        """Return once no upgrade is under way."""
        async with self._lock:
            pass

    async def _next(self) -> Upgraded:
        async with self._lock:
            try:
                return Upgraded(upgraded=True, pid=await self._upgrade())
            except ConfigError as exc:
                return self._failed(exc)

    def _failed(self, exc: ConfigError) -> Upgraded:
        log = self._gateway.telemetry.log
        log.event("error", f"not upgraded, this process goes on: {exc.message}")
        return Upgraded(upgraded=False, problems=[Problem(exc.message, exc.hint)])

    async def _upgrade(self) -> int:
        environ = self._environ
        if sys.platform == "win32" or environ is None:
            raise ConfigError("upgrading needs a gateway that `modelmux serve` started, on Unix")
        if os.getpid() == 1:
            raise ConfigError(
                "this process is the first of its container, which ends with it",
                hint="replace the container, or start modelmux below an init",
            )
        if self._gateway.draining:
            raise ConfigError("the gateway is stopping", hint="start it again")
        ours, theirs = socket.socketpair()
        said_fd, says_fd = os.pipe()
        stderr = os.dup(STDERR)
        try:
            child = self._start(environ, theirs, says_fd, stderr)
        except OSError as exc:
            ours.close()
            os.close(said_fd)
            raise ConfigError(f"a new process cannot be started: {exc.strerror}") from None
        finally:
            theirs.close()
            os.close(says_fd)
            os.close(stderr)
        return await self._take_leave(child, ours, said_fd)

    def _start(
        self, environ: Mapping[str, str], channel: socket.socket, says_fd: int, stderr: int
    ) -> Child:
        by_address: dict[str, list[int]] = {}
        for each in self._listening.standing:
            fds = by_address.setdefault(str(each.opened.place.address), [])
            fds.append(each.listener.socket.fileno())
        handed = tuple(Handed(address, tuple(fds)) for address, fds in by_address.items())
        handover = Handover(os.getpid(), channel.fileno(), stderr, handed)
        # Sockets of systemd's are meant for one process, and now for the next.
        is_activated = environ.get(ACTIVATED) == str(os.getpid())
        others = {name: value for name, value in environ.items() if name != ACTIVATED}
        passed = {ACTIVATED: environ[ACTIVATED]} if is_activated else {}
        numbers = [channel.fileno(), stderr, *(fd for each in handed for fd in each.fds)]
        return Child(
            [sys.executable, *sys.orig_argv[1:]],
            environ={**others, **passed, VARIABLE: msgspec.json.encode(handover).decode()},
            fds=numbers,
            stderr=says_fd,
        )

    async def _take_leave(self, child: Child, channel: socket.socket, said_fd: int) -> int:
        reader, writer = await asyncio.open_connection(sock=channel)
        heard = _Heard()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: heard, os.fdopen(said_fd, "rb", 0))
        try:
            ready = await self._ready(child, reader, heard)
            self._let_go(ready)
            child.release()
            writer.write(b"go\n")
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(DONE_S):
                    await reader.readline()
            return ready.pid
        finally:
            transport.close()
            writer.close()

    async def _ready(self, child: Child, reader: asyncio.StreamReader, heard: "_Heard") -> Ready:
        """What the new process says once it serves. Raises `ConfigError` if it does not."""
        try:
            async with asyncio.timeout(READY_S):
                line = await reader.readline()
                if line:
                    return msgspec.json.decode(line, type=Ready)
                code = await child.wait()
                await heard.ended.wait()
        except TimeoutError:
            why = f"did not serve within {READY_S:g} s"
        except (OSError, msgspec.DecodeError) as exc:
            why = f"said what was not expected: {exc}"
        else:
            why = how_it_ended(code)
        child.kill()
        await child.wait()
        for said in heard.lines:
            self._gateway.telemetry.log.event("warn", f"the new process said: {said}")
        raise ConfigError(f"the new process {why}{heard.summary()}")

    def _let_go(self, ready: Ready) -> None:
        gateway = self._gateway
        gateway.successor = ready.pid
        for each in self._listening.standing:
            if str(each.opened.place.address) in ready.took:
                each.listener.release()
        Notify().main_pid(ready.pid)
        gateway.telemetry.log.event("info", "a new process has taken over", successor=ready.pid)
        self._hand_over()


class _Heard(asyncio.Protocol):
    """What a process says, as far as it is kept."""

    def __init__(self) -> None:
        self.ended = asyncio.Event()
        self._said = b""

    @override
    def data_received(self, data: bytes) -> None:
        self._said = (self._said + data)[-MAX_SAID_BYTES:]

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.ended.set()

    @property
    def lines(self) -> Sequence[str]:
        """Line by line."""
        return self._said.decode(errors="replace").splitlines()

    def summary(self) -> str:
        """The words that say most: those behind a traceback, or all there are."""
        lines = [line.strip() for line in self.lines if line.strip()]
        if any(line.startswith("Traceback") for line in lines):
            lines = lines[-1:]
        text = "; ".join(line.removeprefix("modelmux: ") for line in lines[-4:])
        return f": {text}" if text else ""


class Successor:
    """The new process's side."""

    def __init__(self, handover: Handover) -> None:
        """Take over what was given."""
        self.inherited = {each.address: each.fds for each in handover.listeners}
        """Listening sockets by address."""
        self.taken: Sequence[str] = ()
        """The addresses among them at which this process listens."""
        self._handover = handover

    @classmethod
    def of(cls, text: str) -> "Successor | None":
        """The one that `VARIABLE` says this process is, if it does."""
        return cls(msgspec.json.decode(text, type=Handover)) if text else None

    def take_stderr(self) -> None:
        """Say what is to be said where the old process did: from now on, that is the log."""
        os.dup2(self._handover.stderr, STDERR)
        os.close(self._handover.stderr)

    async def serves(self, open_control: Callable[[], Awaitable[None]]) -> None:
        """Tell the old process, wait until it has let go, and open the control socket."""
        sock = socket.socket(fileno=self._handover.channel)
        os.set_inheritable(sock.fileno(), False)
        reader, writer = await asyncio.open_connection(sock=sock)
        ready = Ready(os.getpid(), tuple(self.taken))
        with suppress(OSError):  # the old process is gone, and nobody else has the sockets
            writer.write(msgspec.json.encode(ready) + b"\n")
            await reader.readline()
        await open_control()
        with suppress(OSError):
            writer.write(b"done\n")
            await writer.drain()
        writer.close()
