from modelmux.errors import Unreachable
from modelmux.target.counts import ChoiceCounts
from modelmux.target.health import HealthBook
from modelmux.telemetry.health_metrics import of_choices, of_targets
from modelmux.telemetry.metrics import MAX_MODELS
from tests.support import targets
from tests.support.targets import FakeClock


def samples(book: HealthBook) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in of_targets(book)
        for sample in family.samples
    }


def broken() -> HealthBook:
    clock = FakeClock()
    book = HealthBook(clock)
    health = book.of("p/m")
    health.begin(clock())
    health.began(clock(), clock() + 0.5, stream=True)
    for _ in range(5):
        health.begin(clock())
        health.failed(Unreachable("x"), targets.call(), clock(), clock())
    return book


def test_what_is_told_of_a_target():
    assert samples(broken()) == {
        ("modelmux_breaker_state", "p", "m"): 2.0,
        ("modelmux_breaker_opened_total", "p", "m"): 1.0,
        ("modelmux_target_error_rate", "p", "m"): 1.0,
        ("modelmux_target_in_flight", "p", "m"): 1.0,
        ("modelmux_target_latency_seconds", "p", "m", "true"): 0.5,
    }


def test_of_who_was_never_asked_nothing_is_told():
    book = HealthBook(FakeClock())
    book.of("p/m")
    assert samples(book) == {}


def test_where_not_all_can_be_told_those_in_trouble_are():
    book = broken()
    clock = FakeClock()
    for number in range(MAX_MODELS + 5):
        book.of(f"q/{number}").begin(clock())
    found = samples(book)
    assert found["modelmux_breaker_state", "p", "m"] == 2.0
    assert sum(key[0] == "modelmux_breaker_state" for key in found) == MAX_MODELS


def test_hedges_and_copies():
    counts = ChoiceCounts()
    counts.hedges, counts.hedges_won, counts.mirrored, counts.mirrors_dropped = 4, 3, 2, 1
    found = {
        (sample.name, sample.labels["outcome"]): sample.value
        for family in of_choices(counts)
        for sample in family.samples
    }
    assert found == {
        ("modelmux_hedges_total", "made"): 4,
        ("modelmux_hedges_total", "won"): 3,
        ("modelmux_mirrors_total", "sent"): 2,
        ("modelmux_mirrors_total", "dropped"): 1,
    }
