import asyncio

import pytest

from modelmux.errors import Unreachable
from modelmux.target import mirror
from modelmux.target.facts import World
from modelmux.target.mirror import Background, Mirror, Shadow
from modelmux.target.reply import Reply
from modelmux.target.rules import compile_condition
from tests.support import targets
from tests.support.choices import chances
from tests.support.linewire import LineWire
from tests.support.targets import Answer, Connection, Fake

WIRE = LineWire()
WORLD = World(hour=lambda: 12)


def fake(name: str, *script: Answer | BaseException) -> Fake:
    return Fake(*(script or (targets.whole(wire=WIRE, target=name),)), name=name)


def mirrored(inner: Fake, *shadows: Shadow, chance: float = 0.5) -> tuple[Mirror, Background]:
    background = Background()
    made = Mirror(inner, shadows=shadows, background=background, world=WORLD, rng=chances(chance))
    return made, background


async def settled(background: Background) -> None:
    if background._tasks:
        await asyncio.wait(tuple(background._tasks))


def test_a_copy_goes_to_the_shadow_and_its_answer_to_nobody():
    async def run() -> None:
        real, shadow = fake("a/m"), fake("s/m")
        ended: list[Reply] = []

        def answer() -> Reply:
            reply = targets.whole(wire=WIRE, target="s/m")()
            reply.on_end(ended.append)
            return reply

        shadow = fake("s/m", answer)
        target, background = mirrored(real, Shadow(shadow))
        call = targets.call(WIRE)
        reply = await target.send(call)
        assert reply.target == "a/m"
        await settled(background)
        (copy,) = shadow.calls
        assert (copy.parent_id, copy.tags) == ("c1", {"mirror": "c1"})
        assert copy.meter is not call.meter
        assert [each.complete for each in ended] == [True]
        assert background.counts.mirrored == 1

    asyncio.run(run())


def test_a_streamed_copy_is_read_to_its_end():
    async def run() -> None:
        connection = Connection([b"start id m\n\n", b"say hi\n\n", b"finish stop 1 2\n\n"])
        shadow = fake("s/m", targets.streamed(connection, wire=WIRE, target="s/m"))
        target, background = mirrored(fake("a/m"), Shadow(shadow))
        await target.send(targets.call(WIRE, stream=True))
        await settled(background)
        assert (connection.taken, connection.closed) == (3, 1)

    asyncio.run(run())


def test_a_shadow_that_hangs_or_fails_changes_nothing():
    async def run() -> None:
        async def hang() -> None:
            await asyncio.Event().wait()

        hanging = Fake(targets.whole(wire=WIRE), name="h/m", on_send=hang)
        failing = fake("f/m", Unreachable("x"))
        target, background = mirrored(fake("a/m"), Shadow(hanging), Shadow(failing))
        reply = await target.send(targets.call(WIRE))
        assert reply.target == "a/m"
        await asyncio.sleep(0)
        assert (len(hanging.calls), len(failing.calls)) == (1, 1)
        await background.aclose()
        assert not background._tasks

    asyncio.run(run())


def test_a_shadow_is_asked_even_where_the_target_failed():
    async def run() -> None:
        shadow = fake("s/m")
        target, background = mirrored(fake("a/m", Unreachable("x")), Shadow(shadow))
        with pytest.raises(Unreachable):
            await target.send(targets.call(WIRE))
        await settled(background)
        assert len(shadow.calls) == 1

    asyncio.run(run())


@pytest.mark.parametrize(("chance", "copies"), [(0.29, 1), (0.31, 0)])
def test_only_a_share_is_copied(chance: float, copies: int):
    async def run() -> None:
        shadow = fake("s/m")
        target, background = mirrored(fake("a/m"), Shadow(shadow, share=0.3), chance=chance)
        await target.send(targets.call(WIRE))
        await settled(background)
        assert len(shadow.calls) == copies

    asyncio.run(run())


@pytest.mark.parametrize(("rule", "copies"), [("stream", 0), ("!stream", 1)])
def test_only_calls_that_a_rule_fits_are_copied(rule: str, copies: int):
    async def run() -> None:
        shadow = fake("s/m")
        target, background = mirrored(fake("a/m"), Shadow(shadow, when=compile_condition(rule)))
        await target.send(targets.call(WIRE))
        await settled(background)
        assert len(shadow.calls) == copies

    asyncio.run(run())


def test_copies_have_an_end(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(mirror, "MAX_SHADOWS", 2)

    async def run() -> None:
        async def hang() -> None:
            await asyncio.Event().wait()

        shadow = Fake(targets.whole(wire=WIRE), name="s/m", on_send=hang)
        target, background = mirrored(fake("a/m"), Shadow(shadow))
        for _ in range(5):
            await target.send(targets.call(WIRE))
        assert (background.counts.mirrored, background.counts.mirrors_dropped) == (2, 3)
        await background.aclose()

    asyncio.run(run())


def test_a_copy_has_no_deadline_of_the_callers():
    async def run() -> None:
        shadow = fake("s/m")
        target, background = mirrored(fake("a/m"), Shadow(shadow))
        await target.send(targets.call(WIRE).with_deadline(5.0))
        await settled(background)
        assert shadow.calls[0].deadline is None

    asyncio.run(run())
