"""A process that serves for another, which started it, holds the sockets and restarts it.

    python -m modelmux.config.worker CHANNEL

What it is to do comes through the channel, a descriptor, as an `Assignment`; later, listening
sockets come that a reload has opened. The channel's end is the end of the other process, whatever
ended it, and then the worker lets its calls end and is gone too.
"""

import asyncio
import os
import socket
import sys
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from modelmux.config.entrances import Opened, Place
from modelmux.config.gateway import Gateway
from modelmux.config.generation import Generation
from modelmux.config.host import new_loop, settle_collector, stderr_output, take_uvicorns_log
from modelmux.config.listening import Change, Listening, Standing, standing
from modelmux.config.load import Loaded
from modelmux.config.reload import Reloader
from modelmux.config.schema import Config
from modelmux.errors import ConfigError
from modelmux.ingress import listen
from modelmux.ingress.address import parse_address
from modelmux.ingress.control import Actions, Control, Problem, Reloaded, Upgraded
from modelmux.ingress.entrance import Identity
from modelmux.ingress.http import JSON, Answer, HttpRequest
from modelmux.ingress.listen import Access
from modelmux.ingress.relay import Relay, RelayedControl, RelayedHealth
from modelmux.ingress.routes import Methods
from modelmux.ingress.server import Server, serve

LENGTH_BYTES: Final = 8
MAX_FDS: Final = 250
"""Descriptors in one message: Linux takes 253."""

READY: Final = b"R"
_CONTROL_DRAIN_S: Final = 1.0


class Given(Struct, frozen=True):
    """A place to listen, and its sockets."""

    address: str
    access: Access
    identity: Identity
    fds: tuple[int, ...] = ()
    """Descriptors, where they are inherited."""
    count: int = 0
    """How many came through the channel for it, in order."""


class Assignment(Struct, frozen=True):
    """What a worker is to do."""

    config: Config
    listeners: tuple[Given, ...]
    control_fd: int
    """A listening socket for the process that started it."""
    control_path: str
    """Where it is asked for what concerns all workers."""


def main(arguments: Sequence[str]) -> int:
    """Serve until told to stop; the exit code."""
    channel = socket.socket(fileno=int(arguments[0]))
    os.set_inheritable(channel.fileno(), False)
    assignment = _received(channel)
    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(_work(channel, assignment))
    return 0


def _received(channel: socket.socket) -> Assignment:
    with channel.makefile("rb") as reader:
        size = int.from_bytes(reader.read(LENGTH_BYTES))
        return msgspec.msgpack.decode(reader.read(size), type=Assignment)


class Worker:
    """What the other process asks of it, on a socket of its own."""

    def __init__(
        self, gateway: Gateway, server: Server, listening: Listening, channel: "Channel"
    ) -> None:
        self._gateway = gateway
        self._server = server
        self._listening = listening
        self._channel = channel
        self._prepared: Generation | None = None
        self.reloader = Reloader(gateway, listening, None)

    @property
    def doors(self) -> dict[str, Methods]:
        """Its endpoints."""
        return {
            "/worker/prepare": {"POST": self.prepare},
            "/worker/adopt": {"POST": self.adopt},
            "/worker/hand-over": {"POST": self.hand_over},
        }

    async def prepare(self, request: HttpRequest) -> Answer:
        """Build what another configuration is made of; 422 if that cannot be."""
        config = msgspec.msgpack.decode(request.body, type=Config)
        try:
            self._prepared = await asyncio.to_thread(self._gateway.prepare, _loaded(config))
        except ConfigError as exc:
            problems = [Problem(each.message, each.hint) for each in exc.problems]
            return Answer(422, [(b"content-type", JSON)], msgspec.json.encode(problems))
        return Answer(200, [], b"")

    async def adopt(self, request: HttpRequest) -> Answer:
        """Put in force what was prepared, at these listeners."""
        given = msgspec.msgpack.decode(request.body, type=tuple[Given, ...])
        self._channel.read()
        fds = self._channel.fds
        prepared, self._prepared = self._prepared, None
        if prepared is None:
            raise ConfigError("nothing was prepared")
        here = {str(each.opened.place.address): each for each in self._listening.standing}
        wanted = {each.address for each in given}
        opened: list[Standing] = []
        for each in given:
            new = [fds.popleft() for _ in range(each.count)]
            opened += [standing(one) for one in _opened(each, new)]
        identities = [
            (here[each.address].entrance, each.identity) for each in given if each.address in here
        ]
        left = [each for address, each in here.items() if address not in wanted]
        await self.reloader.adopt(prepared, Change(opened, left, identities))
        return Answer(200, [], b"")

    async def hand_over(self, request: HttpRequest) -> Answer:
        """End, where others go on serving the same sockets."""
        self._gateway.successor = os.getppid()
        for listener in self._listening.listeners:
            listener.release()
        self._server.hand_over()
        return Answer(202, [], b"")


class Channel:
    """The worker's end of it."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self.fds: deque[int] = deque()
        """Descriptors that have come and are not taken yet."""
        self.ended = asyncio.Event()
        self._sock = sock
        asyncio.get_running_loop().add_reader(sock.fileno(), self.read)

    def say(self, word: bytes) -> None:
        """Tell the other process."""
        with suppress(OSError):
            self._sock.send(word)

    def read(self) -> None:
        """Take what has come."""
        while not self.ended.is_set():
            try:
                data, fds, _, _ = socket.recv_fds(self._sock, 1, MAX_FDS)
            except BlockingIOError:
                return
            except OSError:
                data, fds = b"", []
            self.fds.extend(fds)
            if not data:
                asyncio.get_running_loop().remove_reader(self._sock.fileno())
                self.ended.set()


async def _work(sock: socket.socket, assignment: Assignment) -> None:
    config = assignment.config
    gateway = Gateway(_loaded(config), output=stderr_output(lambda text: log.event("warn", text)))
    log = gateway.telemetry.log
    take_uvicorns_log(log)
    opened = [one for each in assignment.listeners for one in _opened(each, each.fds)]
    listening = Listening(opened)
    gateway.listening = listening.names
    channel = Channel(sock)
    relay = Relay(Path(assignment.control_path))

    def draining() -> None:
        gateway.draining = True

    def stop(now: bool) -> None:
        server.stop(now=now)

    settings = config.server
    server = Server(
        gateway.app(RelayedControl(relay), RelayedHealth(gateway.watch(), relay)),
        settings.drain_timeout_s,
        on_stop=draining,
        read_timeout_s=settings.read_timeout_s,
        fast=settings.fast_path,
    )
    worker = Worker(gateway, server, listening, channel)
    control = Control(gateway.status, gateway.log_access(), Actions(stop, _not_here, _nor_here))
    app = gateway.control_app(control, more=worker.doors)
    control_server = Server(app, _CONTROL_DRAIN_S, signals=False)
    async with gateway, asyncio.TaskGroup() as group:
        own = socket.socket(fileno=assignment.control_fd)
        group.create_task(serve(control_server, [own]))
        paths = (own.getsockname(), assignment.control_path)
        following = group.create_task(_follow(worker, server, channel, listening, paths))
        group.create_task(_say_ready(server, channel))
        await server.serve_at(listening.sockets)
        following.cancel()
        control_server.stop(now=True)
        await relay.aclose()


def _loaded(config: Config) -> Loaded:
    """A configuration that comes from another process."""
    return Loaded(config, {}, (), (), frozenset())


def _opened(given: Given, fds: Sequence[int]) -> list[Opened]:
    place = Place(parse_address(given.address), given.access, given.identity)
    return [Opened(listen.inherit(place.address, fd), place) for fd in fds]


async def _not_here(_cause: str) -> Reloaded:
    return Reloaded(reloaded=False, problems=[Problem("a worker does what it is told")])


async def _nor_here() -> Upgraded:
    return Upgraded(upgraded=False, problems=[Problem("a worker does what it is told")])


async def _say_ready(server: Server, channel: Channel) -> None:
    await server.wait_ready()
    settle_collector()
    channel.say(READY)


async def _follow(
    worker: Worker,
    server: Server,
    channel: Channel,
    listening: Listening,
    control_paths: Sequence[str],
) -> None:
    """End with the process that started this one, whatever ended that; never returns."""
    async with asyncio.TaskGroup() as tasks:
        worker.reloader.start(server, tasks)
        await channel.ended.wait()
        # Nobody else is left to take the sockets' files away.
        for listener in listening.listeners:
            listener.forget()
        for path in control_paths:
            with suppress(OSError):
                os.unlink(path)  # noqa: PTH108 # a coroutine may not ask pathlib for it
        server.stop()
        await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
