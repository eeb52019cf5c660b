import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import (
    CredentialRefused,
    InvalidRequest,
    Overloaded,
    RateLimited,
    Rejected,
    TargetError,
    TargetTimeout,
    Unreachable,
)
from modelmux.layer.retry import Pacing, Retry, RetryBudget, RetryPolicy
from modelmux.target.call import Call
from modelmux.target.reply import Reply
from tests.support import targets
from tests.support.linewire import LineWire
from tests.support.targets import Fake, FakeClock

WIRE = LineWire()
OK = targets.whole(wire=WIRE)
POLICY = RetryPolicy(max_attempts=3, base_s=1.0, cap_s=8.0, retry_after_cap_s=30.0)


class Retries:
    """A retry layer whose surroundings can be looked at."""

    def __init__(
        self,
        fake: Fake,
        policy: RetryPolicy = POLICY,
        budget: RetryBudget | None = None,
        random: float = 0.5,
    ) -> None:
        self.clock = FakeClock()
        self.retried_targets: list[tuple[str, TargetError]] = []
        self.layer = Retry(
            fake,
            policy=policy,
            budget=budget or RetryBudget(burst=100.0),
            meter=self,
            pacing=Pacing(self.clock, lambda: random, self.clock.sleep),
        )

    def retried(self, target: str, exc: TargetError) -> None:
        self.retried_targets.append((target, exc))

    def send(self, call: Call | None = None) -> Reply:
        return asyncio.run(self.layer.send(call or targets.call(WIRE)))


def late(retry_after_s: float) -> RateLimited:
    return RateLimited("slow down", retry_after_s=retry_after_s)


def test_an_answer_at_once_is_passed_on_and_counts_one_attempt():
    fake = Fake(OK)
    retries = Retries(fake)
    assert retries.send().attempts == 1
    assert retries.clock.slept == []
    assert retries.retried_targets == []


def test_a_failure_is_tried_again_and_every_attempt_is_counted():
    fake = Fake(Unreachable("a"), Overloaded("b"), OK)
    retries = Retries(fake)
    assert retries.send().attempts == 3
    assert len(fake.calls) == 3


def test_pauses_double_and_are_random_up_to_their_bound():
    retries = Retries(
        Fake(*[Unreachable("x")] * 5, OK),
        RetryPolicy(max_attempts=6, base_s=1.0, cap_s=5.0),
        random=0.5,
    )
    retries.send()
    assert retries.clock.slept == [0.5, 1.0, 2.0, 2.5, 2.5]


def test_a_pause_of_nothing_is_no_pause():
    retries = Retries(Fake(Unreachable("x"), OK), random=0.0)
    retries.send()
    assert retries.clock.slept == []


def test_the_last_failure_is_raised_with_the_sum_of_all_attempts():
    last = Overloaded("third")
    fake = Fake(Unreachable("first"), Unreachable("second"), last)
    with pytest.raises(Overloaded) as caught:
        Retries(fake).send()
    assert caught.value is last
    assert caught.value.attempts == 3


def test_attempts_of_a_composition_inside_are_added_up():
    inner = Unreachable("both down")
    inner.attempts = 2

    def answer() -> Reply:
        reply = OK()
        reply.attempts = 2
        return reply

    assert Retries(Fake(inner, answer)).send().attempts == 4


def test_a_refusal_is_not_tried_again():
    fake = Fake(Rejected("no such parameter"))
    with pytest.raises(Rejected):
        Retries(fake).send()
    assert len(fake.calls) == 1


def test_a_callers_mistake_is_not_tried_again():
    fake = Fake(InvalidRequest("no messages"))
    with pytest.raises(InvalidRequest):
        Retries(fake).send()
    assert len(fake.calls) == 1


def test_a_refused_key_is_not_tried_twice():
    fake = Fake(CredentialRefused("401"))
    with pytest.raises(CredentialRefused):
        Retries(fake).send()
    assert len(fake.calls) == 1


def test_a_refused_key_is_followed_by_each_other_key_at_once():
    fake = Fake(CredentialRefused("401"))
    retries = Retries(fake, RetryPolicy(max_attempts=5, keys=3))
    with pytest.raises(CredentialRefused):
        retries.send()
    assert len(fake.calls) == 3
    assert retries.clock.slept == []


def test_a_target_is_given_the_pause_it_asks_for_and_never_less():
    retries = Retries(Fake(late(7.0), OK), random=0.5)
    retries.send()
    assert retries.clock.slept == [7.5]


def test_a_target_that_asks_for_too_long_a_pause_is_given_up():
    fake = Fake(late(31.0), OK)
    with pytest.raises(RateLimited):
        Retries(fake).send()
    assert len(fake.calls) == 1


def test_no_pause_goes_past_the_deadline():
    fake = Fake(late(10.0), OK)
    retries = Retries(fake)
    with pytest.raises(RateLimited):
        retries.send(targets.call(WIRE).with_deadline(retries.clock() + 10.0))
    assert len(fake.calls) == 1
    assert retries.clock.slept == []


def test_a_call_that_ran_out_of_time_is_not_tried_again():
    fake = Fake(TargetTimeout("no answer"))
    retries = Retries(fake)
    call = targets.call(WIRE).with_deadline(retries.clock())
    with pytest.raises(TargetTimeout):
        retries.send(call)
    assert len(fake.calls) == 1


def test_without_budget_nothing_is_tried_again():
    fake = Fake(Unreachable("down"), OK)
    retries = Retries(fake, budget=RetryBudget(ratio=0.2, min_per_s=0.0, burst=1.0, now=1000.0))
    retries.send()
    with pytest.raises(Unreachable):
        Retries(Fake(Unreachable("down"), OK), budget=retries.layer._budget).send()


def test_pauses_are_not_our_own_time():
    retries = Retries(Fake(late(2.0), late(3.0), OK), random=0.0)
    call = targets.call(WIRE)
    retries.send(call)
    assert call.meter.waited_s == 5.0


def test_each_retry_is_told_with_its_target_and_cause():
    named, nameless = Unreachable("a"), Unreachable("b")
    named.target = "q/n"
    retries = Retries(Fake(named, nameless, OK, name="p/m"))
    retries.send()
    assert retries.retried_targets == [("q/n", named), ("p/m", nameless)]


def test_the_failure_that_is_given_up_is_not_told_as_a_retry():
    retries = Retries(Fake(Unreachable("down")))
    with pytest.raises(Unreachable):
        retries.send()
    assert len(retries.retried_targets) == 2


def test_a_caller_who_leaves_during_a_pause_is_not_answered():
    fake = Fake(Unreachable("down"), OK)

    async def run() -> None:
        async def forever(_seconds: float) -> None:
            await asyncio.Event().wait()

        retries = Retries(fake)
        retries.layer._pacing = Pacing(retries.clock, lambda: 0.5, forever)
        sending = asyncio.ensure_future(retries.layer.send(targets.call(WIRE)))
        await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait((sending,))
        assert sending.cancelled()

    asyncio.run(run())
    assert len(fake.calls) == 1


def test_failures_of_earlier_attempts_do_not_hang_on_the_last_one():
    last = Unreachable("second")
    with pytest.raises(Unreachable) as caught:
        Retries(Fake(Unreachable("first"), last), RetryPolicy(max_attempts=2)).send()
    assert caught.value.__context__ is None


@given(
    attempt=st.integers(1, 10_000),
    random=st.floats(0.0, 1.0, exclude_max=True),
    retry_after_s=st.none() | st.floats(0.0, 1e9),
)
def test_a_pause_is_bounded_and_respects_what_the_target_asked(
    attempt: int, random: float, retry_after_s: float | None
):
    policy = RetryPolicy(max_attempts=20_000, base_s=0.5, cap_s=8.0, retry_after_cap_s=30.0)
    pause_s = policy.pause_s(Overloaded("x", retry_after_s=retry_after_s), attempt, random)
    asked = retry_after_s or 0.0
    if asked > 30.0:
        assert pause_s is None
    else:
        assert pause_s is not None
        assert asked <= pause_s <= asked + 8.0


def test_a_budget_earns_a_fraction_of_each_call():
    budget = RetryBudget(ratio=0.5, min_per_s=0.0, burst=1.0)
    assert budget.withdraw(0.0)
    assert not budget.withdraw(0.0)
    budget.deposit()
    assert not budget.withdraw(0.0)
    budget.deposit()
    assert budget.withdraw(0.0)


def test_a_budget_has_a_reserve_for_a_gateway_with_few_calls():
    budget = RetryBudget(ratio=0.0, min_per_s=2.0, burst=1.0, now=100.0)
    assert budget.withdraw(100.0)
    assert not budget.withdraw(100.4)
    assert budget.withdraw(100.5)


def test_a_budget_saves_up_no_more_than_its_burst():
    budget = RetryBudget(ratio=1.0, min_per_s=1000.0, burst=2.0)
    for _ in range(1000):
        budget.deposit()
    assert [budget.withdraw(1.0) for _ in range(3)] == [True, True, False]


def test_a_clock_that_goes_back_earns_nothing():
    budget = RetryBudget(ratio=0.0, min_per_s=1.0, burst=1.0, now=100.0)
    assert budget.withdraw(100.0)
    assert not budget.withdraw(50.0)
    assert not budget.withdraw(100.5)
    assert budget.withdraw(101.0)
