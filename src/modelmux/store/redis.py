"""Bytes kept in Redis or Valkey, shared by gateways. Whatever goes wrong there, nothing is found.

A server that does not answer is left alone for a moment, so that it costs calls no time; that it is
gone, and that it is back, is told once each.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, TypeVar

from modelmux.errors import ConfigError

if TYPE_CHECKING:
    from redis.asyncio import Redis

TIMEOUT_S: Final = 0.5
"""For one look: a model's answer takes longer, and a cache that makes calls slower is none."""
FIRST_REST_S: Final = 0.5
MAX_REST_S: Final = 5.0
"""How long a server that failed is left alone; doubled each time up to the longest."""
MAX_CONNECTIONS: Final = 16
"""For writes; what is looked for at the same time takes one."""
MAX_TOGETHER: Final = 128
"""Answers that are looked for with one command."""
PREFIX: Final = "modelmux:answer:"

T = TypeVar("T")
Told = Callable[[str], object]
"""Told why nothing can be kept; empty when it can again."""


class RedisStore:
    """A store in a server. For one event loop."""

    def __init__(
        self, url: str, *, now: Callable[[], float], told: Told, timeout_s: float = TIMEOUT_S
    ) -> None:
        """Connect when first asked.

        Args:
            url: `redis://`, `rediss://` or `unix://`, as redis-py has it.
            now: Monotonic clock.
            told: For the log.
            timeout_s: For one look, or for writing one answer.

        Raises:
            ConfigError: The library is not installed, or the URL is none.
        """
        self._client, self._error = _client(url, timeout_s)
        self._asked: list[tuple[str, asyncio.Future[bytes | None]]] = []
        self._fetching: asyncio.Task[None] | None = None
        self._timeout_s = timeout_s
        self._now = now
        self._told = told
        self._rests_until = 0.0
        self._rest_s = 0.0
        self.errors = 0
        """How often it failed."""

    async def get(self, key: str) -> bytes | None:
        """What was put under `key`, by any gateway; `None` also where it cannot be had."""
        if self._now() < self._rests_until:
            return None
        future: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._asked.append((key, future))
        if self._fetching is None:
            self._fetching = asyncio.ensure_future(self._fetch())
        return await future

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Keep `value` for so long, if that can be done."""
        milliseconds = max(1, int(ttl_s * 1000))
        await self._ask(lambda: self._client.set(PREFIX + key, value, px=milliseconds))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait((self._fetching,))
        await self._client.aclose()

    async def _fetch(self) -> None:
        """Ask for all that is wanted: what comes together is asked for together."""
        try:
            while self._asked:
                batch, self._asked = self._asked[:MAX_TOGETHER], self._asked[MAX_TOGETHER:]
                keys = [PREFIX + key for key, _ in batch]
                found = await self._ask(lambda keys=keys: self._client.mget(keys))  # type: ignore[misc]
                for (_, future), value in zip(batch, found or [None] * len(batch), strict=True):
                    if not future.done():
                        future.set_result(value if isinstance(value, bytes) else None)
        finally:
            self._fetching = None
            asked, self._asked = self._asked, []
            for _, future in asked:
                if not future.done():
                    future.set_result(None)

    async def _ask(self, ask: Callable[[], Awaitable[T]]) -> T | None:
        if self._now() < self._rests_until:
            return None
        try:
            async with asyncio.timeout(self._timeout_s):
                answer = await ask()
        except (self._error, OSError, TimeoutError) as exc:
            self._failed(exc)
            return None
        if self._rest_s:
            self._rest_s = 0.0
            self._told("")
        return answer

    def _failed(self, exc: Exception) -> None:
        self.errors += 1
        if not self._rest_s:
            self._told(f"{type(exc).__name__}: {exc}" if str(exc) else type(exc).__name__)
        if self._now() >= self._rests_until:  # one rest for all that were under way
            self._rest_s = min(max(FIRST_REST_S, self._rest_s * 2), MAX_REST_S)
            self._rests_until = self._now() + self._rest_s


def _client(url: str, timeout_s: float) -> tuple["Redis", type[Exception]]:
    """A client, and what it raises. Connects to nobody."""
    # An extra, and slow to load: most gateways have none.
    try:
        from redis.asyncio import ConnectionPool, Redis  # noqa: PLC0415
        from redis.asyncio.retry import Retry  # noqa: PLC0415
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.exceptions import RedisError  # noqa: PLC0415
    except ImportError:
        raise ConfigError(
            "cache.backend: `redis` needs a library that is not installed",
            hint="pip install 'modelmux[redis]'",
        ) from None
    try:
        pool = ConnectionPool.from_url(  # pyright: ignore[reportUnknownMemberType] - its **kwargs
            url,
            max_connections=MAX_CONNECTIONS,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            # Once more on a connection that was lost while nobody used it; not on another.
            retry=Retry(NoBackoff(), 1),
        )
        return Redis.from_pool(pool), RedisError
    except ValueError as exc:
        raise ConfigError(f"cache.url: {exc}", hint="redis://HOST:6379/0") from None
