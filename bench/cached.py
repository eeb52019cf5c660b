"""What an answer from the cache costs: no provider is asked, so nothing of nginx's is like it."""

from collections.abc import Sequence

from bench import endurance, session
from bench.endurance import figure
from bench.fixture import Stream
from bench.load import Expected, Order, Plan
from bench.server import PASSTHROUGH, TRANSLATED, Door, Launch, Work
from bench.session import Session

CONFIG = """
[cache]
enabled = true
ttl_seconds = 86400
"""
"""Beside what the gateway has anyway."""

CHUNKS = 100


def hits(bench: Session, launches: Sequence[Launch]) -> None:
    """CPU of a call that is answered from the cache, whole and streamed."""
    for launch in launches:
        door, _ = launch(bench.site("cache"))
        try:
            for work, stream in (
                (PASSTHROUGH, None),
                (TRANSLATED, None),
                (PASSTHROUGH, Stream(chunks=CHUNKS)),
            ):
                _prime(bench, door, work, stream)
                _measure(bench, door, work, stream)
        finally:
            endurance.stop(door)


def _prime(bench: Session, door: Door, work: Work, stream: Stream | None) -> None:
    """Have it kept what is asked for from now on, which is not the provider's own bytes."""
    plan = Plan(requests=1, warmup_s=0, sample_every=1)
    bench.run(door, Order(plan, door.request(work, door.ask(work, stream)), Expected()))


def _measure(bench: Session, door: Door, work: Work, stream: Stream | None) -> None:
    plan = Plan(
        connections=32,
        warmup_s=bench.seconds(0.4, 0.2),
        duration_s=bench.seconds(2.0, 0.5),
        sample_every=997,
    )
    form = f"{work.name}, streamed" if stream else work.name
    key = f"cache.{work.name}{'.stream' if stream else ''}"
    section = "Answers from the cache, 32 connections, saturated"
    cpu = figure(f"{key}.cpu", f"{form}: CPU per request", "µs", section)
    rate = figure(f"{key}.rps", f"{form}: requests per second", "/s", section, digits=0)
    result = bench.measure(key, door, work, plan, stream)
    bench.ledger.note(cpu, door.name, session.cpu_ns(result, door) / result.completed / 1e3)
    bench.ledger.note(rate, door.name, result.completed / result.window_ns * 1e9)
