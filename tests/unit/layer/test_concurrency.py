import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from modelmux.errors import Overloaded, TargetError, TargetTimeout, Unreachable
from modelmux.layer.concurrency import SWEEP_INTERVAL_S, Concurrency, Slots
from modelmux.target.reply import Reply
from tests.support import linewire, targets
from tests.support.linewire import LineWire
from tests.support.targets import Connection, Fake, FakeClock

WIRE = LineWire()
Task = asyncio.Task[Reply]


def slots(
    clock: FakeClock, limit: int = 1, max_waiting: int = 10, max_wait_s: float = 5.0
) -> Slots:
    return Slots(
        "p", limit, max_waiting=max_waiting, max_wait_s=max_wait_s, now=clock, later=clock.later
    )


def layer(places: Slots, *script: targets.Answer | BaseException) -> Concurrency:
    return Concurrency(Fake(*(script or (targets.whole(wire=WIRE),))), slots=places)


def start(sending: Coroutine[Any, Any, Reply]) -> Task:
    return asyncio.ensure_future(sending)


async def settle() -> None:
    """Let every task go as far as it can."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_a_place_is_held_until_the_answer_has_been_read():
    async def run() -> None:
        places = slots(FakeClock())
        call = targets.call(WIRE)
        reply = await layer(places).send(call)
        assert places.in_use == 1
        await targets.read(reply, call)
        assert places.in_use == 0

    asyncio.run(run())


def test_a_place_is_given_back_once_however_often_a_reply_is_closed():
    async def run() -> None:
        places = slots(FakeClock(), limit=2)
        target = layer(places)
        await target.send(targets.call(WIRE))
        reply = await target.send(targets.call(WIRE))
        await reply.aclose()
        await reply.aclose()
        assert places.in_use == 1

    asyncio.run(run())


def test_a_failure_gives_the_place_back():
    async def run() -> None:
        places = slots(FakeClock())
        with pytest.raises(Unreachable):
            await layer(places, Unreachable("down")).send(targets.call(WIRE))
        assert places.in_use == 0

    asyncio.run(run())


def test_callers_wait_in_the_order_in_which_they_came():
    async def run() -> None:
        target = layer(places := slots(FakeClock()))
        first = await target.send(targets.call(WIRE))
        second = start(target.send(targets.call(WIRE)))
        third = start(target.send(targets.call(WIRE)))
        await settle()
        assert places.waiting == 2
        await first.aclose()
        await settle()
        assert (second.done(), third.done()) == (True, False)
        await (await second).aclose()
        await (await third).aclose()
        assert (places.in_use, places.waiting) == (0, 0)

    asyncio.run(run())


def test_nobody_overtakes_those_who_wait():
    async def run() -> None:
        target = layer(slots(FakeClock()))
        first = await target.send(targets.call(WIRE))
        second = start(target.send(targets.call(WIRE)))
        await settle()
        await first.aclose()  # the place is the second's, though it has not run yet
        third = start(target.send(targets.call(WIRE)))
        await settle()
        assert (second.done(), third.done()) == (True, False)
        await (await second).aclose()
        await (await third).aclose()

    asyncio.run(run())


def test_more_than_may_wait_are_sent_elsewhere_at_once():
    async def run() -> None:
        target = layer(places := slots(FakeClock(), max_waiting=1))
        reply = await target.send(targets.call(WIRE))
        waiting = start(target.send(targets.call(WIRE)))
        await settle()
        with pytest.raises(Overloaded, match="limit of 1 calls") as caught:
            await target.send(targets.call(WIRE))
        assert caught.value.retryable  # so that a fallback goes on
        assert caught.value.target == "p"
        await reply.aclose()
        await (await waiting).aclose()
        assert places.in_use == 0

    asyncio.run(run())


def test_a_wait_that_is_too_long_ends_in_overloaded():
    async def run() -> None:
        clock = FakeClock()
        target = layer(places := slots(clock, max_wait_s=5.0))
        reply = await target.send(targets.call(WIRE))
        waiting = start(target.send(targets.call(WIRE)))
        await settle()
        clock.advance(5.0 - SWEEP_INTERVAL_S)
        await settle()
        assert not waiting.done()
        clock.advance(2 * SWEEP_INTERVAL_S)
        with pytest.raises(Overloaded, match="none was free for 5 s"):
            await waiting
        assert (places.in_use, places.waiting) == (1, 0)
        await reply.aclose()
        assert places.in_use == 0

    asyncio.run(run())


def test_a_deadline_that_passes_while_waiting_ends_in_a_timeout():
    async def run() -> None:
        clock = FakeClock()
        target = layer(slots(clock, max_wait_s=5.0))
        reply = await target.send(targets.call(WIRE))
        call = targets.call(WIRE).with_deadline(clock() + 1.0)
        waiting = start(target.send(call))
        await settle()
        clock.advance(1.0 + SWEEP_INTERVAL_S)
        with pytest.raises(TargetTimeout) as caught:
            await waiting
        assert caught.value.target == "p"
        assert call.meter.waited_s == pytest.approx(1.0, abs=2 * SWEEP_INTERVAL_S)
        await reply.aclose()

    asyncio.run(run())


def test_those_who_may_wait_longer_go_on_waiting():
    async def run() -> None:
        clock = FakeClock()
        target = layer(places := slots(clock, max_wait_s=5.0))
        reply = await target.send(targets.call(WIRE))
        hurried = start(target.send(targets.call(WIRE).with_deadline(clock() + 1.0)))
        patient = start(target.send(targets.call(WIRE)))
        await settle()
        clock.advance(2.0)
        await settle()
        assert (hurried.done(), patient.done()) == (True, False)
        assert isinstance(hurried.exception(), TargetError)
        await reply.aclose()
        await (await patient).aclose()
        assert places.in_use == 0

    asyncio.run(run())


def test_no_timer_runs_while_nobody_waits():
    async def run() -> None:
        clock = FakeClock()
        target = layer(slots(clock))
        reply = await target.send(targets.call(WIRE))
        assert clock.pending == 0
        waiting = start(target.send(targets.call(WIRE)))
        await settle()
        assert clock.pending == 1
        await reply.aclose()
        await (await waiting).aclose()
        clock.advance(SWEEP_INTERVAL_S)
        assert clock.pending == 0

    asyncio.run(run())


def test_a_caller_who_leaves_the_queue_takes_nobodys_place():
    async def run() -> None:
        target = layer(places := slots(FakeClock()))
        reply = await target.send(targets.call(WIRE))
        leaving = start(target.send(targets.call(WIRE)))
        staying = start(target.send(targets.call(WIRE)))
        await settle()
        leaving.cancel()
        await settle()
        assert places.waiting == 1
        await reply.aclose()
        await (await staying).aclose()
        assert places.in_use == 0

    asyncio.run(run())


def test_a_caller_who_leaves_just_as_a_place_is_given_passes_it_on():
    async def run() -> None:
        target = layer(places := slots(FakeClock()))
        reply = await target.send(targets.call(WIRE))
        leaving = start(target.send(targets.call(WIRE)))
        staying = start(target.send(targets.call(WIRE)))
        await settle()
        await reply.aclose()  # the place is the first one's
        leaving.cancel()  # who leaves before it could run
        await settle()
        assert leaving.cancelled()
        await (await staying).aclose()
        assert (places.in_use, places.waiting) == (0, 0)

    asyncio.run(run())


def test_a_caller_who_leaves_just_as_time_is_up_takes_nobodys_place():
    async def run() -> None:
        clock = FakeClock()
        target = layer(places := slots(clock, max_wait_s=1.0))
        reply = await target.send(targets.call(WIRE))
        leaving = start(target.send(targets.call(WIRE)))
        await settle()
        clock.advance(2.0)
        leaving.cancel()
        await settle()
        assert leaving.cancelled()
        await reply.aclose()
        assert places.in_use == 0

    asyncio.run(run())


def test_a_caller_who_leaves_before_the_queue_has_noticed_is_passed_over():
    async def run() -> None:
        target = layer(places := slots(FakeClock()))
        reply = await target.send(targets.call(WIRE))
        leaving = start(target.send(targets.call(WIRE)))
        staying = start(target.send(targets.call(WIRE)))
        await settle()
        leaving.cancel()
        await reply.aclose()  # before the cancelled task has run
        await settle()
        assert leaving.cancelled()
        await (await staying).aclose()
        assert (places.in_use, places.waiting) == (0, 0)

    asyncio.run(run())


def test_a_caller_who_leaves_before_time_is_up_is_passed_over_by_the_sweep():
    async def run() -> None:
        clock = FakeClock()
        target = layer(places := slots(clock, max_wait_s=1.0))
        reply = await target.send(targets.call(WIRE))
        leaving = start(target.send(targets.call(WIRE)))
        await settle()
        leaving.cancel()
        clock.advance(2.0)
        await settle()
        assert leaving.cancelled()
        await reply.aclose()
        assert places.in_use == 0

    asyncio.run(run())


def test_a_caller_who_leaves_while_the_target_thinks_frees_the_place():
    async def run() -> None:
        places = slots(FakeClock())
        never = asyncio.Event()
        target = Concurrency(Fake(targets.whole(wire=WIRE), on_send=never.wait), slots=places)
        sending = start(target.send(targets.call(WIRE)))
        await settle()
        assert places.in_use == 1
        sending.cancel()
        await settle()
        assert places.in_use == 0

    asyncio.run(run())


def test_targets_may_share_their_places():
    async def run() -> None:
        places = slots(FakeClock(), max_waiting=0)
        reply = await layer(places).send(targets.call(WIRE))
        with pytest.raises(Overloaded):
            await layer(places).send(targets.call(WIRE))
        await reply.aclose()

    asyncio.run(run())


def test_a_stream_holds_its_place_until_it_ends():
    async def run() -> None:
        places = slots(FakeClock())
        call = targets.call(WIRE, stream=True)
        answer = targets.streamed(Connection(linewire.stream()), wire=WIRE)
        reply = await layer(places, answer).send(call)
        pieces = reply.stream(call.wire, call.envelope)
        await anext(pieces)
        assert places.in_use == 1
        await pieces.aclose()
        assert places.in_use == 0

    asyncio.run(run())
