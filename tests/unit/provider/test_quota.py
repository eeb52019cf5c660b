from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.provider.limit_headers import Said
from modelmux.provider.quota import (
    FIRST_OUTPUT_TOKENS,
    RELAXED_LOOK_S,
    SILENT_LOOK_S,
    SLACK_S,
    Account,
    Bucket,
    Cost,
    Limits,
    Quota,
)

REQUEST: Cost = (1.0, 0.0, 0.0, 0.0)


def said(remaining: float, limit: float | None = 60, reset_s: float | None = None) -> Said:
    """What a bucket that is filled in a minute says."""
    if reset_s is None and limit is not None:
        reset_s = limit - remaining
    return Said("requests", remaining, limit, reset_s)


# Buckets


def test_a_full_bucket_gives_a_minutes_worth_at_once_and_then_steadily():
    bucket = Bucket(60.0, 0.0, per_s=1.0)
    for _ in range(60):
        assert bucket.wait_s(0.0, 1.0) == 0.0
        bucket.take(0.0, 1.0)
    assert bucket.wait_s(0.0, 1.0) == pytest.approx(1.0 + SLACK_S)
    assert bucket.wait_s(0.0, 5.0) == pytest.approx(5.0 + SLACK_S)
    assert bucket.wait_s(2.0, 1.0) == 0.0


def test_what_waits_is_a_little_late_once_and_not_each_time():
    bucket = Bucket(60.0, 0.0, per_s=1.0)
    bucket.take(0.0, 60.0)
    now = 0.0
    for number in range(1, 20):
        now += bucket.wait_s(now, 1.0)
        assert bucket.wait_s(now, 1.0) == 0.0
        bucket.take(now, 1.0)
        assert now == pytest.approx(number + SLACK_S)


def test_what_does_not_fit_in_at_all_gets_all_there_is():
    bucket = Bucket(100.0, 0.0, per_s=10.0)
    assert bucket.wait_s(0.0, 5000.0) == 0.0
    bucket.take(0.0, 5000.0)
    assert bucket.wait_s(0.0, 1.0) == pytest.approx(490.1 + SLACK_S)


def test_what_was_not_used_comes_back_and_never_more_than_fits_in():
    bucket = Bucket(100.0, 0.0, per_s=1.0)
    bucket.take(0.0, 90.0)
    bucket.give(50.0)
    assert bucket.level == 60.0
    bucket.give(500.0)
    assert bucket.level == 100.0
    bucket.give(-30.0)  # more was used than was thought
    assert bucket.level == 70.0


@given(st.lists(st.tuples(st.floats(0.0, 10.0), st.floats(0.0, 50.0)), max_size=50))
def test_never_more_than_a_minutes_worth_and_what_came_since_is_let_through(
    asked: list[tuple[float, float]],
):
    bucket = Bucket(50.0, 0.0, per_s=2.0)
    now = taken = 0.0
    for pause_s, amount in asked:
        now += pause_s
        if bucket.wait_s(now, amount) == 0.0:
            bucket.take(now, amount)
            taken += amount
    assert taken <= 50.0 + 2.0 * now + 1e-3


def test_the_rate_at_which_it_comes_back_is_told_by_how_long_that_takes():
    # By the day and not by the minute: 30 requests come back in 180 s.
    bucket = Bucket(14_400.0, 0.0, per_s=240.0)
    day = Said("requests", 14_370, 14_400, 180.0)
    bucket.believe(0.0, day, sent_at=0.0, since=0.0)
    assert bucket.rate == pytest.approx(30 / 180)


def test_whole_seconds_are_taken_for_the_slower_rate():
    bucket = Bucket(60.0, 0.0, per_s=1.0)
    bucket.believe(0.0, Said("requests", 59, 60, 0.0, imprecision_s=1.0), sent_at=0.0, since=0.0)
    assert bucket.rate == 1.0


def test_a_window_comes_back_at_one_moment():
    bucket = Bucket(100.0, 0.0, per_s=100.0)
    window = Said("requests", 1, 100, 30.0, is_window=True)
    bucket.believe(0.0, window, sent_at=0.0, since=1.0)
    assert bucket.wait_s(0.0, 1.0) == 30.0
    assert bucket.wait_s(29.0, 1.0) == 1.0
    assert bucket.wait_s(30.0, 1.0) == 0.0
    assert bucket.level == 100.0


# The configuration's limits


def test_the_limit_that_is_tightest_counts():
    quota = Quota(Limits(60, 600, 2), 0.0)
    assert quota.wait_s(0.0, 100.0) == 0.0
    quota.take(0.0, 600.0)
    assert quota.wait_s(0.0, 100.0) == pytest.approx(10.0 + SLACK_S)
    assert quota.reason(0.0, 100.0) == "600 tokens a minute"
    quota.take(0.0, 0.0)
    assert quota.wait_s(0.0, 0.0) == inf
    assert quota.reason(0.0, 0.0) == "2 calls at once"
    quota.end(500.0)
    assert quota.wait_s(0.0, 100.0) == 0.0


def test_requests_are_counted_when_they_begin_and_not_given_back():
    quota = Quota(Limits(requests_per_minute=1), 0.0)
    quota.take(0.0, 0.0)
    quota.end(0.0)
    assert quota.wait_s(0.0, 0.0) == pytest.approx(60.0)  # all there can be, so not later
    assert quota.reason(0.0, 0.0) == "1 requests a minute"


def test_no_limits_are_false():
    assert not Limits()
    assert Limits(concurrency=1)


# The provider's word


def test_nothing_is_known_and_nothing_waits_before_the_provider_has_spoken():
    account = Account()
    for _ in range(1000):
        account.take(REQUEST)
    assert account.wait_s(0.0, REQUEST) == 0.0
    assert account.counts_tokens
    assert account.mean_output == FIRST_OUTPUT_TOKENS


def send(account: Account, now: float) -> list[float]:
    account.wait_s(now, REQUEST)
    account.take(REQUEST)
    return account.sent.copy()


def test_calls_under_way_when_the_provider_spoke_count_too():
    account = Account()
    first = send(account, 0.0)
    send(account, 0.0)
    send(account, 0.0)
    account.hear(0.0, [said(2)], sent_at=0.0, mark=first)
    assert account.wait_s(0.0, REQUEST) == pytest.approx(1.0 + SLACK_S)
    assert account.reason(0.0, REQUEST) == "60 requests, which the provider told of"


def test_an_older_word_that_comes_late_is_not_believed():
    account = Account()
    first = send(account, 0.0)
    second = send(account, 0.0)
    account.hear(1.0, [said(0)], sent_at=0.0, mark=second)
    account.hear(5.0, [said(50)], sent_at=0.0, mark=first)
    # At 1 s one had come back; at 5 s there are four more.
    assert account.wait_s(5.0, (6.0, 0.0, 0.0, 0.0)) == pytest.approx(1.0 + SLACK_S)


def test_what_has_come_back_while_an_answer_was_made_counts():
    account = Account()
    mark = send(account, 0.0)
    account.hear(10.0, [said(0)], sent_at=0.0, mark=mark)
    assert account.wait_s(10.0, (10.0, 0.0, 0.0, 0.0)) == 0.0
    assert account.wait_s(10.0, (11.0, 0.0, 0.0, 0.0)) > 0.0


def test_answers_are_read_less_often_while_much_is_left_and_always_when_little_is():
    account = Account()
    account.hear(0.0, [said(50)], sent_at=0.0, mark=send(account, 0.0))
    assert not account.listens(RELAXED_LOOK_S / 2)
    assert account.listens(RELAXED_LOOK_S)
    account.hear(1.0, [said(10)], sent_at=1.0, mark=send(account, 1.0))
    assert account.listens(1.0)
    account.hear(2.0, [said(50)], sent_at=2.0, mark=send(account, 2.0))
    for _ in range(40):
        send(account, 2.0)
    assert account.listens(2.0)


def test_a_provider_that_says_nothing_is_asked_again_later():
    account = Account()
    account.hear(0.0, [], sent_at=0.0, mark=send(account, 0.0))
    assert not account.counts_tokens
    assert not account.listens(SILENT_LOOK_S - 0.1)
    assert account.listens(SILENT_LOOK_S)


def test_tokens_are_counted_once_a_limit_of_them_is_known():
    account = Account()
    tokens = Said("tokens", 100, 1000, 54.0)
    account.hear(0.0, [said(59)], sent_at=0.0, mark=send(account, 0.0))
    assert not account.counts_tokens
    account.hear(0.0, [said(59), tokens], sent_at=0.0, mark=send(account, 0.0))
    assert account.counts_tokens
    assert account.wait_s(0.0, (1.0, 100.0, 100.0, 0.0)) == 0.0
    assert account.wait_s(0.0, (1.0, 600.0, 100.0, 0.0)) == pytest.approx(30.0 + SLACK_S)
    alone = Account()
    alone.hear(0.0, [tokens], sent_at=0.0, mark=send(alone, 0.0))
    assert alone.counts_tokens


def test_the_length_of_answers_is_learned():
    account = Account()
    for _ in range(50):
        account.answered(1000)
    assert account.mean_output == pytest.approx(1000.0, rel=0.01)
