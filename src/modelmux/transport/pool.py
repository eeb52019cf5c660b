"""The connections of one origin: which are idle, who waits for one, and how long all that may last.

A *place* is the right to have a connection, of which there are `max_connections`. It belongs to
whoever is opening a connection (`reserve`, `wait`), then to the connection (`admit`) until that
is closed; a free one goes to the waiter who came first. The pool opens nothing itself.
"""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from typing import Final

from msgspec import Struct

from modelmux.errors import Interrupted, Unreachable
from modelmux.transport.connection import Connection

SWEEP_INTERVAL_S: Final = 0.1
"""How often limits are checked while anything is under way, and so how late one may fire. One
timer for all: a timer for each exchange costs as much as the exchange's own work."""


class PoolLimits(Struct, frozen=True):
    """How many connections an origin may have, and for how long."""

    max_connections: int = 1024
    max_idle: int = 128
    """More than these are closed when their exchange is over, the longest idle first."""
    max_waiting: int = 4096
    """Exchanges that may wait for a connection; the next is refused."""
    idle_expiry_s: float = 50.0
    """Below the 60 s after which common load balancers close an idle connection. 0: never."""


class Pool:
    """Places and idle connections. The most recently used connection is used next."""

    def __init__(self, origin: str, limits: PoolLimits) -> None:
        self.is_sweeping = False
        """Limits are being checked. Whoever starts an exchange calls `sweep_on` if not."""
        self._origin = origin
        self._limits = limits
        self._loop: asyncio.AbstractEventLoop
        self._connections: set[Connection] = set()
        self._idle: list[Connection] = []
        self._opening = 0
        self._waiters: OrderedDict[asyncio.Future[Connection | None], float | None] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._transports: set[Connection] = set()
        self._all_lost: asyncio.Future[None] | None = None
        self._is_closed = False

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    @property
    def idle_connections(self) -> int:
        return len(self._idle)

    @property
    def waiting(self) -> int:
        return len(self._waiters)

    def take(self) -> Connection | None:
        """An idle connection, if there is one."""
        return self._idle.pop() if self._idle else None

    def reserve(self) -> bool:
        """Take a free place to open a connection in; false if there is none."""
        if len(self._connections) + self._opening >= self._limits.max_connections:
            return False
        self._opening += 1
        return True

    async def wait(
        self, loop: asyncio.AbstractEventLoop, expires_at: float | None
    ) -> Connection | None:
        """A connection that another exchange is done with, or None for a place, reserved.

        First come, first served.

        Raises:
            TimeoutError: `expires_at` (loop time) has passed.
            Unreachable: Too many wait already.
            Interrupted: The pool is being closed.
        """
        if len(self._waiters) >= self._limits.max_waiting:
            raise Unreachable(
                f"{self._origin}: all {self._limits.max_connections} connections are busy and "
                f"{len(self._waiters)} calls wait for one"
            )
        self.sweep_on(loop)
        is_back = False
        while True:
            waiter: asyncio.Future[Connection | None] = loop.create_future()
            self._waiters[waiter] = expires_at
            if is_back:
                self._waiters.move_to_end(waiter, last=False)
            try:
                granted = await waiter
            except asyncio.CancelledError:
                self._waiters.pop(waiter, None)
                self._take_back(waiter)
                raise
            if granted is None or not granted.is_closed:
                return granted
            # It was closed between being granted and our turn: wait again, in front.
            is_back = True

    def admit(self, connection: Connection) -> None:
        """Give a reserved place to the connection that was opened in it, and is not closed."""
        self._opening -= 1
        self._connections.add(connection)
        self._transports.add(connection)

    def inherit(self, connection: Connection) -> None:
        """Reserve the place of a stale connection, to open another in it."""
        self._connections.remove(connection)
        self._opening += 1

    def free(self) -> None:
        """Give back a reserved place."""
        self._opening -= 1
        self._grant_place()

    def released(self, connection: Connection) -> None:
        """Take a connection back that can have another exchange."""
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_result(connection)
                return
        idle = self._idle
        connection.idle_since = self._loop.time()
        idle.append(connection)
        if len(idle) > self._limits.max_idle:
            idle[0].retire()

    def closed(self, connection: Connection) -> None:
        """Free the place of a connection, if it has one."""
        if connection in self._connections:
            self._connections.remove(connection)
            with suppress(ValueError):
                self._idle.remove(connection)
            self._grant_place()

    def lost(self, connection: Connection) -> None:
        self._transports.discard(connection)
        if self._all_lost is not None and not self._transports and not self._all_lost.done():
            self._all_lost.set_result(None)

    def _grant_place(self) -> None:
        while self._waiters and self.reserve():
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_result(None)
                return
            self._opening -= 1

    def _take_back(self, waiter: asyncio.Future[Connection | None]) -> None:
        """Give what a cancelled waiter was granted to the next."""
        if waiter.cancelled() or waiter.exception() is not None:
            return
        granted = waiter.result()
        if granted is None:
            self.free()
        elif not granted.is_closed:
            self.released(granted)

    def sweep_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Check limits from now on, until nothing is under way."""
        if not self.is_sweeping:
            self.is_sweeping = True
            self._loop = loop
            if self._timer is not None:
                self._timer.cancel()
            self._timer = loop.call_later(SWEEP_INTERVAL_S, self._sweep)

    def _sweep(self) -> None:
        loop = self._loop
        now = loop.time()
        is_busy = bool(self._waiters)
        for connection in tuple(self._connections):
            if connection.is_busy:
                is_busy = True
                connection.check(now)
        self._expire_waiters(now)
        expires_at = self._expire_idle(now)
        self.is_sweeping = is_busy
        if is_busy:
            self._timer = loop.call_later(SWEEP_INTERVAL_S, self._sweep)
        elif expires_at is not None:
            self._timer = loop.call_at(expires_at, self._sweep)
        else:
            self._timer = None

    def _expire_waiters(self, now: float) -> None:
        expired = [
            waiter
            for waiter, expires_at in self._waiters.items()
            if expires_at is not None and expires_at <= now
        ]
        for waiter in expired:
            del self._waiters[waiter]
            if not waiter.done():
                waiter.set_exception(TimeoutError())

    def _expire_idle(self, now: float) -> float | None:
        """Close what has been idle for too long; when to look again."""
        expiry_s = self._limits.idle_expiry_s
        if not expiry_s:
            return None
        # The longest idle stand first, because the last to come are the first to go.
        while self._idle:
            expires_at = self._idle[0].idle_since + expiry_s
            if expires_at > now:
                return expires_at
            self._idle[0].retire()
        return None

    def check_open(self) -> None:
        """Raise `Interrupted` if the pool was closed."""
        if self._is_closed:
            raise self._closed_error()

    def close(self) -> None:
        """Close every connection; what is under way or waits fails with `Interrupted`."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_exception(self._closed_error())
        for connection in tuple(self._transports):
            connection.close(self._closed_error())

    async def wait_closed(self) -> None:
        """Return once the event loop has let go of every connection."""
        if self._transports:
            self._all_lost = asyncio.get_running_loop().create_future()
            await self._all_lost

    def _closed_error(self) -> Interrupted:
        return Interrupted(f"{self._origin}: the client was closed")
