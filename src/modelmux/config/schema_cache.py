"""What a configuration can say of the cache."""

from typing import Annotated, Literal

from msgspec import Meta

from modelmux.config.table import Seconds, Secret, Table


class CacheRule(Table, frozen=True):
    """What is kept, or not. The first rule that holds decides."""

    EXCLUSIVE = (("cache_if", "skip_if"),)

    cache_if: str = ""
    """In CEL: calls whose answers are kept. With such a rule, those of no other calls are."""
    skip_if: str = ""
    """In CEL: calls whose answers are neither kept nor looked for."""
    ttl_seconds: Seconds | None = None
    """With `cache_if`: how long these answers may be used; without it, as all are."""


class Semantic(Table, frozen=True):
    """Answers to what was asked before in other words."""

    target: str = ""
    """The model that makes vectors of questions, as `provider/model`. Empty: only what was asked
    in the same words is answered again."""
    threshold: Annotated[float, Meta(gt=0, le=1)] = 0.95
    """How near two questions have to be: the cosine of their vectors."""
    max_entries: Annotated[int, Meta(ge=1)] = 10_000
    """Questions that are compared; one takes about 6 KB of memory."""


class Cache(Table, frozen=True):
    """Answers that are given again to whoever asks the same."""

    enabled: bool = False
    """Whether answers are kept."""
    backend: Literal["memory", "redis"] = "memory"
    """Where: in this process, or in a server with Redis's protocol, shared by gateways."""
    url: Secret = ""
    """Of that server: `redis://`, `rediss://` (TLS) or `unix://`."""
    ttl_seconds: Annotated[float, Meta(gt=0, le=31_536_000)] = 300.0
    """How long an answer may be used, in seconds."""
    stale_seconds: Seconds = 0.0
    """For how long after that it still is, while a new one is asked for."""
    max_bytes: Annotated[int, Meta(ge=1_048_576)] = 268_435_456
    """How much is kept in memory; what was not asked for longest goes first."""
    scope: Literal["key", "team", "all"] = "key"
    """Who shares answers: calls with the same key, of keys with the same tag `team`, or all."""
    rules: tuple[CacheRule, ...] = ()
    """Which answers are kept. Empty: all."""
    semantic: Semantic = Semantic()
    """Answers to what was asked before in other words."""
