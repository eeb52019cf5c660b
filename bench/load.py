"""Runs the load generator and reads its result."""

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bench import process

GRACE_S = 60.0
"""How long a run may take beyond what was asked of it."""


class Quantiles(msgspec.Struct, frozen=True):
    """Nanoseconds."""

    count: int
    mean: float
    min: int
    p50: int
    p90: int
    p99: int
    p999: int
    max: int


class Result(msgspec.Struct, frozen=True):
    """What the load generator counted in its window."""

    window_ns: int
    completed: int
    """Answers that ended in the window."""
    answered: int
    """Answers of the whole run, each of them checked."""
    events: int
    reads: int
    """Reads that brought part of a body: more events than reads means that chunks were joined."""
    body_bytes: int
    reconnects: int
    aborted: int
    cpu_ns: dict[str, int]
    """By process id, the generator's own included."""
    latency_ns: Quantiles
    first_byte_ns: Quantiles
    gap_ns: Quantiles
    """Between two reads of one stream."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What every answer must be."""

    body_bytes: int = 0
    """0: any length."""
    events: int = 0
    """0: any number of events."""
    contains: str = ""
    status: int = 200

    def arguments(self) -> list[str]:
        required = ["--contains", self.contains] if self.contains else []
        return [
            *("--status", str(self.status)),
            *("--bytes", str(self.body_bytes)),
            *("--events", str(self.events)),
            *required,
        ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One run of the load generator: see the top of `native/load.c`."""

    connections: int = 1
    rate: float = 0
    """Requests per second of an open loop; 0: a closed one."""
    warmup_s: float = 0.2
    duration_s: float = 1.0
    requests: int = 0
    """Ends the window after so many answers instead of after `duration_s`."""
    ramp_s: float = 0
    once: bool = False
    sample_every: int = 0
    abort_every: int = 0
    read_bytes: int = 0
    read_interval_ms: float = 0
    seed: int = 1

    def arguments(self) -> list[str]:
        always: list[tuple[str, float]] = [
            ("--connections", self.connections),
            ("--warmup", self.warmup_s),
            ("--duration", self.duration_s),
        ]
        optional: list[tuple[str, float]] = [
            ("--ramp", self.ramp_s),
            ("--seed", self.seed),
            ("--rate", self.rate),
            ("--requests", self.requests),
            ("--sample-every", self.sample_every),
            ("--abort-every", self.abort_every),
            ("--read-bytes", self.read_bytes),
            ("--read-interval-ms", self.read_interval_ms),
        ]
        pairs = always + [(name, value) for name, value in optional if value]
        once = ["--once"] if self.once else []
        return [part for name, value in pairs for part in (name, f"{value}")] + once


class LoadFailed(Exception):
    """The load generator met an answer that is not as expected, or none."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to send, how, and what must come back."""

    plan: Plan
    request: bytes
    expected: Expected


@dataclass(frozen=True, slots=True)
class Generator:
    """The compiled load generator, its core, and a folder for its files."""

    program: Path
    core: int
    folder: Path


def run(
    generator: Generator,
    order: Order,
    *,
    port: int,
    watched: Sequence[int] = (),
    meanwhile: Callable[[], None] | None = None,
) -> tuple[Result, list[bytes]]:
    """Let the load generator work; the second value is the bodies it sampled.

    Args:
        watched: Processes whose CPU time is measured over the window.
        meanwhile: Called about ten times a second while the load runs.

    Raises:
        LoadFailed: An answer was wrong or missing.
    """
    plan, folder = order.plan, generator.folder
    (folder / "request").write_bytes(order.request)
    command = [
        *(str(generator.program), "--port", str(port), "--request", str(folder / "request")),
        *plan.arguments(),
        *order.expected.arguments(),
    ]
    if plan.sample_every:
        command += ["--samples", str(folder / "samples")]
    if watched:
        command += ["--watch", ",".join(map(str, watched))]
    output, errors = folder / "load.out", folder / "load.err"
    with output.open("wb") as out, errors.open("wb") as err, process.pinned(generator.core):
        popen = process.start(command, out, err)
    limit_s = plan.warmup_s + plan.ramp_s + plan.duration_s + GRACE_S
    code = _wait(popen, limit_s, meanwhile)
    if code:
        raise LoadFailed(errors.read_bytes().decode(errors="replace").strip() or f"signal {-code}")
    samples = read_samples((folder / "samples").read_bytes()) if plan.sample_every else []
    return msgspec.json.decode(output.read_bytes(), type=Result), samples


def _wait(
    popen: subprocess.Popen[bytes], limit_s: float, meanwhile: Callable[[], None] | None
) -> int:
    end = time.monotonic() + limit_s
    try:
        while True:
            step_s = end - time.monotonic() if meanwhile is None else 0.1
            with contextlib.suppress(subprocess.TimeoutExpired):
                return popen.wait(max(step_s, 0.001))
            if time.monotonic() >= end:
                raise LoadFailed(f"the load generator did not end within {limit_s:.0f} s")
            if meanwhile is not None:
                meanwhile()
    finally:
        if popen.poll() is None:
            popen.send_signal(signal.SIGKILL)
            popen.wait()


def read_samples(content: bytes) -> list[bytes]:
    bodies: list[bytes] = []
    at = 0
    while at < len(content):
        line_end = content.index(b"\n", at)
        body_bytes = int(content[at:line_end])
        bodies.append(content[line_end + 1 : line_end + 1 + body_bytes])
        at = line_end + 1 + body_bytes + 1
    return bodies
