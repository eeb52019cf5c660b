"""Serving an application on sockets of our own, and stopping without breaking an answer."""

import asyncio
import logging
import signal
import socket
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, cast

import uvicorn
from typing_extensions import override

from modelmux.ingress.asgi import Adapter
from modelmux.ingress.entrance import Entrance
from modelmux.ingress.fast import FastProtocol
from modelmux.ingress.protocol import READ_TIMEOUT_S, Protocol

BACKLOG = 2048

LINGER_S = 5.0
"""Where others go on serving an address that we leave: how long a connection is idle before it is
closed. SDKs' clients keep no idle connection longer, so nobody's next request meets the close."""

_LOOK_S = 0.05
"""How often it is looked whether all connections are gone."""

_log = logging.getLogger("uvicorn.error")

_TICKS_A_SWEEP = 10
"""uvicorn ticks each 0.1 s; connections' limits are looked at once a second."""


class Server(uvicorn.Server):
    """uvicorn on given sockets, stopped by `stop` or by a signal.

    The first word to stop closes the listeners and lets answers under way end, for at most
    `drain_timeout_s`; the second ends them.
    """

    def __init__(
        self,
        app: Adapter,
        drain_timeout_s: float,
        *,
        signals: bool = True,
        on_stop: Callable[[], None] | None = None,
        read_timeout_s: float = READ_TIMEOUT_S,
        fast: bool = True,
    ) -> None:
        """Make a server of `app`; nothing listens yet.

        Args:
            app: The application.
            drain_timeout_s: How long answers may go on once it is to stop.
            signals: Take SIGTERM and SIGINT as the word to stop.
            on_stop: Called at the first word.
            read_timeout_s: How long a request's head may take, and how long its body may pause;
                0: for ever.
            fast: Serve past ASGI what `app` calls fast.
        """
        self._protocol = FastProtocol if fast else Protocol
        super().__init__(
            uvicorn.Config(
                app,
                http=self._protocol,
                ws="none",
                lifespan="off",  # who serves on our sockets starts and stops the gateway itself
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=BACKLOG,
            )
        )
        self.drain_timeout_s = drain_timeout_s
        """May be changed while it serves, as may the next."""
        self.read_timeout_s = read_timeout_s
        self._signals = signals
        self._on_stop = on_stop
        self._ready = asyncio.Event()
        self._entrances: Sequence[tuple[socket.socket, Entrance]] = ()
        self._open: dict[Entrance, _Door] = {}
        self._lingers = False

    async def wait_ready(self) -> None:
        """Return once connections are accepted."""
        await self._ready.wait()

    async def serve_at(self, entrances: Sequence[tuple[socket.socket, Entrance]]) -> None:
        """Serve on sockets until told to stop; they are closed in the end."""
        self._entrances = entrances
        await self.serve(sockets=[sock for sock, _ in entrances])

    def stop(self, *, now: bool = False) -> None:
        """Stop; at once when it is said twice, or `now`."""
        if self.should_exit or now:
            self.force_exit = True
            self._cancel()
        if not self.should_exit:
            self.should_exit = True
            if self._on_stop is not None:
                self._on_stop()

    def hand_over(self) -> None:
        """Stop, where another process goes on serving the same sockets.

        No connection is closed on which a request may be on its way: each is told to close with
        its next answer, and closed without one only after `LINGER_S`.
        """
        self._lingers = True
        self.stop()
        for door in self._open.values():
            door.close()  # who comes from now on is for the others
        for connection in self._connections:
            connection.leave()  # now, because an answer may be given before the next tick

    async def open(self, sock: socket.socket, entrance: Entrance) -> None:
        """Serve one more socket, which is closed in the end."""
        config = self.config

        def protocol() -> asyncio.Protocol:
            made = self._protocol(config, self.server_state, self.lifespan.state)
            made.entrance = entrance
            return made

        loop = asyncio.get_running_loop()
        server = await loop.create_server(protocol, sock=sock, backlog=config.backlog)
        self._open[entrance] = _Door(sock, server)

    async def leave(self, entrance: Entrance) -> None:
        """Close what was opened as `entrance`; returns once its last connection is gone.

        The socket is closed at once. Connections are let go as `hand_over` does it.
        """
        self._open.pop(entrance).close()
        await self._let_go(
            lambda: [each for each in self._connections if each.entrance is entrance]
        )
        if entrance.transports:
            _log.warning(
                "%s: %s connection(s) cut, which did not end within %g s of its closing",
                entrance.name,
                len(entrance.transports),
                self.drain_timeout_s,
            )
        _abort(entrance)

    def drop(self, entrance: Entrance) -> None:
        """Close what was opened as `entrance`, with all of its connections, at once."""
        self._open.pop(entrance).close()
        _abort(entrance)

    @override
    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept connections."""
        for sock, entrance in self._entrances:
            await self.open(sock, entrance)
        self.started = True
        self._ready.set()

    @override
    async def on_tick(self, counter: int) -> bool:
        """Look at every connection's limits now and then; whether it is time to stop."""
        if counter % _TICKS_A_SWEEP == 0:
            now = time.monotonic()
            for connection in self._connections:
                connection.check(now, self.read_timeout_s)
        return await super().on_tick(counter)

    @override
    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let answers under way end, each connection with its last."""
        for door in self._open.values():
            door.close()
        if self._lingers:
            await self._let_go(lambda: self._connections)
        else:
            for connection in self._connections:
                connection.shutdown()
            await self._drained(lambda: self._connections)
        if self.server_state.tasks and not self.force_exit:
            _log.error(
                "Cancel %s running task(s), timeout graceful shutdown exceeded",
                len(self.server_state.tasks),
            )
        self._cancel()

    @property
    def _connections(self) -> Sequence[Protocol]:
        return cast("Sequence[Protocol]", tuple(self.server_state.connections))

    async def _let_go(self, connections: Callable[[], Sequence[Protocol]]) -> None:
        """Have connections end of which each may be in use; return as `_drained`."""
        for connection in connections():
            connection.leave()
        idle_since: dict[Protocol, float] = {}

        def rest(now: float) -> None:
            for connection in connections():
                if not connection.is_idle:
                    idle_since.pop(connection, None)
                elif now - idle_since.setdefault(connection, now) >= LINGER_S:
                    connection.shutdown()

        await self._drained(connections, rest)

    async def _drained(
        self,
        connections: Callable[[], Sequence[Protocol]],
        look: Callable[[float], None] = lambda _now: None,
    ) -> None:
        """Return once all these connections are gone, or have had the time they are given."""
        now = asyncio.get_running_loop().time
        give_up = now() + self.drain_timeout_s
        while connections() and now() < give_up and not self.force_exit:
            look(now())
            await asyncio.sleep(_LOOK_S)

    def _cancel(self) -> None:
        for task in tuple(self.server_state.tasks):
            task.cancel()

    @contextmanager
    @override
    def capture_signals(self) -> Generator[None]:
        """Take signals as the word to stop; raised again, they would look like a crash."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT) if self._signals else ():
            loop.add_signal_handler(number, self.stop)
        # They stay until the loop is closed: the process has still to say that it has stopped.
        yield


class _Door(NamedTuple):
    """A socket that is served."""

    socket: socket.socket
    server: asyncio.AbstractServer

    def close(self) -> None:
        """Let nobody in any more."""
        self.server.close()
        self.socket.close()


def _abort(entrance: Entrance) -> None:
    for transport in tuple(entrance.transports):
        cast("asyncio.Transport", transport).abort()


class UvicornLog(logging.Handler):
    """Hands what uvicorn has to say to a function of ours."""

    def __init__(self, event: Callable[[str, str], None]) -> None:
        """Call `event` with level and message of warnings and errors."""
        super().__init__(logging.WARNING)
        self._event = event

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Hand a record on."""
        message = record.getMessage().strip()
        exc = record.exc_info[1] if record.exc_info else None
        if isinstance(exc, asyncio.CancelledError):
            return  # a call that was ended on purpose, and has a record that says so
        if exc is not None:
            message = f"{message}: {exc!r}"
        self._event(record.levelname.lower(), message)

    def install(self) -> None:
        """Make this the only place where uvicorn's words go."""
        logger = logging.getLogger("uvicorn.error")
        logger.handlers = [self]
        logger.setLevel(logging.WARNING)
        logger.propagate = False


async def serve(
    server: Server, sockets: Sequence[socket.socket], entrances: Sequence[Entrance] = ()
) -> None:
    """Serve on `sockets`, which are closed in the end.

    Args:
        server: The server.
        sockets: Listening sockets.
        entrances: What each of them is, in the same order; `Entrance("")` if not given.
    """
    found = entrances or [Entrance("") for _ in sockets]
    await server.serve_at(list(zip(sockets, found, strict=True)))
