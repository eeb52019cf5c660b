import asyncio
import time

import pytest

from modelmux.config import caching
from modelmux.config.lasting import Telemetry
from modelmux.config.schema import Config
from modelmux.config.schema_cache import Cache, CacheRule
from modelmux.errors import ConfigError
from modelmux.layer.cache import Policy
from modelmux.store.memory import MemoryStore
from modelmux.store.redis import RedisStore


def made(**said: object) -> object:
    config = Config(cache=Cache(enabled=True, **said))  # type: ignore[arg-type]
    return caching.build(config, Telemetry(config), now=time.monotonic)


def test_a_cache_that_is_not_wanted_is_not_made():
    config = Config()
    assert caching.build(config, Telemetry(config), now=time.monotonic) is None
    assert caching.state(None) is None


def test_a_cache_is_as_the_configuration_says():
    cache = made(ttl_seconds=9.0, stale_seconds=3.0, scope="all", max_bytes=2_000_000)
    assert isinstance(cache, caching.Cache)
    assert cache.policy == Policy(9.0, 3.0, "all", ())
    assert isinstance(cache.store, MemoryStore)
    asyncio.run(cache.store.put("a", b"x", 1.0))
    state = caching.state(cache)
    assert state is not None
    assert (state.entries, state.errors) == (1, 0)
    assert state.bytes > 1


def test_rules_are_compiled_once():
    rules = (CacheRule(skip_if="stream"), CacheRule(cache_if="true", ttl_seconds=5.0))
    cache = made(rules=rules)
    assert isinstance(cache, caching.Cache)
    first, second = cache.policy.rules
    assert first.skip_if is not None
    assert first.skip_if.text == "stream"
    assert (first.cache_if, second.skip_if, second.ttl_s) == (None, None, 5.0)


def test_a_server_is_not_connected_to_before_it_is_asked():
    cache = made(backend="redis", url="redis://127.0.0.1:1/0")
    assert isinstance(cache, caching.Cache)
    assert isinstance(cache.store, RedisStore)
    state = caching.state(cache)
    assert state is not None
    assert state.errors == 0


def test_a_rule_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="there is no fact"):
        made(rules=(CacheRule(cache_if="nothing"),))


def test_what_was_kept_outlives_a_reload_if_its_place_is_the_same():
    async def test() -> None:
        config = Config(cache=Cache(enabled=True, ttl_seconds=9.0))
        telling = Telemetry(config)
        first = caching.build(config, telling, now=time.monotonic)
        assert first is not None
        await first.store.put("a", b"x", 1.0)
        other = Config(cache=Cache(enabled=True, ttl_seconds=5.0))
        second = caching.build(other, telling, now=time.monotonic, earlier=first)
        assert second is not None
        second.inherit(first)
        await first.aclose()
        assert await second.store.get("a") == b"x"
        assert second.figures is first.figures
        assert second.policy.ttl_s == 5.0
        larger = Config(cache=Cache(enabled=True, max_bytes=3_000_000))
        third = caching.build(larger, telling, now=time.monotonic, earlier=second)
        assert third is not None
        third.inherit(second)
        await second.aclose()
        assert await third.store.get("a") is None

    asyncio.run(test())
