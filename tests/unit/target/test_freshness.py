import pytest

from modelmux.errors import InvalidRequest
from modelmux.target.freshness import ANY, NO_CACHE, NO_STORE, Freshness, parse


@pytest.mark.parametrize(
    ("value", "wish"),
    [
        ("no-store", NO_STORE),
        ("no-cache", NO_CACHE),
        (" No-Cache ", NO_CACHE),
        ("max-age=0", Freshness(max_age_s=0.0)),
        ("max-age=60", Freshness(max_age_s=60.0)),
        ("no-cache, max-age=5", NO_CACHE),
        ("max-age=5, no-cache", NO_CACHE),
        ("max-age=5, no-store", NO_STORE),
    ],
)
def test_a_wish_is_a_word_of_http(value: str, wish: Freshness):
    assert parse(value) == wish


@pytest.mark.parametrize("value", ["", "yes", "max-age", "max-age=-1", "max-age=1.5", "no-cache;"])
def test_another_word_is_refused_with_what_there_is(value: str):
    with pytest.raises(InvalidRequest, match="no-store, no-cache or max-age=SECONDS") as raised:
        parse(value)
    assert raised.value.param == "x-modelmux-cache"


def test_without_a_wish_whatever_is_kept_will_do():
    assert ANY.reads
    assert ANY.writes
    assert ANY.max_age_s is None
