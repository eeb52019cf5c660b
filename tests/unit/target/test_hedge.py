import asyncio

import pytest

from bench.virtual import pause, run
from modelmux.errors import TargetError, Unreachable
from modelmux.layer.watch import Watch
from modelmux.target.balance import Balance
from modelmux.target.call import Call
from modelmux.target.candidate import Candidate
from modelmux.target.health import HealthBook
from modelmux.target.hedge import BURST, MIN_SAMPLES, Hedge, HedgePolicy
from modelmux.target.reply import Reply
from tests.support import targets
from tests.support.choices import House
from tests.support.linewire import LineWire

WIRE = LineWire()


class Slow:
    """A target that takes its time, and notes how each call ended."""

    def __init__(self, name: str, *times: float, fails: bool = False) -> None:
        self.name = name
        self.times = list(times)
        self.fails = fails
        self.ended: list[str] = []
        self.replies: list[Reply] = []
        self.steps: list[Call] = []

    async def send(self, call: Call) -> Reply:
        self.steps.append(call)
        try:
            await pause(self.times.pop(0) if len(self.times) > 1 else self.times[0])
        except asyncio.CancelledError:
            self.ended.append("cancelled")
            raise
        if self.fails:
            self.ended.append("failed")
            raise Unreachable("x")
        self.ended.append("answered")
        reply = targets.whole(wire=WIRE, target=self.name)()
        self.replies.append(reply)
        return reply


def raced(*slow: Slow, policy: HedgePolicy | None = None) -> tuple[Balance, Hedge]:
    """A hedged choice in the order given, whose answers have mostly taken a tenth of a second."""
    now = asyncio.get_running_loop().time
    house, book = House(), HealthBook(now)
    candidates: list[Candidate] = []
    for each in slow:
        health = book.of(each.name)
        for _ in range(MIN_SAMPLES):
            health.whole.observe(0.1, now())
        candidates.append(Candidate(Watch(each, health=health, now=now), health))
    hedge = Hedge(policy or HedgePolicy(), now)
    return Balance("m", house.chooser([candidates]), hedge=hedge), hedge


async def timed(target: Balance, call: Call | None = None) -> tuple[Reply, float]:
    loop = asyncio.get_running_loop()
    started = loop.time()
    reply = await target.send(call or targets.call(WIRE))
    return reply, loop.time() - started


def test_a_quick_answer_is_the_only_one():
    async def main() -> None:
        first, second = Slow("a/m", 0.05), Slow("b/m", 0.05)
        target, hedge = raced(first, second)
        reply, _ = await timed(target)
        assert (reply.target, reply.attempts) == ("a/m", 1)
        assert (second.steps, hedge.counts.hedges) == ([], 0)

    run(main())


def test_a_slow_first_is_overtaken_and_cancelled():
    async def main() -> None:
        first, second = Slow("a/m", 5.0), Slow("b/m", 0.2)
        target, hedge = raced(first, second)
        reply, took_s = await timed(target)
        assert (reply.target, reply.attempts) == ("b/m", 2)
        assert took_s == pytest.approx(0.3, abs=0.01), "the usual tenth, and the second's time"
        assert (first.ended, second.ended) == (["cancelled"], ["answered"])
        assert (hedge.counts.hedges, hedge.counts.hedges_won) == (1, 1)

    run(main())


def test_a_first_that_answers_after_all_wins():
    async def main() -> None:
        first, second = Slow("a/m", 0.2), Slow("b/m", 5.0)
        target, hedge = raced(first, second)
        reply, took_s = await timed(target)
        assert (reply.target, reply.attempts) == ("a/m", 2)
        assert took_s == pytest.approx(0.2, abs=0.01)
        assert second.ended == ["cancelled"]
        assert (hedge.counts.hedges, hedge.counts.hedges_won) == (1, 0)

    run(main())


def test_one_that_fails_leaves_it_to_the_other():
    async def main() -> None:
        first, second = Slow("a/m", 0.15, fails=True), Slow("b/m", 0.2)
        reply, _ = await timed(raced(first, second)[0])
        assert (reply.target, reply.attempts) == ("b/m", 2)
        assert second.ended == ["answered"]

    run(main())


def test_both_may_fail():
    async def main() -> None:
        target, _ = raced(Slow("a/m", 0.15, fails=True), Slow("b/m", 0.2, fails=True))
        with pytest.raises(TargetError) as caught:
            await timed(target)
        assert caught.value.attempts == 2

    run(main())


def test_two_answers_at_once_are_one_and_the_other_is_closed():
    async def main() -> None:
        first, second = Slow("a/m", 0.3), Slow("b/m", 0.2)
        target, _ = raced(first, second)
        call = targets.call(WIRE)
        reply, _ = await timed(target, call)
        await targets.read(reply, call)
        unread = [each for each in (*first.replies, *second.replies) if each is not reply]
        assert all(each._ended for each in unread)

    run(main())


def test_a_caller_who_leaves_takes_both_along():
    async def main() -> None:
        first, second = Slow("a/m", 9.0), Slow("b/m", 9.0)
        target, _ = raced(first, second)
        task = asyncio.ensure_future(target.send(targets.call(WIRE)))
        await pause(1.0)
        task.cancel()
        await asyncio.wait([task])
        assert (first.ended, second.ended) == (["cancelled"], ["cancelled"])

    run(main())


def test_nobody_is_hurried_whose_times_are_not_known():
    async def main() -> None:
        first, second = Slow("a/m", 5.0), Slow("b/m", 0.1)
        target, _ = raced(first, second)
        for each in target.chooser.tiers[0]:
            each.health.whole.__init__()  # type: ignore[misc]
        reply, _ = await timed(target)
        assert reply.target == "a/m"

    run(main())


def test_a_provider_that_slows_down_gets_only_some_calls_more():
    async def main() -> None:
        first, second = Slow("a/m", 1.0), Slow("b/m", 1.0)
        target, hedge = raced(first, second, policy=HedgePolicy(budget=0.1, max_delay_s=0.5))
        for _ in range(100):
            await timed(target)
        assert 9 <= hedge.counts.hedges <= 11
        assert hedge._saved <= BURST

    run(main())


def test_the_time_of_both_counts_once_as_waiting():
    async def main() -> None:
        call = targets.call(WIRE)
        _, took_s = await timed(raced(Slow("a/m", 5.0), Slow("b/m", 0.2))[0], call)
        assert call.meter.waited_s == pytest.approx(took_s)

    run(main())


@pytest.mark.parametrize(
    ("policy", "delay_s"),
    [
        (HedgePolicy(), 0.1),
        (HedgePolicy(min_delay_s=0.4), 0.4),
        (HedgePolicy(max_delay_s=0.06), 0.06),
    ],
)
def test_the_second_is_asked_neither_too_soon_nor_too_late(policy: HedgePolicy, delay_s: float):
    async def main() -> None:
        target, hedge = raced(Slow("a/m", 1.0), Slow("b/m", 1.0), policy=policy)
        candidates = target.chooser.tiers[0]
        found = hedge.delay_s(targets.call(WIRE), candidates[0], candidates)
        assert found == pytest.approx(delay_s)

    run(main())
