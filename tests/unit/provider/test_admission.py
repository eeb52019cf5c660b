import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise

import pytest

from modelmux.errors import CredentialRefused, Limited, RateLimited, TargetError
from modelmux.ir.response import Summary, Usage
from modelmux.provider import admission as module
from modelmux.provider.admission import SWEEP_INTERVAL_S, Admission, Entry, Rules
from modelmux.provider.auth.static import StaticCredential
from modelmux.provider.keys import Key, KeyRing
from modelmux.provider.quota import FIRST_OUTPUT_TOKENS, Limits
from modelmux.target.call import Call, Caller
from modelmux.target.reply import Reply, Whole
from tests.support import linewire, targets
from tests.support.linewire import LineWire
from tests.support.targets import FakeClock

BODY = b'{"max_tokens":100,"messages":[]}' + b" " * 368
"""About a hundred tokens of prompt, and as many of an answer."""


class World:
    """A gate, and what goes through it."""

    def __init__(self, rules: Rules | None = None, *, keys: int = 1) -> None:
        self.clock = FakeClock()
        credentials = [StaticCredential("bearer", f"sk-{n}") for n in range(keys)]
        self.ring = KeyRing("p", credentials)
        self.gate = targets.admission(self.ring, self.clock, rules or Rules())

    def entry(
        self,
        call: Call | None = None,
        *,
        scope: str = "m",
        body: bytes = b"{}",
        keyless: bool = False,
    ) -> Entry:
        return Entry(self.gate, call or targets.call(), scope, body, keyless=keyless)

    def enter(self, count: int = 1, **more: str | bytes) -> list[Entry]:
        """So many calls, all let in at once."""
        entries = [self.entry(**more) for _ in range(count)]  # type: ignore[arg-type]
        assert all(entry.enter() for entry in entries)
        return entries

    def fail(self, key: Key, error: TargetError) -> None:
        self.ring.failed(key, error, self.clock(), "m", block=b"x")


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(test())


async def settle() -> None:
    """Let every task go on as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


def reply(tokens: int | None) -> Reply:
    made = Reply(Whole(LineWire(), linewire.answer_body()))
    made.summary = Summary(Usage(tokens, 0) if tokens is not None else None)
    return made


def of(key: str, **tags: str) -> Call:
    call = targets.call()
    call.caller = Caller("k", priority=key)  # type: ignore[arg-type]
    call.tags = tags
    return call


def test_a_gate_without_limits_lets_everybody_in():
    world = World()
    for entry in world.enter(500):
        assert entry.key is world.ring.keys[0]
        entry.ended(reply(5))
    assert world.clock.pending == 0
    assert world.gate.figures.waited == 0


# Limits of the configuration


def test_calls_beyond_a_limit_wait_and_go_in_as_fast_as_it_allows():
    async def test() -> None:
        world = World(Rules(Limits(requests_per_minute=60)))
        world.enter(60)
        entries = [world.entry() for _ in range(3)]
        assert not any(entry.enter() for entry in entries)
        async with asyncio.TaskGroup() as group:
            for entry in entries:
                group.create_task(entry.wait())
            await settle()
            started = world.clock()
            for _ in range(40):
                world.clock.advance(0.1)
                await settle()
        sent = [entry.sent_at - started for entry in entries]
        assert sent == pytest.approx([1.1, 2.1, 3.1], abs=0.01)
        assert world.gate.figures.waited == 3
        assert world.gate.figures.waited_s == pytest.approx(6.3, abs=0.2)
        assert world.clock.pending == 0

    run(test)


def test_a_place_is_given_on_as_soon_as_it_is_free():
    async def test() -> None:
        world = World(Rules(Limits(concurrency=1)))
        (first,) = world.enter()
        second = world.entry()
        assert not second.enter()
        waiting = asyncio.ensure_future(second.wait())
        await settle()
        assert not waiting.done()
        first.ended(reply(5))
        await waiting
        assert not world.entry().enter()
        second.failed()
        assert world.entry().enter()

    run(test)


def test_an_estimate_of_tokens_is_taken_and_replaced_by_what_was_used():
    world = World(Rules(Limits(tokens_per_minute=500)))
    first, second = world.enter(2, body=BODY)  # two hundred each
    assert first.tokens == 200.0
    assert not world.entry(body=BODY).enter()
    first.ended(reply(20))
    assert world.entry(body=BODY).enter()
    assert not world.entry(body=BODY).enter()
    second.failed()  # nothing was used
    assert world.entry(body=BODY).enter()


def test_an_answer_that_did_not_say_what_it_used_keeps_its_estimate():
    world = World(Rules(Limits(tokens_per_minute=300)))
    (first,) = world.enter(body=BODY)
    first.ended(reply(None))
    assert not world.entry(body=BODY).enter()


def test_an_answer_is_taken_to_be_as_long_as_they_were_before():
    world = World(Rules(Limits(tokens_per_minute=100_000)))
    (entry,) = world.enter(body=b" " * 400)
    assert entry.tokens == 100 + FIRST_OUTPUT_TOKENS
    answer = reply(0)
    answer.summary = Summary(Usage(100, 10_000))
    entry.ended(answer)
    (later,) = world.enter(body=b" " * 400)
    assert later.tokens > 2000


def test_each_key_has_limits_of_its_own_and_another_key_is_used_first():
    world = World(Rules(key_limits=Limits(requests_per_minute=2, concurrency=9)), keys=2)
    entries = world.enter(4)
    assert [entry.key for entry in entries] == [*world.ring.keys[:1] * 2, *world.ring.keys[1:] * 2]
    assert not world.entry().enter()
    world.clock.advance(31.0)
    assert world.entry().enter()


def test_the_callers_own_credential_has_no_key_and_only_the_providers_limit():
    rules = Rules(Limits(requests_per_minute=2), key_limits=Limits(requests_per_minute=1))
    world = World(rules)
    entries = [world.entry(keyless=True) for _ in range(3)]
    assert [entry.enter() for entry in entries] == [True, True, False]
    assert entries[0].key is None
    entries[0].heard([(b"x-ratelimit-remaining-requests", b"0")])
    entries[0].ended(reply(3))


# Who waits, and how long


@pytest.mark.parametrize(
    ("rules", "prepare", "words"),
    [
        (Rules(Limits(concurrency=1), max_waiting=0), None, "1 calls at once at the provider"),
        (Rules(Limits(requests_per_minute=1), max_wait_s=59.0), None, "there is room in 60.0 s"),
        (Rules(key_limits=Limits(requests_per_minute=1)), None, "1 requests a minute for a key"),
        (Rules(Limits(concurrency=1)), "may not wait", "raise the provider's `limits`"),
        (Rules(Limits(requests_per_minute=1), max_wait_s=99.0), "deadline", "60.0 s"),
    ],
)
def test_who_would_wait_in_vain_is_refused_at_once(rules: Rules, prepare: str, words: str):
    async def test() -> None:
        world = World(rules)
        world.enter()
        call = targets.call()
        if prepare == "may not wait":
            call = call.step(may_wait=False)
        elif prepare == "deadline":
            call = call.with_deadline(world.clock() + 5.0)
        entry = world.entry(call)
        assert not entry.enter()
        with pytest.raises(Limited, match=words) as raised:
            await entry.wait()
        assert raised.value.retry_after_s in (1.0, pytest.approx(60.0))
        assert raised.value.attempts == 0
        assert raised.value.target == "p"
        assert isinstance(raised.value, RateLimited)
        assert world.gate.figures.refused == 1
        assert world.gate.figures.waiting == 0

    run(test)


def test_who_has_waited_as_long_as_allowed_is_refused():
    async def test() -> None:
        world = World(Rules(Limits(concurrency=1), max_wait_s=2.0))
        world.enter()
        entry = world.entry()
        assert not entry.enter()
        waiting = asyncio.ensure_future(entry.wait())
        await settle()
        world.clock.advance(1.9)
        await settle()
        assert not waiting.done()
        world.clock.advance(0.1 + SWEEP_INTERVAL_S)
        with pytest.raises(Limited, match="and the wait has been too long"):
            await waiting
        assert world.clock.pending == 0

    run(test)


def test_higher_classes_go_first_and_each_in_the_order_of_coming():
    async def test() -> None:
        world = World(Rules(Limits(concurrency=1)))
        (holding,) = world.enter()
        calls = [
            of("low"),
            of("normal"),
            of("high", priority="low"),  # asks for less than it may have
            of("normal", priority="high"),  # and for more
            of("high"),
            of("high", priority="sooner"),  # no class
        ]
        served: list[int] = []

        async def ask(number: int, call: Call) -> None:
            entry = world.entry(call)
            assert not entry.enter()
            await entry.wait()
            served.append(number)
            entry.ended(reply(1))

        async with asyncio.TaskGroup() as group:
            for number, call in enumerate(calls):
                group.create_task(ask(number, call))
            await settle()
            holding.ended(reply(1))
        assert served == [4, 5, 1, 3, 0, 2]

    run(test)


def test_nobody_overtakes_who_waits_for_the_same_but_lower_classes_are_overtaken():
    async def test() -> None:
        world = World(Rules(Limits(tokens_per_minute=500)))
        world.enter(2, body=BODY)
        large = world.entry(body=BODY)
        assert not large.enter()
        waiting = asyncio.ensure_future(large.wait())
        await settle()
        small = world.entry(body=b'{"max_tokens":1}')
        assert not small.enter()
        assert not world.entry(scope="other", body=b'{"max_tokens":1}').enter()
        assert world.entry(of("high"), body=b'{"max_tokens":1}').enter()
        waiting.cancel()

    run(test)


def test_a_model_that_is_used_up_does_not_hold_up_the_others():
    async def test() -> None:
        world = World()
        (first,) = world.enter(scope="a")
        first.heard([(b"ratelimit", b'"d";r=0;t=10')])
        blocked = world.entry(scope="a")
        assert not blocked.enter()
        waiting = asyncio.ensure_future(blocked.wait())
        await settle()
        assert world.entry(scope="b").enter()
        world.clock.advance(11.1)
        await waiting

    run(test)


def test_who_leaves_the_queue_is_forgotten_and_who_stands_behind_goes_in():
    async def test() -> None:
        world = World(Rules(Limits(tokens_per_minute=500)))
        world.enter(2, body=BODY)
        large, small = world.entry(body=BODY), world.entry(body=b'{"max_tokens":1}')
        waits = [asyncio.ensure_future(entry.wait()) for entry in (large, small)]
        await settle()
        assert world.gate.figures.waiting == 2
        waits[0].cancel()
        await waits[1]
        assert world.gate.figures.waiting == 0
        assert world.gate._lines == {}

    run(test)


def test_a_place_given_to_somebody_who_has_just_left_is_given_on():
    async def test() -> None:
        world = World(Rules(Limits(concurrency=1)))
        (holding,) = world.enter()
        entries = [world.entry(), world.entry()]
        waits = [asyncio.ensure_future(entry.wait()) for entry in entries]
        await settle()
        holding.ended(reply(1))  # the first has it now, and does not know yet
        waits[0].cancel()
        await waits[1]
        with pytest.raises(asyncio.CancelledError):
            await waits[0]

    run(test)


# The provider's word


def test_what_the_provider_says_is_kept_to():
    world = World()
    (first,) = world.enter()
    first.heard(
        [
            (b"x-ratelimit-limit-requests", b"60"),
            (b"x-ratelimit-remaining-requests", b"2"),
            (b"x-ratelimit-reset-requests", b"58s"),
        ]
    )
    world.enter(2)
    assert not world.entry().enter()
    world.clock.advance(1.2)
    assert world.entry().enter()
    assert world.entry(scope="another model").enter()


def test_it_is_not_listened_to_where_the_configuration_says_so():
    world = World(Rules(learns=False))
    (first,) = world.enter()
    first.heard([(b"ratelimit", b'"d";r=0;t=10')])
    assert world.entry().enter()


def test_a_key_that_rests_is_waited_for_if_that_is_soon():
    async def test() -> None:
        world = World(Rules(max_wait_s=5.0))
        (key,) = world.ring.keys
        world.fail(key, RateLimited("slow down", retry_after_s=3.0))
        entry = world.entry()
        assert not entry.enter()
        waiting = asyncio.ensure_future(entry.wait())
        await settle()
        world.clock.advance(3.0)
        await waiting
        world.fail(key, RateLimited("slow down", retry_after_s=30.0))
        with pytest.raises(Limited, match="asked for a pause with its key for 'm'") as raised:
            await world.entry().wait()
        assert raised.value.retry_after_s == pytest.approx(30.0)

    run(test)


def test_refused_keys_are_not_waited_for():
    async def test() -> None:
        world = World(Rules(max_wait_s=5000.0), keys=2)
        for key in world.ring.keys:
            world.fail(key, CredentialRefused("no", status=401))
        entry = world.entry()
        assert not entry.enter()
        with pytest.raises(CredentialRefused, match="p refused all 2 keys"):
            await asyncio.wait_for(entry.wait(), 1.0)

    run(test)


def test_who_waits_learns_that_all_keys_have_been_refused():
    async def test() -> None:
        world = World(Rules(max_wait_s=5000.0))
        (key,) = world.ring.keys
        world.fail(key, RateLimited("slow down", retry_after_s=20.0))
        waiting = asyncio.ensure_future(world.entry().wait())
        await settle()
        world.fail(key, CredentialRefused("no", status=401))
        world.clock.advance(SWEEP_INTERVAL_S * 2)
        with pytest.raises(CredentialRefused):
            await waiting

    run(test)


def test_the_providers_word_is_kept_for_so_many_models_and_no_more(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(module, "MAX_ACCOUNTS", 3)
    world = World()
    for number in range(10):
        world.enter(scope=f"m{number}")
    assert [scope for _, scope in world.gate._accounts] == ["m7", "m8", "m9"]


def test_a_crowd_goes_through_in_order_and_no_faster_than_allowed():
    async def test() -> None:
        world = World(Rules(Limits(requests_per_minute=600), max_wait_s=1000.0))
        order: list[int] = []
        times: list[float] = []

        async def ask(number: int, gate: Admission) -> None:
            entry = Entry(gate, targets.call(), f"m{number % 3}", b"{}")
            if not entry.enter():
                await entry.wait()
            order.append(number)
            times.append(entry.sent_at)
            entry.ended(reply(1))

        async with asyncio.TaskGroup() as group:
            for number in range(900):
                group.create_task(ask(number, world.gate))
            await settle()
            for _ in range(320):
                world.clock.advance(0.1)
                await settle()
        assert order == list(range(900))
        late = times[600:]
        assert all(second - first >= 0.099 for first, second in pairwise(late))
        assert late[-1] - times[0] == pytest.approx(30.0, abs=0.5)

    run(test)


def test_a_gate_that_takes_anothers_place_goes_on_where_that_stands():
    async def test() -> None:
        rules = Rules(Limits(concurrency=2), Limits(concurrency=5))
        before, after = World(rules), World(rules)
        (held,) = before.enter()
        assert held.account is not None
        after.gate.inherit(before.gate)
        (entry,) = after.enter()
        assert entry.account is held.account
        assert not after.entry().enter()  # two are under way, one here and one there
        held.ended(reply(None))
        assert after.entry().enter()

    run(test)


def test_another_limit_is_counted_anew():
    before, after = World(Rules(Limits(concurrency=1))), World(Rules(Limits(concurrency=3)))
    before.enter()
    after.gate.inherit(before.gate)
    after.enter(3)
    assert not after.entry().enter()


def test_while_much_is_left_calls_are_taken_to_be_like_those_before_them():
    def left(tokens: int) -> list[tuple[bytes, bytes]]:
        return [
            (b"x-ratelimit-limit-tokens", b"10000"),
            (b"x-ratelimit-remaining-tokens", b"%d" % tokens),
            (b"x-ratelimit-reset-tokens", b"60s"),
        ]

    world = World()
    (first,) = world.enter(body=BODY)
    assert first.cost == (1.0, 200.0, 100.0, 100.0)
    first.heard(left(9900))
    (second,) = world.enter(body=b'{"max_tokens":7}' + b" " * 384)
    assert second.cost == (1.0, 200.0, 100.0, FIRST_OUTPUT_TOKENS)  # not looked into
    world.clock.advance(1.0)
    second.heard(left(2000))
    (third,) = world.enter(body=b'{"max_tokens":7}' + b" " * 384)
    assert third.cost == (1.0, 107.0, 100.0, 7.0)
