"""What holds for every layer. A new layer joins by being added to `LAYERS`."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import Interrupted, InvalidRequest, TargetError, Unreachable
from modelmux.layer.cache import Cache, Caching, Policy
from modelmux.layer.peek import Peek
from modelmux.layer.record import Record, Recorder
from modelmux.layer.retry import Pacing, Retry, RetryBudget, RetryPolicy
from modelmux.layer.timeout import Timeout
from modelmux.store.memory import MemoryStore
from modelmux.target.base import Layer, Target, compose
from modelmux.target.call import Call
from modelmux.target.facts import World as Facts
from modelmux.target.record import CallRecord
from modelmux.target.reply import Reply
from tests.support import linewire, targets
from tests.support.linewire import LineWire
from tests.support.targets import Connection, Fake, FakeClock

WIRE = LineWire("ours")
OTHER_WIRE = LineWire("theirs")


class World:
    """What layers share, and what they hold of it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.in_flight = 0
        self.records: list[CallRecord] = []
        self.retries = 0
        self.budget = RetryBudget(burst=1000.0)
        self.recorder = Recorder(
            self, (), prices=lambda _: None, now=self.clock, unix_time=self.clock
        )

    def cache(self) -> Cache:
        """A cache that finds nothing: what the layer does with each answer counts here."""
        facts = Facts(hour=lambda: 0)
        policy = Policy(ttl_s=60.0)
        return Cache(MemoryStore(1), policy, facts, now=self.clock, unix_time=self.clock)

    def count(self, record: CallRecord) -> None:
        self.records.append(record)

    def retried(self, target: str, exc: TargetError) -> None:
        self.retries += 1

    @property
    def held(self) -> int:
        """What is held of anything; nothing once no call is under way."""
        return self.in_flight


Make = Callable[[World], Layer]

LAYERS: dict[str, Make] = {
    "record": lambda world: lambda inner: Record(inner, recorder=world.recorder),
    "cache": lambda world: (
        lambda inner: Caching(inner, cache=world.cache(), route=(inner.name,), background=inner)
    ),
    "timeout": lambda world: lambda inner: Timeout(inner, timeout_s=60.0, now=world.clock),
    "retry": lambda world: (
        lambda inner: Retry(
            inner,
            policy=RetryPolicy(max_attempts=3),
            budget=world.budget,
            meter=world,
            pacing=Pacing(world.clock, lambda: 0.5, world.clock.sleep),
        )
    ),
    "peek": lambda world: lambda inner: Peek(inner, now=world.clock),
}
every_layer = pytest.mark.parametrize(
    "makes",
    [*([make] for make in LAYERS.values()), list(LAYERS.values())],
    ids=[*LAYERS, "all of them"],
)
Makes = Sequence[Make]


def stack(world: World, makes: Makes, inner: Target) -> Target:
    return compose(inner, *(make(world) for make in makes))


def answers(wire: LineWire) -> list[targets.Answer]:
    return [
        targets.whole(wire=wire),
        targets.streamed(Connection(linewire.stream()), wire=wire),
    ]


@every_layer
def test_a_layer_has_the_name_of_what_it_wraps(makes: Makes):
    assert stack(World(), makes, Fake(name="p/m")).name == "p/m"


@every_layer
@pytest.mark.parametrize("wire", [WIRE, OTHER_WIRE], ids=["same wire", "other wire"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_an_answer_passes_unchanged_and_frees_everything(
    makes: Makes, wire: LineWire, stream: bool
):
    async def read(wrap: Callable[[Target], Target]) -> bytes:
        call = targets.call(WIRE, stream=stream)
        return await targets.read(await wrap(Fake(answers(wire)[stream])).send(call), call)

    world = World()
    bare = asyncio.run(read(lambda inner: inner))
    assert asyncio.run(read(lambda inner: stack(world, makes, inner))) == bare
    assert world.held == 0


@pytest.mark.parametrize("makes", [[make] for name, make in LAYERS.items() if name != "cache"])
def test_the_reply_is_the_targets_own_unless_it_may_be_shared(makes: Makes):
    async def run() -> None:
        made: list[Reply] = []

        def answer() -> Reply:
            made.append(targets.whole(wire=WIRE)())
            return made[-1]

        reply = await stack(World(), makes, Fake(answer)).send(targets.call(WIRE))
        assert [reply] == made
        await reply.aclose()

    asyncio.run(run())


@every_layer
def test_what_breaks_after_the_answer_began_is_never_tried_again(makes: Makes):
    fake = Fake(
        targets.streamed(Connection(linewire.stream()[:2], error=Interrupted("reset")), wire=WIRE)
    )
    world = World()

    async def run() -> bytes:
        call = targets.call(WIRE, stream=True)
        return await targets.read(await stack(world, makes, fake).send(call), call)

    assert b"fail unavailable" in asyncio.run(run())
    assert len(fake.calls) == 1
    assert world.retries == 0
    assert world.held == 0


@every_layer
def test_a_reply_that_is_given_up_frees_everything_once(makes: Makes):
    world = World()
    connection = Connection(linewire.stream())

    async def run() -> None:
        target = stack(world, makes, Fake(targets.streamed(connection, wire=WIRE)))
        reply = await target.send(targets.call(WIRE, stream=True))
        await reply.aclose()
        await reply.aclose()

    asyncio.run(run())
    assert connection.closed == 1
    assert world.held == 0
    assert len(world.records) <= 1


@every_layer
@pytest.mark.parametrize("steps", range(6))
def test_a_caller_who_leaves_before_the_answer_frees_everything(makes: Makes, steps: int):
    world = World()

    async def run() -> None:
        never = asyncio.Event()
        connection = Connection(linewire.stream(), gate=never)
        target = stack(world, makes, Fake(targets.streamed(connection, wire=WIRE)))
        sending = asyncio.ensure_future(target.send(targets.call(WIRE, stream=True)))
        for _ in range(steps):
            await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait((sending,))
        if not sending.cancelled():
            await sending.result().aclose()

    asyncio.run(run())
    assert world.held == 0


@every_layer
@pytest.mark.parametrize(
    "exc", [Unreachable("down"), InvalidRequest("no messages")], ids=["target", "caller"]
)
def test_a_failure_passes_unchanged_and_frees_everything(makes: Makes, exc: Exception):
    world = World()
    with pytest.raises(type(exc)) as caught:
        asyncio.run(stack(world, makes, Fake(exc)).send(targets.call(WIRE)))
    assert caught.value is exc
    assert world.held == 0


@every_layer
def test_the_call_itself_is_not_changed(makes: Makes):
    async def run() -> None:
        call = targets.call(WIRE)
        names = [name for name in Call.__slots__ if name != "_request"]  # decoded when read
        before = {name: getattr(call, name) for name in names}
        await targets.read(await stack(World(), makes, Fake(*answers(WIRE)[:1])).send(call), call)
        assert {name: getattr(call, name) for name in names} == before

    asyncio.run(run())


@every_layer
@given(script=st.lists(st.sampled_from(["answer", "error", "break", "leave", "fail"]), max_size=12))
def test_nothing_is_held_after_any_sequence_of_calls(makes: Makes, script: list[str]):
    world = World()

    async def one(step: str) -> None:
        chunks = linewire.stream()
        connection = Connection(
            chunks[:2] if step == "break" else chunks,
            error=Interrupted("reset") if step == "break" else None,
        )
        fake = Fake(
            {
                "error": targets.whole(linewire.error_body(), wire=WIRE),
                "fail": Unreachable("down"),
            }.get(step, targets.streamed(connection, wire=WIRE))
        )
        call = targets.call(WIRE, stream=True)
        try:
            reply = await stack(world, makes, fake).send(call)
        except TargetError:
            return
        if step == "leave":
            await reply.aclose()
        else:
            await targets.read(reply, call)

    async def run() -> None:
        async with asyncio.TaskGroup() as tasks:
            for step in script:
                tasks.create_task(one(step))

    asyncio.run(run())
    assert world.held == 0
    if LAYERS["record"] in makes:
        assert len(world.records) == len(script)


@given(
    ratio=st.floats(0.0, 1.0),
    min_per_s=st.floats(0.0, 50.0),
    burst=st.floats(1.0, 100.0),
    steps=st.lists(st.tuples(st.sampled_from("dw"), st.floats(0.0, 3.0)), max_size=80),
)
def test_retries_stay_within_their_budget_in_every_period(
    ratio: float, min_per_s: float, burst: float, steps: list[tuple[str, float]]
):
    now = 0.0
    budget = RetryBudget(ratio=ratio, min_per_s=min_per_s, burst=burst, now=now)
    # (time, calls so far, retries so far) after each step, to compare any two of them.
    history: list[tuple[float, int, int]] = [(now, 0, 0)]
    calls = retries = 0
    for what, seconds in steps:
        now += seconds
        if what == "d":
            budget.deposit()
            calls += 1
        elif budget.withdraw(now):
            retries += 1
        history.append((now, calls, retries))
    for index, (start, calls_before, retries_before) in enumerate(history):
        for end, calls_after, retries_after in history[index:]:
            allowed = (
                burst + ratio * (calls_after - calls_before) + min_per_s * (end - start) + 1e-6
            )
            assert retries_after - retries_before <= allowed
