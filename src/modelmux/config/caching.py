"""The cache of a configuration: its store, its rules, and what is told of it."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from modelmux.config.embedder import TargetEmbedder
from modelmux.config.schema import Config
from modelmux.config.schema_cache import CacheRule
from modelmux.errors import ConfigError, GatewayError
from modelmux.layer.cache import Cache, Policy, Rule, Store
from modelmux.layer.semantic import Semantic
from modelmux.store.memory import MemoryStore
from modelmux.store.redis import RedisStore
from modelmux.store.vectors import Vectors
from modelmux.target.call import ANONYMOUS
from modelmux.target.facts import World
from modelmux.target.registry import Registry
from modelmux.target.rules import Condition, compile_condition
from modelmux.telemetry.log import LogWriter

if TYPE_CHECKING:
    from modelmux.telemetry.exposition import CacheState


class Telling(Protocol):
    """Where what happens is told."""

    @property
    def log(self) -> LogWriter: ...


def build(
    config: Config, telling: Telling, *, now: Callable[[], float], earlier: Cache | None = None
) -> Cache | None:
    """The cache that `config` wants, if it wants one. Does no I/O.

    What `earlier` has kept is found again where it is in the same place.

    Raises:
        ConfigError: A library for it is missing, or what it says cannot be used.
    """
    said = config.cache
    if not said.enabled:
        return None
    policy = Policy(said.ttl_seconds, said.stale_seconds, said.scope, tuple(map(_rule, said.rules)))
    store: Store
    place = f"{said.backend} {said.url} {said.max_bytes}"
    if earlier is not None and earlier.place == place:
        store = earlier.store
    elif said.backend == "redis":
        store = RedisStore(said.url, now=now, told=_teller(telling.log))
    else:
        store = MemoryStore(said.max_bytes)
    world = World(hour=lambda: datetime.now().astimezone().hour)
    return Cache(store, policy, world, now=now, unix_time=time.time, place=place)


def add_semantic(config: Config, cache: Cache, registry: Registry) -> None:
    """Have `cache` find what was asked in other words, if `config` wants it.

    Raises:
        ConfigError: Nobody offers the target, or a library is missing.
    """
    said = config.cache.semantic
    if not said.target:
        return
    try:
        registry.resolve(said.target, ANONYMOUS)
    except GatewayError as exc:
        raise ConfigError(f"cache.semantic.target: {exc.message}") from None
    embedder = TargetEmbedder(said.target, lambda: registry.resolve(said.target, ANONYMOUS))
    cache.semantic = Semantic(embedder, Vectors(said.max_entries), said.threshold)


def state(cache: Cache | None) -> "CacheState | None":
    """What the metrics tell of it."""
    # Its library is loaded when metrics are asked for.
    from modelmux.telemetry.exposition import CacheState  # noqa: PLC0415

    if cache is None:
        return None
    store, size_bytes, entries, errors = cache.store, 0, 0, 0
    if isinstance(store, MemoryStore):
        size_bytes, entries = store.size_bytes, store.count
    elif isinstance(store, RedisStore):
        errors = store.errors
    return CacheState(cache.figures.results, size_bytes, entries, errors)


def _rule(said: CacheRule) -> Rule:
    return Rule(_condition(said.cache_if), _condition(said.skip_if), said.ttl_seconds)


def _condition(text: str) -> Condition | None:
    return compile_condition(text) if text else None


def _teller(log: LogWriter) -> Callable[[str], object]:
    def told(why: str) -> None:
        if why:
            log.event("warn", f"the cache's server cannot be used; nothing is kept: {why}")
        else:
            log.event("info", "the cache's server can be used again")

    return told
