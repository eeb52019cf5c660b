import msgspec
import pytest

from modelmux.config.schema_cache import Cache, CacheRule


def test_nothing_is_kept_unless_it_is_said_and_then_for_each_key_apart():
    cache = Cache()
    assert not cache.enabled
    assert (cache.scope, cache.backend, cache.rules) == ("key", "memory", ())
    assert CacheRule().ttl_seconds is None


@pytest.mark.parametrize("said", [{"scope": "nobody"}, {"ttl_seconds": 0}, {"rule": []}])
def test_what_is_not_in_the_schema_is_refused(said: dict[str, object]):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(said, Cache)
