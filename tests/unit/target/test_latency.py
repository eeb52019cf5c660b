import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.target.latency import MAX_SAMPLES, RENEWED_EVERY, TAU_S, Latency

SECONDS = st.floats(0.001, 100)


def observed(*samples: float, every: float = 1.0) -> Latency:
    latency = Latency()
    for number, seconds in enumerate(samples):
        latency.observe(seconds, number * every)
    return latency


def test_without_samples_nothing_is_known():
    latency = Latency()
    assert (latency.seconds, latency.faded(5.0), latency.percentile(0.95)) == (0.0, 0.0, 0.0)


def test_a_slow_answer_counts_at_once():
    assert observed(0.1, 0.1, 3.0).seconds == 3.0


def test_quick_answers_count_by_and_by():
    latency = observed(3.0, 0.1)
    assert 2.0 < latency.seconds < 3.0
    for second in range(2, 100):
        latency.observe(0.1, second)
    assert latency.seconds == pytest.approx(0.1, abs=0.01)


def test_who_was_slow_long_ago_is_to_be_tried_again():
    latency = observed(3.0)
    assert latency.faded(0.0) == 3.0
    assert latency.faded(TAU_S) == pytest.approx(3.0 / 2.718, rel=0.01)
    assert latency.faded(20 * TAU_S) < 0.001
    assert latency.seconds == 3.0


def test_an_answer_that_never_came_took_at_least_so_long():
    latency = observed(1.0)
    latency.at_least(0.5, 1.0)
    assert latency.count == 1
    latency.at_least(5.0, 2.0)
    assert latency.seconds == 5.0


def test_a_percentile_is_that_of_the_last_samples():
    latency = observed(*(float(n) for n in range(1, 101)))
    assert latency.percentile(0.95) == 96.0
    for second in range(MAX_SAMPLES):
        latency.observe(1.0, 200.0 + second)
    assert latency.percentile(0.95) == 1.0


@given(st.lists(SECONDS, min_size=1, max_size=300), st.floats(0.01, 0.99))
def test_a_percentile_is_one_of_the_samples_and_not_long_out_of_date(
    samples: list[float], share: float
):
    latency = Latency()
    for number, seconds in enumerate(samples):
        latency.observe(seconds, float(number))
        latency.percentile(share)
    kept = samples[-MAX_SAMPLES - RENEWED_EVERY :]
    assert latency.percentile(share) in kept


@given(st.lists(SECONDS, min_size=1, max_size=50))
def test_the_average_lies_between_the_quickest_and_the_slowest(samples: list[float]):
    latency = observed(*samples)
    assert min(samples) * 0.999 <= latency.seconds <= max(samples) * 1.001
