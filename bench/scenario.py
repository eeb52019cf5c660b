"""What is measured in every round: CPU, throughput and latency of whole and streamed answers.

Streams are measured twice. At a fixed pace below saturation every chunk is a read of its own, and
the window lies inside the streams, so that no request begins or ends in it: that is the cost of a
chunk. Chunks of several streams come together, as they do where there are many; were they spread
evenly, the kernel's work of waking a process would be most of the cost, for nginx as for others.
At saturation a slow server finds several chunks in one read and looks better than it is;
the figure is given because throughput is, and says how much was joined.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench import session
from bench.figure import Compared, Figure
from bench.fixture import Stream
from bench.load import Plan
from bench.server import LARGE, PASSTHROUGH, TRANSLATED, Door, Work
from bench.session import Session

CONNECTIONS = 32
STREAMS = 64
PACE_US, TICK_US = 2500, 625
OPEN_RATE = 2000
STREAM_RATE = 200

GOALS = {
    "passthrough.cpu": 2.5,
    "translated.cpu": 2.9,
    "passthrough.p99": 3.0,
    "translated.p99": 3.0,
    "stream.passthrough.cpu": 1.35,
    "stream.translated.cpu": 1.55,
    "one.passthrough.p50": 100.0,
}
"""What the gateway is to stay below, everything on."""


def _figure(
    key: str, title: str, unit: str, section: str, digits: int = 1, compared: Compared = "ratio"
) -> Figure:
    return Figure(
        key=key,
        title=title,
        unit=unit,
        section=section,
        digits=digits,
        compared=compared,
        goal=GOALS.get(key),
    )


def whole(bench: Session, doors: Sequence[Door], work: Work) -> None:
    """Whole answers at saturation."""
    plan = Plan(
        connections=CONNECTIONS,
        warmup_s=bench.seconds(0.4, 0.2),
        duration_s=bench.seconds(2.5, 0.6),
        sample_every=997,
    )
    saturate(bench, doors, work, plan)


def saturate(bench: Session, doors: Sequence[Door], work: Work, plan: Plan) -> None:
    section = f"Whole answers, {plan.connections} connections, saturated"
    cpu = _figure(f"{work.name}.cpu", f"{work.name}: CPU per request", "µs", section)
    rate = _figure(f"{work.name}.rps", f"{work.name}: requests per second", "/s", section, digits=0)
    p99 = _figure(f"{work.name}.p99", f"{work.name}: p99 at saturation", "µs", section, digits=0)
    for door in doors:
        result = bench.measure(work.name, door, work, plan)
        note = bench.ledger.note
        note(cpu, door.name, session.cpu_ns(result, door) / result.completed / 1e3)
        note(rate, door.name, result.completed / result.window_ns * 1e9)
        note(p99, door.name, result.latency_ns.p99 / 1e3)


def paced(bench: Session, doors: Sequence[Door], work: Work) -> None:
    """Streams at a fixed pace: the cost of a chunk."""
    interval_s = PACE_US / 1e6
    section = f"Streams, {STREAMS} of {1 / interval_s:.0f} chunks a second each"
    # Streams start one pace and a tick apart: each tick has as many as any other.
    ramp_s = STREAMS * (PACE_US + TICK_US) / 1e6
    warmup_s = ramp_s + bench.seconds(0.2, 0.1)
    duration_s = bench.seconds(2.5, 0.6)
    stream = Stream(
        chunks=int((warmup_s + duration_s + 0.1) / interval_s), interval_us=PACE_US, tick_us=TICK_US
    )
    plan = Plan(
        connections=STREAMS,
        ramp_s=ramp_s,
        warmup_s=warmup_s,
        duration_s=duration_s,
        once=True,
        sample_every=16,
    )
    name = f"stream.{work.name}"
    cpu = _figure(f"{name}.cpu", f"{work.name}: CPU per chunk", "µs", section, digits=2)
    gap = _figure(f"{name}.gap_p99", f"{work.name}: p99 gap of chunks", "µs", section, digits=0)
    for door in doors:
        before = bench.upstream_stats()
        result = bench.measure(name, door, work, plan, stream)
        after = bench.upstream_stats()
        late = (after.late_1ms - before.late_1ms) / (after.chunks - before.chunks)
        if late > 0.01:
            bench.notes.append(f"{name} ({door.name}): {late:.1%} of the chunks were sent late")
        bench.ledger.note(cpu, door.name, session.cpu_ns(result, door) / result.events / 1e3)
        bench.ledger.note(gap, door.name, result.gap_ns.p99 / 1e3)


def burst(bench: Session, doors: Sequence[Door], work: Work) -> None:
    """Streams of 100 chunks as fast as they are taken."""
    section = "Streams of 100 chunks, 32 connections, saturated (request included)"
    stream = Stream(chunks=100)
    plan = Plan(
        connections=CONNECTIONS,
        warmup_s=bench.seconds(0.3, 0.2),
        duration_s=bench.seconds(2.0, 0.5),
        sample_every=211,
    )
    name = f"burst.{work.name}"
    cpu = _figure(f"{name}.cpu", f"{work.name}: CPU per chunk", "µs", section, digits=2)
    rate = _figure(f"{name}.rate", f"{work.name}: chunks per second", "/s", section, digits=0)
    for door in doors:
        result = bench.measure(name, door, work, plan, stream)
        # The two wires have different numbers of events around the same chunks.
        chunks = result.events * stream.chunks / bench.expected(door, work, stream).events
        bench.ledger.note(cpu, door.name, session.cpu_ns(result, door) / chunks / 1e3)
        bench.ledger.note(rate, door.name, chunks / result.window_ns * 1e9)


@dataclass(frozen=True, slots=True)
class Added:
    """How added latency is measured."""

    name: str
    section: str
    plan: Plan
    stream: Stream | None = None


def one_connection(bench: Session, doors: Sequence[Door], work: Work) -> None:
    """What a proxy adds to one call at a time."""
    duration_s = bench.seconds(1.2, 0.3)
    plan = Plan(connections=1, warmup_s=0.2, duration_s=duration_s, sample_every=997)
    add_latency(bench, doors, work, alone(plan))


def alone(plan: Plan) -> Added:
    return Added("one", "Added latency, one connection", plan)


def open_loop(bench: Session, doors: Sequence[Door], work: Work) -> None:
    """What a proxy adds when requests come at random times, whether it keeps up or not."""
    rounds = bench.ledger.values.get(f"open.{work.name}.p50", {}).get("direct", ())
    plan = Plan(
        connections=64,
        rate=OPEN_RATE,
        warmup_s=bench.seconds(0.3, 0.2),
        duration_s=bench.seconds(2.0, 0.5),
        sample_every=997,
        seed=len(rounds) + 1,  # other times in each round, the same for each server
    )
    section = f"Added latency, open loop of {OPEN_RATE} requests a second"
    add_latency(bench, doors, work, Added("open", section, plan))


def first_event(bench: Session, doors: Sequence[Door], work: Work) -> None:
    """What a proxy adds to the time until a stream's first event."""
    plan = Plan(
        connections=64,
        rate=STREAM_RATE,
        warmup_s=bench.seconds(0.3, 0.2),
        duration_s=bench.seconds(2.0, 0.5),
        sample_every=97,
    )
    section = f"Added latency to the first event, {STREAM_RATE} streams a second"
    add_latency(bench, doors, work, Added("first", section, plan, Stream(10, interval_us=2000)))


def add_latency(bench: Session, doors: Sequence[Door], work: Work, how: Added) -> None:
    base: dict[str, float] = {}
    for door in (bench.upstream, *doors):
        name = f"{how.name}.{work.name}"
        result = bench.measure(name, door, work, how.plan, how.stream)
        times = result.first_byte_ns if how.stream else result.latency_ns
        points = {"p50": times.p50, "p99": times.p99}
        if how.plan.rate:
            points["p99.9"] = times.p999
        for point, value_ns in points.items():
            title = f"{work.name}: {point}"
            figure = _figure(f"{name}.{point}", title, "µs", how.section, 0, "value")
            value = value_ns / 1e3
            added = value - base.setdefault(point, value)
            # The direct call is given as it is: it is what the others are added to.
            bench.ledger.note(figure, door.name, value if door is bench.upstream else added)


Measure = Callable[[Session, Sequence[Door], Work], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A row of the table below: `name` is what the command line calls it."""

    name: str
    measure: Measure
    work: Work


SCENARIOS = (
    Scenario("passthrough", whole, PASSTHROUGH),
    Scenario("translated", whole, TRANSLATED),
    Scenario("large", whole, LARGE),
    Scenario("stream", paced, PASSTHROUGH),
    Scenario("stream-translated", paced, TRANSLATED),
    Scenario("burst", burst, PASSTHROUGH),
    Scenario("burst-translated", burst, TRANSLATED),
    Scenario("latency", one_connection, PASSTHROUGH),
    Scenario("latency-translated", one_connection, TRANSLATED),
    Scenario("open", open_loop, PASSTHROUGH),
    Scenario("open-translated", open_loop, TRANSLATED),
    Scenario("first-event", first_event, PASSTHROUGH),
    Scenario("first-event-translated", first_event, TRANSLATED),
)
