import asyncio
from collections.abc import Callable, Coroutine

import pytest

from modelmux.errors import InvalidRequest, Rejected, Unreachable
from modelmux.ir.request import Envelope
from modelmux.ir.response import NO_USAGE, Usage
from modelmux.layer import cache as module
from modelmux.layer.cache import Cache, Caching, Policy, Rule
from modelmux.layer.record import Record, Recorder
from modelmux.store.memory import MemoryStore
from modelmux.target import freshness
from modelmux.target.base import Target
from modelmux.target.call import Call, Caller
from modelmux.target.facts import World as Facts
from modelmux.target.record import CallRecord
from modelmux.target.reply import Reply
from modelmux.target.rules import compile_condition
from tests.support import linewire, targets
from tests.support.linewire import LineWire
from tests.support.targets import Answer, Connection, Fake, FakeClock

WIRE, OTHER = LineWire("ours"), LineWire("theirs")
OK = targets.whole(wire=WIRE)


class World:
    """A cache in front of a target, with records round both."""

    def __init__(
        self,
        *script: Answer | BaseException,
        policy: Policy | None = None,
        inner: Target | None = None,
        route: tuple[str, ...] = ("p/m",),
        is_passed: bool = False,
    ) -> None:
        self.clock = FakeClock()
        self.in_flight = 0
        self.records: list[CallRecord] = []
        self.fake = Fake(*(script or (OK,)))
        self.cache = Cache(
            MemoryStore(10_000_000),
            policy or Policy(60.0),
            Facts(hour=lambda: 12),
            now=self.clock,
            unix_time=self.clock,
        )
        recorder = Recorder(self, (), prices=lambda _: self, now=self.clock, unix_time=self.clock)
        self.layer = Caching(
            inner or self.fake,
            cache=self.cache,
            route=route,
            background=Record(self.fake, recorder=recorder),
            is_passed=is_passed,
        )
        self.target = Record(self.layer, recorder=recorder)

    def count(self, record: CallRecord) -> None:
        self.records.append(record)

    def cost_usd(self, usage: Usage) -> int:
        return usage.input_tokens + usage.output_tokens

    @property
    def results(self) -> dict[str, int]:
        return {name: count for name, count in self.cache.figures.results.items() if count}

    async def send(self, call: Call | None = None) -> Reply:
        return await self.target.send(call or targets.call(WIRE))

    async def ask(self, call: Call | None = None) -> tuple[str, bytes]:
        """What the cache did, and the answer."""
        call = call or targets.call(WIRE)
        reply = await self.send(call)
        said = await targets.read(reply, call)
        await settle()
        return reply.cache, said

    async def words(self, *calls: Call) -> list[str]:
        """What the cache did for each of these calls, one after the other."""
        return [(await self.ask(call))[0] for call in calls]


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(test())


def call(
    text: str = "hello",
    *,
    wire: LineWire = WIRE,
    stream: bool = False,
    key: str = "",
    wish: str = "",
    **tags: str,
) -> Call:
    body = linewire.request_body(text, stream=stream)
    made = Call(wire, body, wire.envelope(body), caller=Caller(key, tags=tags), id="c1")
    if wish:
        made.freshness = freshness.parse(wish)
    return made


def streamed(words: str = "hi there", *, gate: asyncio.Event | None = None) -> Answer:
    def answer() -> Reply:
        connection = Connection(linewire.stream(words), gate=gate, hold_after=2)
        return targets.streamed(connection, wire=WIRE)()

    return answer


# What is asked once


def test_what_was_answered_is_answered_again_and_nobody_is_asked():
    async def test() -> None:
        world = World()
        first, second = await world.ask(), await world.ask()
        assert first == ("miss", linewire.answer_body())
        assert second == ("hit", linewire.answer_body())
        assert len(world.fake.calls) == 1
        assert world.results == {"hit": 1, "miss": 1}

    run(test)


def test_a_hit_is_right_for_a_caller_of_another_wire_whole_and_streamed():
    async def test() -> None:
        world = World(streamed())
        await world.ask(call(stream=True))
        whole = await world.ask(call())
        assert whole == ("hit", linewire.answer_body("hithere"))
        assert await world.ask(call(wire=OTHER)) == whole
        word, said = await world.ask(call(wire=OTHER, stream=True))
        assert word == "hit"
        assert said == b"".join(linewire.frames("start id m", "say hithere", "finish stop 3 2"))
        assert len(world.fake.calls) == 1

    run(test)


def test_a_hit_says_how_old_it_is_and_who_gave_it():
    async def test() -> None:
        world = World(targets.whole(wire=WIRE, target="q/n"))
        await world.ask()
        world.clock.advance(7.9)
        reply = await world.send()
        assert (reply.target, reply.attempts, reply.headers) == ("q/n", 0, {b"age": b"7"})
        await reply.aclose()

    run(test)


def test_a_hit_is_recorded_as_saved_and_costs_nothing():
    async def test() -> None:
        world = World()
        await world.ask()
        await world.ask()
        first, second = world.records
        assert (first.cache, first.usage, first.cost_usd, first.attempts) == (
            "miss",
            Usage(3, 2),
            5,
            1,
        )
        assert (first.saved, first.saved_usd) == (NO_USAGE, None)
        assert (second.cache, second.usage, second.cost_usd, second.attempts) == (
            "hit",
            NO_USAGE,
            0,
            0,
        )
        assert (second.saved, second.saved_usd, second.target) == (Usage(3, 2), 5, "p/m")

    run(test)


# For how long


def test_an_answer_is_used_as_long_as_it_may_be():
    async def test() -> None:
        world = World(policy=Policy(60.0))
        await world.ask()
        world.clock.advance(60.0)
        assert (await world.ask())[0] == "hit"
        world.clock.advance(0.1)
        assert (await world.ask())[0] == "miss"

    run(test)


def test_a_stale_answer_is_given_while_a_new_one_is_asked_for():
    async def test() -> None:
        world = World(OK, targets.whole(linewire.answer_body("new"), wire=WIRE))
        world.cache.policy = Policy(60.0, stale_s=30.0)
        await world.ask()
        world.clock.advance(61.0)
        assert await world.ask() == ("hit", linewire.answer_body("hi"))
        assert await world.ask() == ("hit", linewire.answer_body("new"))
        assert world.results == {"hit": 1, "miss": 1, "stale": 1}
        # The refreshment is nobody's request, but its tokens are paid.
        assert [(each.parent_id, each.cost_usd) for each in world.records] == [
            ("", 5),
            ("", 0),
            ("c1", 5),
            ("", 0),
        ]
        world.clock.advance(91.0)
        assert (await world.ask())[0] == "miss"

    run(test)


def test_a_refreshment_that_fails_leaves_what_there_is():
    async def test() -> None:
        world = World(OK, Unreachable("down"))
        world.cache.policy = Policy(60.0, stale_s=30.0)
        await world.ask()
        world.clock.advance(61.0)
        assert [(await world.ask())[0] for _ in range(2)] == ["hit", "hit"]
        assert len(world.fake.calls) == 3
        assert world.cache.flights == {}

    run(test)


# What the caller wants


@pytest.mark.parametrize(
    ("wish", "words", "asked"),
    [
        ("no-store", ["miss", "bypass", "hit"], 2),
        ("no-cache", ["miss", "miss", "hit"], 2),
        ("max-age=5", ["miss", "miss", "hit"], 2),
        ("max-age=20", ["miss", "hit", "hit"], 1),
    ],
)
def test_a_caller_can_ask_for_a_fresh_answer(wish: str, words: list[str], asked: int):
    async def test() -> None:
        world = World()
        found = await world.words(call())
        world.clock.advance(10.0)
        found += await world.words(call(wish=wish), call())
        assert found == words
        assert len(world.fake.calls) == asked

    run(test)


def test_no_store_keeps_nothing():
    async def test() -> None:
        world = World()
        assert await world.words(call(wish="no-store"), call()) == ["bypass", "miss"]

    run(test)


# For whom


@pytest.mark.parametrize(
    ("scope", "shared"),
    [
        ("key", {("a", "a")}),
        ("team", {("a", "a"), ("a", "b")}),
        ("all", {("a", "a"), ("a", "b"), ("a", "c"), ("a", "d")}),
    ],
)
def test_answers_are_shared_as_far_as_the_scope_says(scope: str, shared: set[tuple[str, str]]):
    callers = {
        "a": {"key": "a", "team": "red"},
        "b": {"key": "b", "team": "red"},
        "c": {"key": "c", "team": "blue"},
        "d": {"key": "d"},
    }

    async def test() -> None:
        found: set[tuple[str, str]] = set()
        for name, caller in callers.items():
            world = World(policy=Policy(60.0, scope=scope))  # type: ignore[arg-type]
            await world.ask(call(**callers["a"]))
            if await world.words(call(**caller)) == ["hit"]:
                found.add(("a", name))
        assert found == shared

    run(test)


def test_a_team_is_what_the_key_says_and_not_what_the_call_says():
    async def test() -> None:
        world = World(policy=Policy(60.0, scope="team"))
        await world.ask(call(key="a", team="red"))
        pretender = call(key="d")
        pretender.tags = {"team": "red"}
        assert await world.words(pretender) == ["miss"]

    run(test)


def test_callers_without_a_key_are_told_apart_by_what_they_sent_for_others():
    async def test() -> None:
        world = World()
        first, second, third = call(), call(), call()
        first.headers = {"authorization": "Bearer one"}
        second.headers = {"authorization": "Bearer two"}
        assert await world.words(first, second, third, first) == ["miss", "miss", "miss", "hit"]

    run(test)


@pytest.mark.parametrize("scope", ["key", "team", "all"])
def test_answers_to_a_credential_that_is_passed_on_are_its_owners(scope: str):
    async def test() -> None:
        policy = Policy(60.0, scope=scope)  # type: ignore[arg-type]
        world = World(policy=policy, is_passed=True)
        first, second = call(key="a", team="x"), call(key="a", team="x")
        first.headers, second.headers = {"x-api-key": "one"}, {"x-api-key": "two"}
        assert await world.words(first, second, first) == ["miss", "miss", "hit"]

    run(test)


def test_an_answer_is_not_for_who_may_ask_others_only():
    async def test() -> None:
        world = World(policy=Policy(60.0, scope="all"))
        await world.ask()
        # The same name leads elsewhere for a key that allows fewer targets.
        narrow = Caching(world.fake, cache=world.cache, route=("q/n",), background=world.fake)
        reply = await narrow.send(targets.call(WIRE))
        assert reply.cache == "miss"
        await reply.aclose()

    run(test)


def test_betas_change_the_answer():
    async def test() -> None:
        world = World()
        beta = call()
        beta.headers = {"anthropic-beta": "new-thing"}
        assert await world.words(call(), beta, beta) == ["miss", "miss", "hit"]

    run(test)


# Which calls


def rule(*, cache_if: str = "", skip_if: str = "", ttl_s: float | None = None) -> Rule:
    return Rule(
        compile_condition(cache_if) if cache_if else None,
        compile_condition(skip_if) if skip_if else None,
        ttl_s,
    )


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        ((rule(skip_if="stream"),), ["hit", "bypass"]),
        ((rule(cache_if="stream"),), ["bypass", "hit"]),
        ((rule(cache_if="deterministic"),), ["bypass", "bypass"]),
        ((rule(skip_if='model == "x"'),), ["hit", "hit"]),
        ((rule(skip_if="stream"), rule(cache_if="true")), ["hit", "bypass"]),
        ((rule(cache_if="true"), rule(skip_if="stream")), ["hit", "hit"]),
        ((rule(cache_if='key == "nobody"'), rule(cache_if="!stream")), ["hit", "bypass"]),
    ],
)
def test_the_first_rule_that_holds_decides(rules: tuple[Rule, ...], words: list[str]):
    async def test() -> None:
        found = []
        for stream in (False, True):
            world = World(streamed() if stream else OK, policy=Policy(60.0, rules=rules))
            await world.ask(call(stream=stream))
            found += await world.words(call(stream=stream))
        assert found == words

    run(test)


def test_a_rule_says_for_how_long():
    async def test() -> None:
        world = World(policy=Policy(60.0, rules=(rule(cache_if="true", ttl_s=5.0),)))
        await world.ask()
        world.clock.advance(6.0)
        assert (await world.ask())[0] == "miss"

    run(test)


def test_several_answers_and_other_operations_are_none_of_its():
    async def test() -> None:
        world = World()
        several = call()
        several.envelope = Envelope("m", choices=2)
        counting = call()
        counting.operation = "count_tokens"
        assert await world.words(several, counting) == ["bypass", "bypass"]

    run(test)


def test_a_body_that_is_no_request_is_for_the_target_to_refuse():
    async def test() -> None:
        world = World(InvalidRequest("no"))
        broken = Call(WIRE, b"[]", Envelope("m"))
        with pytest.raises(InvalidRequest):
            await world.send(broken)

    run(test)


@pytest.mark.parametrize(
    "frames",
    [
        ("say hi", "finish length 3 2"),
        ("say hi", "finish content_filter 3 2"),
        ("say hi",),
        ("fail overloaded busy",),
    ],
    ids=["cut off", "filtered", "broken", "failed"],
)
def test_what_is_no_whole_answer_is_not_kept(frames: tuple[str, ...]):
    def answer() -> Reply:
        connection = Connection(linewire.frames("start id m", *frames))
        return targets.streamed(connection, wire=WIRE)()

    async def test() -> None:
        world = World(answer)
        assert await world.words(call(stream=True), call(stream=True)) == ["miss", "miss"]
        assert world.cache.flights == {}

    run(test)


def test_a_failure_is_not_kept():
    async def test() -> None:
        world = World(Unreachable("down"), OK)
        with pytest.raises(Unreachable):
            await world.send()
        assert await world.words(call(), call()) == ["miss", "hit"]

    run(test)


# Several at once


def held(*script: Answer | BaseException) -> tuple[World, asyncio.Event]:
    """A world whose target answers once it may."""
    world, gate = World(*script), asyncio.Event()
    world.fake.on_send = gate.wait
    return world, gate


def test_what_is_asked_at_the_same_time_is_asked_once():
    async def test() -> None:
        world, gate = held(streamed())
        asked = [asyncio.ensure_future(world.ask(call(stream=True))) for _ in range(5)]
        asked.append(asyncio.ensure_future(world.ask(call(wire=OTHER))))
        await settle()
        gate.set()
        words = [word for word, _ in await asyncio.gather(*asked)]
        assert words == ["miss", "hit", "hit", "hit", "hit", "hit"]
        assert len(world.fake.calls) == 1
        assert world.results == {"miss": 1, "shared": 5}
        assert sum(each.cost_usd or 0 for each in world.records) == 5
        assert world.cache.flights == {}

    run(test)


def test_who_asks_while_an_answer_comes_shares_it():
    async def test() -> None:
        gate = asyncio.Event()
        world = World(streamed(gate=gate))
        first = asyncio.ensure_future(world.ask(call(stream=True)))
        await settle()
        second = asyncio.ensure_future(world.ask(call(stream=True)))
        await settle()
        gate.set()
        assert (await first)[1] == (await second)[1]
        assert len(world.fake.calls) == 1

    run(test)


def test_the_first_to_ask_may_leave_before_anybody_has_answered():
    async def test() -> None:
        world, gate = held()
        asked = [asyncio.ensure_future(world.ask()) for _ in range(4)]
        await settle()
        asked[0].cancel()
        await settle()
        gate.set()
        answers = await asyncio.gather(*asked[1:])
        assert [word for word, _ in answers] == ["miss", "hit", "hit"]
        assert len(world.fake.calls) == 2  # the first one's was ended
        assert [each.outcome for each in world.records].count("cancelled") == 1

    run(test)


def test_the_first_to_ask_may_leave_in_the_middle_and_another_one_pays():
    async def test() -> None:
        gate = asyncio.Event()
        world = World(streamed(gate=gate))
        first = asyncio.ensure_future(world.ask(call(stream=True)))
        await settle()
        second = asyncio.ensure_future(world.ask(call(stream=True)))
        await settle()
        first.cancel()
        await settle()
        gate.set()
        assert (await second)[1] == b"".join(linewire.stream("hi there"))
        assert [(each.outcome, each.cost_usd) for each in world.records] == [
            ("cancelled", None),
            ("ok", 5),
        ]
        assert await world.words(call()) == ["hit"]

    run(test)


def test_a_failure_is_told_to_all_who_waited_for_it():
    async def test() -> None:
        world, gate = held(Rejected("no", status=400), OK)
        asked = [asyncio.ensure_future(world.send()) for _ in range(3)]
        await settle()
        gate.set()
        failures = await asyncio.gather(*asked, return_exceptions=True)
        assert [type(each) for each in failures] == [Rejected] * 3
        assert len({id(each) for each in failures}) == 3
        assert [each.attempts for each in world.records] == [1, 0, 0]
        assert await world.words(call()) == ["miss"]

    run(test)


def test_who_has_less_time_neither_asks_nor_waits_for_others():
    async def test() -> None:
        world, gate = held()
        hurried = call().with_deadline(world.clock() + 5.0)
        asked = [asyncio.ensure_future(world.ask(each)) for each in (hurried, call(), hurried)]
        await settle()
        gate.set()
        await asyncio.gather(*asked)
        assert len(world.fake.calls) == 3

    run(test)


def test_what_is_too_much_to_write_is_left_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_TASKS", 0)

    async def test() -> None:
        world = World()
        assert await world.words(call(), call()) == ["miss", "miss"]

    run(test)


def test_closing_finishes_what_is_being_written():
    async def test() -> None:
        world = World()
        asked = targets.call(WIRE)
        await targets.read(await world.send(asked), asked)
        await world.cache.aclose()
        assert isinstance(world.cache.store, MemoryStore)
        assert world.cache.store.count == 0

    run(test)


def test_keys_of_requests_are_remembered_up_to_a_number(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_ALIASES", 3)

    async def test() -> None:
        world = World()
        for number in range(10):
            await world.ask(call(f"{number}"))
        assert len(world.cache._aliases) <= 3
        assert await world.words(call("9")) == ["hit"]

    run(test)
