from modelmux.config import fleet
from modelmux.errors import RateLimited, TargetError, Unreachable
from modelmux.target.health import HealthBook
from tests.support import targets
from tests.support.targets import FakeClock


class Fleet:
    """Targets, and what happened to them."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.book = HealthBook(self.clock)

    def fail(self, name: str, exc: TargetError | None = None, times: int = 5) -> None:
        for _ in range(times):
            health, now = self.book.of(name), self.clock()
            health.begin(now)
            health.failed(exc or Unreachable("x"), targets.call(), now, now)

    def answer(self, name: str) -> None:
        health, now = self.book.of(name), self.clock()
        health.begin(now)
        health.began(now, now + 0.25, stream=True)
        health.ended(None, now)


def test_those_in_trouble_come_first_and_those_never_asked_not_at_all():
    made = Fleet()
    made.book.of("idle/m")
    made.answer("a/m")
    made.fail("b/m")
    first, second = fleet.statuses(made.book)
    assert (first.name, first.state, first.next_try_in_s, first.error_rate) == (
        "b/m",
        "open",
        5.0,
        1.0,
    )
    assert (second.name, second.state, second.latency_ms) == ("a/m", "closed", 250.0)


def test_troubles_are_told_in_words():
    made = Fleet()
    made.answer("a/m")
    made.fail("b/m")
    made.fail("c/m", RateLimited("x", retry_after_s=7.0), times=1)
    assert fleet.troubles(made.book) == [
        "b/m: fails, next try in 5 s",
        "c/m: over its limit for 7 s",
    ]


def test_nobody_reads_more_than_so_many():
    made = Fleet()
    for number in range(fleet.MAX_TOLD + 5):
        made.fail(f"p/{number}")
    assert len(fleet.statuses(made.book)) == len(fleet.troubles(made.book)) == fleet.MAX_TOLD


def test_all_is_down_when_every_provider_has_only_broken_targets():
    made = Fleet()
    made.fail("a/m")
    assert fleet.is_down(made.book, ["a"])
    assert not fleet.is_down(made.book, ["a", "b"]), "nobody has asked b yet"
    made.fail("b/m")
    assert fleet.is_down(made.book, ["a", "b"])
    made.answer("b/n")
    assert not fleet.is_down(made.book, ["a", "b"])
    assert not fleet.is_down(made.book, [])
