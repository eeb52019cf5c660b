import asyncio

import pytest

from modelmux.errors import Unreachable, Unrepresentable
from modelmux.layer.watch import Watch
from modelmux.target.health import HealthBook, TargetHealth
from modelmux.target.reply import Reply
from tests.support import targets
from tests.support.linewire import LineWire
from tests.support.targets import Answer, Connection, Fake, FakeClock

WIRE = LineWire()


def watched(*script: Answer | BaseException, clock: FakeClock) -> tuple[Watch, TargetHealth]:
    health = HealthBook(clock).of("p/m")

    async def pause() -> None:
        clock.advance(0.5)

    return Watch(Fake(*script, on_send=pause), health=health, now=clock), health


def test_a_call_is_in_flight_until_its_answer_ends():
    async def run() -> None:
        clock = FakeClock()
        target, health = watched(targets.whole(wire=WIRE), clock=clock)
        call = targets.call(WIRE)
        reply = await target.send(call)
        assert health.in_flight == 1
        await targets.read(reply, call)
        assert health.in_flight == 0
        assert health.whole.seconds == 0.5
        assert health.error_rate == 0.0

    asyncio.run(run())


def test_a_failure_is_noted():
    clock = FakeClock()
    target, health = watched(Unreachable("x"), clock=clock)
    with pytest.raises(Unreachable):
        asyncio.run(target.send(targets.call(WIRE)))
    assert (health.in_flight, health.consecutive, health.error_rate) == (0, 1, 1.0)


def test_what_the_target_never_saw_is_not():
    clock = FakeClock()
    target, health = watched(Unrepresentable("x"), clock=clock)
    with pytest.raises(Unrepresentable):
        asyncio.run(target.send(targets.call(WIRE)))
    assert (health.in_flight, health.consecutive) == (0, 0)


def test_a_stream_that_breaks_is_noted_at_its_end():
    async def run() -> None:
        clock = FakeClock()
        broken = Connection([b"start id m\n\n"], error=Unreachable("cut"))
        target, health = watched(targets.streamed(broken, wire=WIRE), clock=clock)
        call = targets.call(WIRE, stream=True)
        reply: Reply = await target.send(call)
        assert health.consecutive == 0
        await targets.read(reply, call)
        assert health.consecutive == 1
        assert health.streamed.count == 1

    asyncio.run(run())


def test_a_caller_who_leaves_is_no_failure():
    async def run() -> None:
        clock = FakeClock()
        asked = asyncio.Event()

        async def hang() -> None:
            asked.set()
            await asyncio.Event().wait()

        health = HealthBook(clock).of("p/m")
        inner = Fake(targets.whole(wire=WIRE), on_send=hang)
        target = Watch(inner, health=health, now=clock)
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(target.send(targets.call(WIRE)))
            await asked.wait()
            clock.advance(9.0)
            sending.cancel()
        assert (health.in_flight, health.consecutive) == (0, 0)
        assert health.whole.seconds == 9.0

    asyncio.run(run())
