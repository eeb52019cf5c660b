"""The client of one origin: HTTP/1.1 over TCP, TLS or a unix socket, with a pool of connections.

What happens on a connection is `connection`'s, who has which connection is `pool`'s. Here a
request finds its connection, and what the system says becomes the gateway's own errors.
"""

import asyncio

from msgspec import Struct
from typing_extensions import override

from modelmux.errors import ConfigError, Interrupted, TargetTimeout, Unreachable
from modelmux.target.passage import Payload
from modelmux.transport import content
from modelmux.transport.base import HttpResponse, Timeouts
from modelmux.transport.connection import Connection
from modelmux.transport.dial import dial
from modelmux.transport.failure import reason
from modelmux.transport.origin import Origin
from modelmux.transport.pool import Pool, PoolLimits
from modelmux.transport.tls import Tls


class Counters(Struct, frozen=True):
    """How a client stands. The first three are levels, the rest only grow."""

    open: int
    idle: int
    waiting: int
    requests: int
    reused: int
    """Exchanges that began on a connection that had served before."""
    repeated: int
    """Requests sent a second time, because the reused connection had just been closed."""


class OriginClient:
    """An `HttpClient`. It belongs to one event loop; making it does no I/O."""

    def __init__(
        self, origin: Origin, *, limits: PoolLimits | None = None, trust: Tls | None = None
    ) -> None:
        self.origin = origin
        self._name = str(origin)
        self._trust = trust or Tls()
        self._pool = Pool(self._name, limits or PoolLimits())
        self._opening: set[asyncio.Timeout] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._requests = 0
        self._reused = 0
        self._repeated = 0

    @property
    def counters(self) -> Counters:
        """The figures of this moment."""
        pool = self._pool
        return Counters(
            open=pool.open_connections,
            idle=pool.idle_connections,
            waiting=pool.waiting,
            requests=self._requests,
            reused=self._reused,
            repeated=self._repeated,
        )

    async def send(
        self, head: bytes, body: Payload, timeouts: Timeouts, deadline: float | None = None
    ) -> HttpResponse:
        """Send a request and return once the final response's head has come.

        Raises as `HttpClient.send` does. A task that is cancelled here leaves nothing behind:
        the connection is closed, or free for the next.
        """
        loop = self._loop or self._bind()
        if deadline is not None and loop.time() >= deadline:
            raise TargetTimeout(f"{self._name}: the deadline passed before the request was sent")
        pool = self._pool
        self._requests += 1
        connection = pool.take() or await self._obtain(loop, timeouts, deadline)
        if connection.exchanges:
            self._reused += 1
        if not pool.is_sweeping:
            pool.sweep_on(loop)
        while True:
            response = connection.start(head, body, timeouts, deadline)
            try:
                await response.waiter
            except asyncio.CancelledError:
                connection.abandon(response, Interrupted(f"{self._name}: the call was cancelled"))
                if response.is_stale:
                    pool.closed(connection)
                raise
            if response.error is not None:
                raise response.error
            if not response.is_stale:
                return content.decoded(response) if response.is_encoded else response
            self._repeated += 1
            pool.inherit(connection)
            connection = await self._open(loop, _Limit(loop.time(), timeouts.connect_s, deadline))

    async def aclose(self) -> None:
        """Close every connection; exchanges under way fail with `Interrupted`."""
        self._pool.close()
        for timer in self._opening:
            if not timer.expired():
                timer.reschedule(0)
        await self._pool.wait_closed()

    def _bind(self) -> asyncio.AbstractEventLoop:
        # Kept, because asking for it is a system call on CPython 3.11 (`getpid`, 1 µs).
        self._loop = asyncio.get_running_loop()
        return self._loop

    async def _obtain(
        self, loop: asyncio.AbstractEventLoop, timeouts: Timeouts, deadline: float | None
    ) -> Connection:
        """A connection that another exchange is done with, or a new one."""
        pool = self._pool
        pool.check_open()
        limit = _Limit(loop.time(), timeouts.connect_s, deadline)
        if not pool.reserve():
            try:
                connection = await pool.wait(loop, limit.expires_at)
            except TimeoutError as error:
                text = f"all its connections were busy for {limit}"
                raise TargetTimeout(f"{self._name}: {text}") from error
            if connection is not None:
                return connection
        return await self._open(loop, limit)

    async def _open(self, loop: asyncio.AbstractEventLoop, limit: "_Limit") -> Connection:
        """A new connection, in a place that is reserved already and freed if this fails."""
        is_admitted = False
        try:
            connection = await self._connect(loop, limit)
            if connection.is_closed:
                raise Unreachable(f"{self._name}: no connection: it was closed at once")
            self._pool.admit(connection)
            is_admitted = True
        finally:
            if not is_admitted:
                self._pool.free()
        return connection

    async def _connect(self, loop: asyncio.AbstractEventLoop, limit: "_Limit") -> Connection:
        timer = asyncio.timeout_at(limit.expires_at)
        try:
            async with timer:
                self._opening.add(timer)
                connection = await dial(
                    self.origin, self._trust, lambda: Connection(self._pool, self._name, loop)
                )
        except ConfigError as error:
            raise Unreachable(f"{self._name}: {error.message}") from error
        except OSError as error:
            self._pool.check_open()
            if timer.expired():
                raise TargetTimeout(f"{self._name}: no connection within {limit}") from error
            raise Unreachable(f"{self._name}: no connection: {reason(error)}") from error
        finally:
            self._opening.discard(timer)
        return connection


class _Limit:
    """How long getting a connection may take, all in all."""

    def __init__(self, now: float, connect_s: float, deadline: float | None) -> None:
        self.expires_at = now + connect_s if connect_s else None
        self._text = f"the connect timeout of {connect_s:g} s"
        if deadline is not None and (self.expires_at is None or deadline < self.expires_at):
            self.expires_at = deadline
            self._text = f"the {deadline - now:.3g} s left to the deadline"

    @override
    def __str__(self) -> str:
        return self._text
