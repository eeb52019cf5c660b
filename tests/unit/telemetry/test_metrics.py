from decimal import Decimal
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import Overloaded, RateLimited
from modelmux.ir.response import Usage
from modelmux.target.record import CallRecord, Outcome
from modelmux.telemetry.metrics import MAX_MODELS, OTHER, TOKEN_TYPES, Histogram, Metrics


def record(**fields: object) -> CallRecord:
    """A chat that was answered."""
    given: dict[str, object] = {
        "id": "c1",
        "wire": "w",
        "model": "m",
        "target": "p/m",
        "overhead_s": 0.001,
        "duration_s": 1.0,
    }
    return CallRecord(**(given | fields))  # type: ignore[arg-type]


def failed(**fields: object) -> CallRecord:
    return record(
        **{"outcome": "error", "status": 503, "error_kind": "overloaded", "overhead_s": None}
        | fields
    )


def counted(*records: CallRecord) -> Metrics:
    metrics = Metrics()
    for each in records:
        metrics.count(each)
    return metrics


def health(metrics: Metrics) -> list[float]:
    return list(metrics.health().values())


def test_a_callers_own_calls_are_requests_and_their_steps_are_not():
    metrics = counted(
        record(composite=True), record(parent_id="c1"), failed(parent_id="c1", target="q/n")
    )
    assert (metrics.requests, metrics.failures) == (1, 0)
    (requests,) = metrics.by_wire_and_target
    assert requests.statuses == {200: 1}
    assert requests.duration.counts.count(1) == 1


def test_what_a_composition_adds_up_is_not_counted_twice():
    usage, cost = Usage(10, 5), Decimal("0.5")
    metrics = counted(
        record(composite=True, usage=usage, cost_usd=cost, attempts=2),
        record(parent_id="c1", usage=usage, cost_usd=cost),
        failed(parent_id="c1", target="q/n"),
    )
    by_name = {(t.provider, t.model): t for t in metrics.targets}
    assert sum(by_name["p", "m"].tokens) == 15
    assert by_name["p", "m"].cost_usd == Decimal("0.5")
    assert by_name["p", "m"].attempts == {"ok": 1, "error": 0, "cancelled": 0}
    assert by_name["q", "n"].attempts == {"ok": 0, "error": 1, "cancelled": 0}


@pytest.mark.parametrize(
    ("outcome", "attempts", "expected"),
    [
        ("ok", 1, (1, 0, 0)),
        ("ok", 3, (1, 2, 0)),
        ("error", 3, (0, 3, 0)),
        ("cancelled", 2, (0, 1, 1)),
    ],
)
def test_attempts_are_counted_by_how_they_ended(
    outcome: Outcome, attempts: int, expected: tuple[int, ...]
):
    (target,) = counted(record(outcome=outcome, attempts=attempts)).targets
    assert tuple(target.attempts.values()) == expected


def test_a_call_that_was_tried_nowhere_is_nobodys_attempt():
    metrics = counted(failed(target="p/m", attempts=0))
    assert [sum(target.attempts.values()) for target in metrics.targets] == [0]
    assert metrics.requests == 1


def test_each_class_of_tokens_is_counted_apart_and_their_sum_is_all():
    usage = Usage(
        100,
        50,
        cache_read_input_tokens=30,
        cache_creation_input_tokens=20,
        reasoning_output_tokens=15,
    )
    (target,) = counted(record(usage=usage)).targets
    assert dict(zip(TOKEN_TYPES, target.tokens, strict=True)) == {
        "input": 50,
        "cache_read": 30,
        "cache_write": 20,
        "output": 35,
        "reasoning": 15,
    }
    assert sum(target.tokens) == 150


counts = st.integers(0, 1000)


@given(st.lists(st.tuples(counts, counts, counts, counts, counts), max_size=5))
def test_a_target_that_miscounts_never_makes_a_counter_go_back(
    usages: list[tuple[int, int, int, int, int]],
):
    metrics = Metrics()
    before = [0] * len(TOKEN_TYPES)
    for input_, output, read, written, reasoning in usages:
        metrics.count(
            record(
                usage=Usage(
                    input_,
                    output,
                    cache_read_input_tokens=read,
                    cache_creation_input_tokens=written,
                    reasoning_output_tokens=reasoning,
                )
            )
        )
        (target,) = metrics.targets
        assert all(a >= b for a, b in zip(target.tokens, before, strict=True))
        before = list(target.tokens)


def test_failures_are_counted_by_kind_whatever_code_the_target_gave():
    metrics = counted(failed(error_code="weird-1"), failed(error_code="weird-2"))
    (requests,) = metrics.by_wire_and_target
    assert requests.failures == {"overloaded": 2}
    assert metrics.failures == 2


def test_the_first_event_is_timed_for_streams_only():
    (requests,) = counted(record(), record(stream=True, first_s=0.3)).by_wire_and_target
    assert sum(requests.first.counts) == 1
    assert sum(requests.duration.counts) == 2


def test_overhead_is_kept_by_wire_of_the_calls_that_were_answered():
    metrics = counted(record(overhead_s=0.0004), failed(), record(wire="v"))
    assert {wire: sum(h.counts) for wire, h in metrics.overheads.items()} == {"w": 1, "v": 1}


def test_a_name_that_nobody_offers_is_no_label():
    metrics = counted(failed(target="", model="made up by the caller", attempts=0, status=404))
    (requests,) = metrics.by_wire_and_target
    assert (requests.target.provider, requests.target.model) == ("", "")
    assert list(metrics.targets) == []


def test_a_name_that_a_provider_does_not_know_is_no_label():
    unknown = failed(target="p/made up", error_kind="not_found", status=404)
    metrics = counted(unknown, unknown)
    (requests,) = metrics.by_wire_and_target
    assert (requests.target.provider, requests.target.model) == ("p", OTHER)
    assert requests.statuses == {404: 2}
    assert requests.target.attempts["error"] == 2


def test_a_model_that_was_answered_keeps_its_label_when_it_is_not_found():
    gone = failed(error_kind="not_found", status=404)
    (requests,) = counted(record(), gone).by_wire_and_target
    assert (requests.target.model, requests.statuses) == ("m", {200: 1, 404: 1})


def test_there_is_an_end_to_labels():
    metrics = Metrics()
    for number in range(MAX_MODELS + 50):
        metrics.count(record(target=f"p/m{number}", usage=Usage(1)))
        metrics.count(record(target=f"p/m{number}", usage=Usage(1)))
    assert len(list(metrics.targets)) == MAX_MODELS + 1
    assert len(list(metrics.by_wire_and_target)) == MAX_MODELS + 1
    (other,) = [t for t in metrics.targets if t.model == OTHER]
    assert other.tokens[0] == 100
    (others,) = [r for r in metrics.by_wire_and_target if r.target is other]
    assert others.statuses == {200: 100}


def test_retries_are_counted_with_their_target():
    metrics = Metrics()
    metrics.retried("p/m", RateLimited("429"))
    metrics.retried("p/m", Overloaded("529"))
    (target,) = metrics.targets
    assert target.retries == 2


def test_health_counts_retries_and_those_that_a_quota_caused():
    metrics = Metrics()
    metrics.retried("p/m", RateLimited("429"))
    metrics.retried("p/m", Overloaded("529"))
    assert (metrics.health()["retry_attempts"], metrics.health()["quota_errors"]) == (2, 1)


def test_without_requests_everything_is_well():
    assert Metrics().health() == {
        "total_requests": 0,
        "successful_requests": 0,
        "failed_requests": 0,
        "quota_errors": 0,
        "retry_attempts": 0,
        "success_rate": 100.0,
    }
    assert isinstance(Metrics().health()["success_rate"], float)


@pytest.mark.parametrize(
    ("answered", "refused", "rate"), [(1, 1, 50.0), (1, 2, 33.0), (2, 1, 67.0), (5, 3, 63.0)]
)
def test_the_success_rate_is_a_whole_number_of_percent_and_halves_go_up(
    answered: int, refused: int, rate: float
):
    metrics = counted(*[record()] * answered, *[failed()] * refused)
    assert health(metrics)[:3] == [answered + refused, answered, refused]
    assert metrics.health()["success_rate"] == rate


@pytest.mark.parametrize(
    ("each", "expected"),
    [
        (record(), [1, 1, 0]),
        (failed(), [1, 0, 1]),
        (record(operation="count_tokens"), [0, 0, 0]),
        (failed(target="", model=""), [0, 0, 0]),
        (failed(stream=True, first_s=0.1), [1, 1, 0]),
        (record(outcome="cancelled", stream=True, first_s=0.1), [1, 1, 0]),
        (record(outcome="cancelled", overhead_s=None), [0, 0, 0]),
        (record(parent_id="c0"), [0, 0, 0]),
    ],
    ids=[
        "answered",
        "failed",
        "not a chat",
        "a body that could not be read",
        "a stream that broke",
        "a stream whose caller left",
        "a caller who left before",
        "a step",
    ],
)
def test_health_counts_chats_and_a_stream_once_it_has_begun(
    each: CallRecord, expected: list[float]
):
    assert health(counted(each))[:3] == expected


@given(st.lists(st.floats(0, 100)))
def test_a_histogram_counts_each_value_in_every_bucket_it_fits(values: list[float]):
    histogram = Histogram((0.1, 1.0, 10.0))
    for value in values:
        histogram.observe(value)
    expected = [
        (name, sum(value <= bound for value in values))
        for name, bound in (("0.1", 0.1), ("1.0", 1.0), ("10.0", 10.0), ("+Inf", inf))
    ]
    assert histogram.cumulative() == expected
    assert histogram.sum == pytest.approx(sum(values))
