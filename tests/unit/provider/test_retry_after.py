from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.provider.retry_after import MAX_RETRY_AFTER_S, retry_after_s, span_s

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC).timestamp()
ONE_REQUEST_LEFT = {"x-ratelimit-remaining-requests": "1"}
NO_TOKENS_LEFT = {"x-ratelimit-remaining-tokens": "0"}


def asked(**fields: str) -> float | None:
    return of({name.replace("_", "-"): value for name, value in fields.items()})


def of(fields: dict[str, str]) -> float | None:
    return retry_after_s([(k.encode(), v.encode("latin-1")) for k, v in fields.items()], NOW)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("20", 20.0),
        ("0.5", 0.5),
        ("0", 0.0),
        ("-3", 0.0),
        ("Fri, 20 Nov 2026 12:01:00 GMT", 60.0),
        ("Friday, 20-Nov-26 12:01:00 GMT", 60.0),
        ("Fri, 20 Nov 2026 11:00:00 GMT", 0.0),
        ("999999999", MAX_RETRY_AFTER_S),
        ("soon", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("Fri, 99 Nov 2026 12:01:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value, seconds):
    assert asked(retry_after=value) == seconds


def test_milliseconds_win_over_seconds():
    assert asked(retry_after="2", retry_after_ms="1500") == 1.5
    assert asked(retry_after="2", retry_after_ms="x") == 2.0


def test_the_providers_own_word_wins_over_its_limits():
    assert of({"retry-after": "2", "x-ratelimit-reset-requests": "1h"}) == 2.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("6m0s", 360.0),
        ("1s", 1.0),
        ("120ms", 0.12),
        ("1h2m3.5s", 3723.5),
        ("7.66s", 7.66),
        ("30", 30.0),
        (str(int(NOW) + 30), 30.0),
        (str(int(NOW * 1000) + 30_000), 30.0),
        ("2026-11-20T12:00:45Z", 45.0),
        ("2026-11-20T12:00:45", 45.0),
        ("later", None),
    ],
)
def test_a_limit_says_when_it_is_whole_again_in_many_ways(value, seconds):
    assert of({"x-ratelimit-reset-requests": value}) == (
        pytest.approx(seconds) if seconds is not None else None
    )


def test_only_limits_that_are_used_up_count():
    fields = {"x-ratelimit-reset-requests": "1h", "x-ratelimit-reset-tokens": "6s"}
    assert of(fields | ONE_REQUEST_LEFT | NO_TOKENS_LEFT) == 6.0
    assert of({"x-ratelimit-reset-requests": "1h"} | ONE_REQUEST_LEFT) is None


def test_of_several_limits_the_last_to_be_whole_again_counts():
    assert of({"x-ratelimit-reset-requests": "1s", "x-ratelimit-reset-tokens": "6s"}) == 6.0


def test_anthropics_limits_are_understood():
    fields = {
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-11-20T12:00:10Z",
        "anthropic-ratelimit-tokens-remaining": "5000",
        "anthropic-ratelimit-tokens-reset": "2026-11-20T13:00:00Z",
    }
    assert of(fields) == 10.0


def test_who_says_nothing_says_nothing():
    assert of({"content-type": "text/html"}) is None


@given(st.dictionaries(st.sampled_from(["retry-after", "retry-after-ms"]), st.text(max_size=40)))
def test_no_text_makes_it_fail_or_leave_its_bounds(fields):
    raw = [(name.encode(), value.encode("utf-8", "replace")) for name, value in fields.items()]
    seconds = retry_after_s(raw, NOW)
    assert seconds is None or 0 <= seconds <= MAX_RETRY_AFTER_S


@given(st.integers(0, int(MAX_RETRY_AFTER_S)))
def test_a_date_is_the_time_until_then(seconds):
    date = format_datetime(datetime.fromtimestamp(NOW + seconds, UTC), usegmt=True)
    assert asked(retry_after=date) == seconds


@given(st.integers(0, 99), st.integers(0, 59), st.integers(0, 59))
def test_a_span_is_the_sum_of_its_parts(hours, minutes, seconds):
    assert span_s(f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


@pytest.mark.parametrize("text", ["", "5", "1x", "s", "1s later", "1.s", "-1s"])
def test_what_is_no_span_is_none(text):
    assert span_s(text) is None
