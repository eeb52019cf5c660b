"""What is measured once in a run, on servers of their own: start, memory, slow streams and readers.

Memory is that of the whole process tree. Each server starts fresh, so that what one scenario made
grow is not found in another.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench import process, server
from bench.figure import Compared, Figure
from bench.fixture import Stream
from bench.load import Expected, Order, Plan
from bench.server import PASSTHROUGH, TRANSLATED, Door, Launch, Work
from bench.session import Session, say

MB = 1e6

GOALS = {"start": 0.5, "memory.idle": 65.0}


def figure(
    key: str, title: str, unit: str, section: str, digits: int = 1, compared: Compared = "value"
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


START = figure("start", "time to ready", "s", "Start and rest", digits=3)
IDLE_MEMORY = figure("memory.idle", "memory when idle (RSS)", "MB", "Start and rest")
IDLE_PSS = figure("memory.idle_pss", "memory when idle (PSS)", "MB", "Start and rest")
IDLE_CPU = figure("idle.cpu", "CPU when idle, ms per second", "ms", "Start and rest", digits=2)


def startup(bench: Session, launches: Sequence[Launch]) -> None:
    """Time from the start of a process to its first 200 on the readiness path."""
    for _ in range(3 if bench.quick else 7):
        for launch in launches:
            door, ready_s = launch(bench.site("start"))
            bench.ledger.note(START, door.name, ready_s)
            stop(door)


def stop(door: Door) -> None:
    if door.process:
        door.process.stop()


def memory(bench: Session, launches: Sequence[Launch]) -> None:
    """Memory at rest, and after many requests and chunks."""
    requests = 10_000 if bench.quick else 100_000
    chunks = 50_000 if bench.quick else 1_000_000
    section = "Memory after work (RSS)"
    later = [
        figure("memory.requests", f"after {requests:,} requests", "MB", section),
        figure("memory.more_requests", f"after {2 * requests:,} requests", "MB", section),
        figure("memory.chunks", f"and {chunks:,} chunks of streams", "MB", section),
        figure("memory.translated", f"and {chunks:,} translated chunks", "MB", section),
    ]
    whole = Plan(connections=32, requests=requests, warmup_s=0)
    streamed = Plan(connections=32, requests=chunks // 100, warmup_s=0)
    steps: list[tuple[Work, Plan, Stream | None]] = [
        (PASSTHROUGH, whole, None),
        (PASSTHROUGH, whole, None),
        (PASSTHROUGH, streamed, Stream()),
        (TRANSLATED, streamed, Stream()),
    ]
    for launch in launches:
        door, _ = launch(bench.site("memory"))
        try:
            time.sleep(bench.seconds(1, 0.5))
            _note_idle(bench, door)
            for row, (work, plan, stream) in zip(later, steps, strict=True):
                bench.feed(door, work, plan, stream)
                time.sleep(bench.seconds(0.5, 0.1))
                rss = process.memory(door.tree()).rss_bytes
                bench.ledger.note(row, door.name, rss / MB)
        finally:
            stop(door)


def _note_idle(bench: Session, door: Door) -> None:
    tree = door.tree()
    used = process.memory(tree)
    bench.ledger.note(IDLE_MEMORY, door.name, used.rss_bytes / MB)
    bench.ledger.note(IDLE_PSS, door.name, used.pss_bytes / MB)
    seconds = bench.seconds(2, 0.5)
    before = process.cpu_ns(tree)
    time.sleep(seconds)
    bench.ledger.note(IDLE_CPU, door.name, (process.cpu_ns(tree) - before) / 1e6 / seconds)


@dataclass(slots=True)
class Peak:
    """Looks at a server's memory while a load runs."""

    door: Door
    samples: list[int]
    """RSS in bytes, about ten times a second."""

    def look(self) -> None:
        self.samples.append(process.memory(self.door.tree()).rss_bytes)

    @property
    def rss_bytes(self) -> int:
        return max(self.samples)

    @property
    def late_growth_bytes(self) -> int:
        """In the second half of the time: what is bounded does not grow any more."""
        return self.samples[-1] - self.samples[len(self.samples) // 2]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Many slow streams at once, whose memory is looked at."""

    name: str
    section: str
    plan: Plan
    stream: Stream


def slow_streams(bench: Session, launches: Sequence[Launch]) -> None:
    """Many streams at once, each of them slow: what one open stream costs in memory."""
    streams = 200 if bench.quick else 1000
    plan = Plan(
        connections=streams,
        ramp_s=bench.seconds(2, 0.5),
        warmup_s=0,
        duration_s=60,
        once=True,
        sample_every=100,
    )
    stream = Stream(chunks=10 if bench.quick else 60, interval_us=100_000)
    crowd = Crowd("slow_streams", f"{streams:,} slow streams at once", plan, stream)
    _observe_all(bench, launches, crowd)


def slow_readers(bench: Session, launches: Sequence[Launch]) -> None:
    """Readers far slower than their streams: the server must make the upstream wait, not hoard.

    The kernel's buffers on the way hold two to three megabytes of each stream: a server that
    reads on without end takes more than that, and grows by it.
    """
    streams = 20
    section = f"{streams} readers of 5 KB/s, streams of 12 MB as fast as they are taken"
    plan = Plan(
        connections=streams,
        ramp_s=0.5,
        warmup_s=0,
        duration_s=bench.seconds(6, 2.5),
        read_bytes=512,
        read_interval_ms=100,
    )
    crowd = Crowd("slow_readers", section, plan, Stream(chunks=40_000, gathered=True))
    _observe_all(bench, launches, crowd)


def _observe_all(bench: Session, launches: Sequence[Launch], crowd: Crowd) -> None:
    for launch in launches:
        _observe(bench, launch, PASSTHROUGH, crowd)
    # The last one is the gateway; who only passes calls on would do the same again.
    _observe(bench, launches[-1], TRANSLATED, crowd)


def _observe(bench: Session, launch: Launch, work: Work, crowd: Crowd) -> None:
    def note(key: str, title: str, unit: str, value: float) -> None:
        name = f"{crowd.name}.{work.name}.{key}"
        row = figure(name, f"{work.name}: {title}", unit, crowd.section)
        bench.ledger.note(row, door.name, value)

    door, _ = launch(bench.site("crowd"))
    try:
        # What comes with the first calls is not the streams' cost.
        bench.feed(door, work, Plan(connections=32, requests=2000, warmup_s=0))
        order = _order(bench, door, work, crowd)
        rest_bytes = process.memory(door.tree()).rss_bytes
        sent_bytes = bench.upstream_stats().bytes
        peak = Peak(door, [rest_bytes])
        bench.run(door, order, meanwhile=peak.look)
        sent_bytes = bench.upstream_stats().bytes - sent_bytes
        streams = crowd.plan.connections
        note("peak", "peak memory (RSS)", "MB", peak.rss_bytes / MB)
        note("each", "growth per stream", "KB", (peak.rss_bytes - rest_bytes) / streams / 1e3)
        if crowd.plan.read_interval_ms:
            late = peak.late_growth_bytes / streams / 1e3
            note("late", "growth per stream, second half", "KB", late)
            note("taken", "taken from the upstream, each", "KB", sent_bytes / streams / 1e3)
            _await_hang_up(bench, door)
    finally:
        stop(door)


def _order(bench: Session, door: Door, work: Work, crowd: Crowd) -> Order:
    if not crowd.plan.read_interval_ms:
        return bench.order(door, work, crowd.plan, crowd.stream)[1]
    # Slow readers leave before the end: nothing is known of an answer but its status.
    return Order(crowd.plan, door.request(work, door.ask(work, crowd.stream)), Expected())


def _await_hang_up(bench: Session, door: Door) -> None:
    """Note it when streams whose readers have left are still taken from the upstream."""
    end = time.monotonic() + 5
    before = bench.upstream_stats().chunks
    while time.monotonic() < end:
        time.sleep(0.3)
        after = bench.upstream_stats().chunks
        if after == before:
            break
        before = after
    else:
        bench.notes.append(f"{door.name}: streams went on 5 s after their readers had left")


def soak(bench: Session, launch: Launch, minutes: float) -> None:
    """A mixed load of moderate rate for a long time, some callers leaving in the middle.

    Memory and open files are told every few seconds; what grows shows as a difference between the
    first and the last quarter.
    """
    door, _ = launch(bench.site("soak"))
    mix: list[tuple[Work, Plan, Stream | None]] = [
        (PASSTHROUGH, Plan(connections=64, rate=1500, duration_s=5, seed=1), None),
        (TRANSLATED, Plan(connections=64, rate=1500, duration_s=5, seed=2), None),
        (PASSTHROUGH, Plan(connections=16, duration_s=3, abort_every=7), Stream(50, 2000)),
        (TRANSLATED, Plan(connections=16, duration_s=3, abort_every=7), Stream(50, 2000)),
    ]
    end = time.monotonic() + minutes * 60
    memory_mb: list[float] = []
    files: list[int] = []
    try:
        while time.monotonic() < end:
            for work, plan, stream in mix:
                bench.feed(door, work, plan, stream)
            tree = door.tree()
            memory_mb.append(process.memory(tree).rss_bytes / MB)
            files.append(process.open_files(tree))
            left_s = end - time.monotonic()
            say(f"soak: {left_s:5.0f} s left, {memory_mb[-1]:.1f} MB, {files[-1]} open files")
        served = server.get(bench.upstream.port, "/stats")[1].decode()
    finally:
        stop(door)
    quarter = max(1, len(memory_mb) // 4)
    for name, unit, values in (("memory", "MB", memory_mb), ("open files", "", files)):
        early = sum(values[:quarter]) / quarter
        late = sum(values[-quarter:]) / quarter
        key = f"soak.{name.replace(' ', '_')}"
        for when, value in (("first", early), ("last", late)):
            title = f"{name}, {when} quarter"
            row = figure(f"{key}.{when}", title, unit, f"Soak, {minutes:g} minutes")
            bench.ledger.note(row, door.name, value)
    bench.notes.append(f"soak: the mock upstream served {served}")
