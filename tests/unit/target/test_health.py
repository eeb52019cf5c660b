import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import (
    CredentialRefused,
    Interrupted,
    Overloaded,
    ProtocolViolation,
    RateLimited,
    Rejected,
    TargetError,
    TargetTimeout,
    Unreachable,
)
from modelmux.ir.response import Failure
from modelmux.target import health as module
from modelmux.target.call import Call
from modelmux.target.health import MAX_REST_S, BreakerPolicy, HealthBook, TargetHealth
from tests.support import targets
from tests.support.targets import FakeClock

POLICY = BreakerPolicy(slow_start_s=0.0)


class Life:
    """A target's health, and what happens to it."""

    def __init__(self, policy: BreakerPolicy = POLICY) -> None:
        self.clock = FakeClock()
        self.changes: list[str] = []
        self.book = HealthBook(
            self.clock, policy, changed=lambda each: self.changes.append(each.state)
        )
        self.health = self.book.of("p/m")

    @property
    def admits(self) -> bool:
        return not self.health.has_trouble or self.health.admits(self.clock())

    def succeed(self, took_s: float = 0.0) -> None:
        started = self.clock()
        self.health.begin(started)
        self.clock.advance(took_s)
        self.health.began(started, self.clock(), stream=False)
        self.health.ended(None, self.clock())

    def fail(self, exc: TargetError | None = None, call: Call | None = None) -> None:
        started = self.clock()
        self.health.begin(started)
        self.health.failed(exc or Unreachable("x"), call or targets.call(), started, self.clock())

    def open(self) -> None:
        for _ in range(self.book.policy.failures):
            self.fail()


def test_so_many_failures_in_a_row_open_the_breaker():
    life = Life()
    for _ in range(4):
        life.fail()
    assert life.admits
    life.fail()
    assert life.health.state == "open"
    assert not life.admits
    assert life.health.opened == 1


def test_a_success_between_them_begins_the_count_anew():
    life = Life()
    for _ in range(3):
        for _ in range(4):
            life.fail()
        life.succeed()
    assert life.health.state == "closed"


def test_too_large_a_share_of_failures_opens_it():
    life = Life(BreakerPolicy(failures=1000))
    for _ in range(10):
        life.succeed()
        life.fail()
    assert life.health.state == "open"


def test_few_calls_have_no_share():
    life = Life(BreakerPolicy(failures=1000))
    for _ in range(9):
        life.succeed()
        life.fail()
    assert life.health.state == "closed"
    assert life.health.error_rate == 0.5


def test_what_failed_long_ago_does_not_count():
    life = Life(BreakerPolicy(failures=1000))
    for _ in range(9):
        life.fail()
    life.clock.advance(46.0)
    assert life.health.error_rate == 0.0
    for _ in range(30):
        life.succeed()
    assert life.health.error_rate == 0.0
    assert life.health.state == "closed"


def test_after_a_while_one_call_is_let_through_and_its_answer_closes_the_breaker():
    life = Life()
    life.open()
    life.clock.advance(4.9)
    assert not life.admits
    life.clock.advance(0.2)
    assert life.admits
    started = life.clock()
    life.health.begin(started)
    assert life.health.state == "half_open"
    assert not life.admits, "one at a time"
    life.health.began(started, life.clock(), stream=True)
    assert life.health.state == "closed"
    assert life.admits
    assert life.changes == ["open", "half_open", "closed"]


def test_a_probe_that_fails_opens_it_for_twice_as_long():
    life = Life()
    life.open()
    waits = [5.0, 10.0, 20.0, 40.0, 60.0, 60.0]
    for wait_s in waits:
        assert life.health.waits_s(life.clock()) == pytest.approx(wait_s)
        life.clock.advance(wait_s)
        life.fail()
    life.clock.advance(60.0)
    life.succeed()
    life.open()
    assert life.health.waits_s(life.clock()) == pytest.approx(5.0)


def test_several_answers_may_be_asked_for():
    life = Life(BreakerPolicy(probes=2, slow_start_s=0.0))
    life.open()
    life.clock.advance(5.0)
    life.succeed()
    assert life.health.state == "half_open"
    assert life.admits
    life.succeed()
    assert life.health.state == "closed"


def test_after_it_recovered_it_takes_more_and_more_calls():
    life = Life(BreakerPolicy(slow_start_s=20.0))
    life.open()
    life.clock.advance(5.0)
    life.succeed()
    shares: list[float] = []
    for _ in range(5):
        assert life.admits
        shares.append(life.health.ramp(life.clock()))
        life.clock.advance(5.0)
    assert shares == [0.1, 0.25, 0.5, 0.75, 1.0]
    assert life.admits
    assert not life.health.has_trouble


def test_who_fails_while_it_recovers_is_left_alone_for_longer():
    life = Life(BreakerPolicy(slow_start_s=20.0))
    life.open()
    life.clock.advance(5.0)
    life.succeed()
    life.open()
    assert life.health.waits_s(life.clock()) == 10.0


def test_calls_that_were_under_way_change_nothing_once_it_is_open():
    life = Life()
    before = life.clock()
    for _ in range(3):
        life.health.begin(before)
    life.clock.advance(1.0)
    life.open()
    life.health.began(before, life.clock(), stream=True)
    life.health.ended(None, life.clock())
    for _ in range(2):
        life.health.failed(Unreachable("x"), targets.call(), before, life.clock())
    assert life.health.state == "open"
    assert life.health.waits_s(life.clock()) == 5.0


@pytest.mark.parametrize(
    "exc", [Rejected("x"), RateLimited("x")], ids=lambda exc: type(exc).__name__
)
def test_what_is_not_the_targets_fault_opens_nothing(exc: TargetError):
    life = Life()
    for _ in range(50):
        life.fail(exc)
    assert life.health.state == "closed"


@pytest.mark.parametrize(
    "exc",
    [
        Unreachable("x"),
        TargetTimeout("x"),
        Overloaded("x"),
        CredentialRefused("x"),
        ProtocolViolation("x"),
        Interrupted("x"),
    ],
    ids=lambda exc: type(exc).__name__,
)
def test_what_is_the_targets_fault_opens_it(exc: TargetError):
    life = Life()
    for _ in range(5):
        life.fail(exc)
    assert life.health.state == "open"


def test_a_callers_own_deadline_is_not_the_targets_fault():
    life = Life()
    call = targets.call()
    call.deadline = life.clock()
    for _ in range(50):
        life.fail(TargetTimeout("x"), call)
    assert life.health.state == "closed"


def test_whoever_refuses_a_call_is_there():
    life = Life()
    life.open()
    life.clock.advance(5.0)
    life.fail(Rejected("x"))
    assert life.health.state == "closed"


def test_a_target_over_its_limit_rests_until_it_wants_calls_again():
    life = Life()
    exc = RateLimited("x", retry_after_s=3.0)
    life.fail(exc)
    assert not life.admits
    assert life.health.waits_s(life.clock()) == 3.0
    life.clock.advance(3.0)
    assert life.admits
    assert life.health.state == "closed"
    life.fail(RateLimited("x", retry_after_s=9999.0))
    assert life.health.waits_s(life.clock()) == MAX_REST_S


def test_a_probe_that_nobody_waited_for_leaves_room_for_another():
    life = Life()
    life.open()
    life.clock.advance(5.0)
    started = life.clock()
    life.health.begin(started)
    life.health.left(targets.call(), started, life.clock())
    assert life.admits
    assert life.health.state == "half_open"


def test_streams_that_break_open_it():
    life = Life()
    for _ in range(5):
        life.health.begin(life.clock())
        life.health.began(life.clock(), life.clock(), stream=True)
        life.health.ended(Failure("unavailable", "cut"), life.clock())
    assert life.health.state == "open"


def test_a_stream_that_ends_in_the_callers_mistake_does_not():
    life = Life()
    for _ in range(9):
        life.health.begin(life.clock())
        life.health.began(life.clock(), life.clock(), stream=True)
        life.health.ended(Failure("content_filter", "no"), life.clock())
    assert life.health.state == "closed"


def test_a_breaker_that_is_off_stays_closed():
    life = Life(BreakerPolicy(enabled=False))
    for _ in range(99):
        life.fail()
    assert life.admits
    assert life.health.error_rate == 1.0


def test_checks_open_and_close_it_without_a_call():
    life = Life(BreakerPolicy(is_checked=True, slow_start_s=0.0))
    for _ in range(5):
        life.health.checked(life.clock(), ok=False)
    assert life.health.state == "open"
    life.clock.advance(5.0)
    assert not life.admits, "no call is a probe"
    life.health.checked(life.clock(), ok=False)
    life.clock.advance(9.0)
    life.health.checked(life.clock(), ok=True)
    assert life.health.state == "open", "its time is not up"
    life.clock.advance(1.0)
    life.health.checked(life.clock(), ok=True)
    assert life.health.state == "closed"


def test_times_of_streams_and_of_whole_answers_are_kept_apart():
    life = Life()
    life.succeed(took_s=2.0)
    assert life.health.latency(stream=False).seconds == 2.0
    assert life.health.latency(stream=True).seconds == 2.0, "better than nothing"
    started = life.clock()
    life.health.begin(started)
    life.health.began(started, started + 0.1, stream=True)
    assert life.health.latency(stream=True).seconds == pytest.approx(0.1)
    assert life.health.latency(stream=False).seconds == 2.0


def test_a_caller_who_gave_up_tells_how_slow_it_was():
    life = Life()
    started = life.clock()
    life.health.begin(started)
    life.health.left(targets.call(stream=True), started, started + 30.0)
    assert life.health.latency(stream=True).seconds == 30.0
    assert life.health.in_flight == 0


def test_the_health_of_a_name_is_the_same_each_time():
    life = Life()
    assert life.book.of("p/m") is life.health
    assert life.book.known("p/m") is life.health
    assert life.book.known("p/n") is None


def test_the_book_has_an_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_TARGETS", 3)
    life = Life()
    life.open()
    busy = life.book.of("busy")
    busy.begin(life.clock())
    for number in range(10):
        life.book.of(f"p/{number}")
        assert len(life.book) <= 3
    assert life.book.known("p/m") is life.health, "it has something to remember"
    assert next(each.name for each in life.book) == "p/m"


STEPS = st.lists(
    st.sampled_from(["fail", "succeed", "limit", "left", "wait", "reject"]), max_size=80
)


@given(STEPS)
def test_whatever_happens_a_target_can_come_back(steps: list[str]):
    life = Life()
    for step in steps:
        match step:
            case "fail":
                life.fail()
            case "succeed":
                life.succeed()
            case "limit":
                life.fail(RateLimited("x", retry_after_s=2.0))
            case "left":
                life.health.begin(life.clock())
                life.health.left(targets.call(), life.clock(), life.clock())
            case "reject":
                life.fail(Rejected("x"))
            case _:
                life.clock.advance(3.0)
    assert life.health.in_flight == 0
    life.clock.advance(61.0)
    assert life.admits
    life.succeed()
    assert life.health.state == "closed"
    assert life.admits


def test_a_target_is_made_by_its_book():
    book = HealthBook(FakeClock())
    assert isinstance(book.of("x"), TargetHealth)
    assert list(book) == [book.of("x")]
