"""One run of the benchmark: where things are, and how a load is run so that its result can be
believed.

A window in which other processes used the cores is measured again, and the quietest one is kept:
chosen by what others did, never by what was measured.
"""

import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec

from bench import answer, load, machine, process, server
from bench.compiled import Programs
from bench.figure import Ledger
from bench.fixture import Ask, Stream
from bench.load import Expected, Order, Plan, Result
from bench.machine import Cores
from bench.server import Door, Site, Work

QUIET_SHARE = 0.03
"""Of a core, used by others: more than this and the window is measured again."""


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """How far one measured window can be believed; shares are of one core."""

    scenario: str
    server: str
    server_busy: float
    """Used by the server under test. Near 1: it was saturated."""
    driver_busy: float
    """Used by load generator and mock upstream. Near 1: they were the limit, not the server."""
    server_others: float
    driver_others: float
    joined: float
    """Events of a stream for each read of the load generator."""
    attempts: int

    @property
    def others(self) -> float:
        return max(self.server_others, self.driver_others)


class UpstreamStats(msgspec.Struct, frozen=True):
    """What the mock upstream tells about itself."""

    requests: int
    streams: int
    finished: int
    chunks: int
    bytes: int
    open: int
    late_1ms: int
    """Chunks that were more than a millisecond late."""


@dataclass(frozen=True, slots=True)
class Task:
    """A load, ready to be run against a door."""

    scenario: str
    door: Door
    ask: Ask
    order: Order


@dataclass(slots=True, kw_only=True)
class Session:
    """What scenarios need. `folder` is temporary."""

    folder: Path
    programs: Programs
    cores: Cores
    upstream: Door
    quick: bool
    attempts: int = 3
    """At most so many for each window."""
    patience_s: float = 0
    """What is left of the time that may be spent waiting for a quiet machine."""
    deadline: float = float("inf")
    """On the monotonic clock: from here on nothing is measured twice."""
    ledger: Ledger = field(default_factory=Ledger)
    windows: list[Window] = field(default_factory=list[Window])
    notes: list[str] = field(default_factory=list[str])
    _expected: dict[tuple[object, ...], Expected] = field(
        default_factory=dict[tuple[object, ...], Expected]
    )

    def site(self, name: str) -> Site:
        """A place where servers can be started."""
        folder = self.folder / f"{name}-{time.monotonic_ns()}"
        folder.mkdir()
        return Site(folder, self.upstream.port, self.cores.server)

    def seconds(self, full: float, quick: float) -> float:
        return quick if self.quick else full

    def expected(self, door: Door, work: Work, stream: Stream | None) -> Expected:
        """What every answer must be, learned from three that were read in full.

        Raises:
            WrongAnswer: One of them says something else, or they differ in form.
        """
        key = (door.name, door.port, work, stream and stream.chunks)
        if key in self._expected:
            return self._expected[key]
        ask = door.ask(work, stream and replace(stream, interval_us=0))
        plan = Plan(requests=3, warmup_s=0, sample_every=1)
        _, bodies = self.run(door, Order(plan, door.request(work, ask), Expected()))
        for body in bodies:
            answer.check(ask, body)
        forms = {(len(body), body.count(b"\n\n")) for body in bodies}
        if len(forms) != 1:
            raise answer.WrongAnswer(f"{door.name}: answers differ in length or events: {forms}")
        body_bytes, events = forms.pop()
        ending = _ENDINGS[ask.wire] if stream else "a process that must not fail."
        expected = Expected(body_bytes, events if stream else 0, ending)
        self._expected[key] = expected
        return expected

    def order(self, door: Door, work: Work, plan: Plan, stream: Stream | None) -> tuple[Ask, Order]:
        ask = door.ask(work, stream)
        return ask, Order(plan, door.request(work, ask), self.expected(door, work, stream))

    def measure(
        self, scenario: str, door: Door, work: Work, plan: Plan, stream: Stream | None = None
    ) -> Result:
        """Run a load in a window that is as quiet as can be had."""
        task = Task(scenario, door, *self.order(door, work, plan, stream))
        tries: list[tuple[Window, Result]] = []
        while len(tries) < self.attempts:
            self._await_quiet()
            tries.append(self._window(task))
            if tries[-1][0].others < QUIET_SHARE or time.monotonic() > self.deadline:
                break
        window, result = min(tries, key=lambda each: each[0].others)
        self.windows.append(msgspec.structs.replace(window, attempts=len(tries)))
        return result

    def feed(
        self,
        door: Door,
        work: Work,
        plan: Plan,
        stream: Stream | None = None,
        meanwhile: Callable[[], None] | None = None,
    ) -> Result:
        """Run a load that is not timed; answers are checked all the same."""
        _, order = self.order(door, work, plan, stream)
        return self.run(door, order, meanwhile=meanwhile)[0]

    def _window(self, task: Task) -> tuple[Window, Result]:
        door, tree, upstream = task.door, task.door.tree(), self.upstream.tree()
        clock = _Clock(self.cores, tree, upstream)
        result, bodies = self.run(door, task.order, sorted({*tree, *upstream}))
        server_others, driver_others = clock.others()
        if door.tree() != tree:
            raise RuntimeError(f"{door.name} started or ended processes while it was measured")
        for body in bodies:
            answer.check(task.ask, body)
        serving = _cpu(result, tree) if tree != upstream else 0
        window = Window(
            scenario=task.scenario,
            server=door.name,
            server_busy=serving / result.window_ns,
            driver_busy=(sum(result.cpu_ns.values()) - serving) / result.window_ns,
            server_others=server_others,
            driver_others=driver_others,
            joined=result.events / max(result.reads, 1),
            attempts=1,
        )
        return window, result

    def run(
        self,
        door: Door,
        order: Order,
        watched: Sequence[int] = (),
        meanwhile: Callable[[], None] | None = None,
    ) -> tuple[Result, list[bytes]]:
        """Run the load generator against a door; see `load.run`."""
        try:
            return load.run(
                load.Generator(self.programs.load, self.cores.driver, self.folder),
                order,
                port=door.port,
                watched=watched,
                meanwhile=meanwhile,
            )
        except load.LoadFailed as error:
            said = door.process.log_end() if door.process else ""
            raise load.LoadFailed(f"{door.name}: {error}\n--- its log ends:\n{said}") from error

    def upstream_stats(self) -> UpstreamStats:
        _, body = server.get(self.upstream.port, "/stats")
        return msgspec.json.decode(body, type=UpstreamStats)

    def _await_quiet(self) -> None:
        while self.patience_s > 0:
            clock, started = _Clock(self.cores, (), ()), time.monotonic()
            time.sleep(0.3)
            others = max(clock.others())
            self.patience_s -= time.monotonic() - started
            # A tick of the kernel's is a thirtieth of this look.
            if others < 2 * QUIET_SHARE:
                return


_ENDINGS = {"openai": "data: [DONE]", "anthropic": '"type":"message_stop"'}


def cpu_ns(result: Result, door: Door) -> int:
    """CPU time of the server's whole tree in the window."""
    return _cpu(result, door.tree())


def _cpu(result: Result, tree: Sequence[int]) -> int:
    return sum(result.cpu_ns[str(pid)] for pid in tree)


class _Clock:
    """Tells what share of the two cores was used by processes that are not ours."""

    def __init__(self, cores: Cores, tree: Sequence[int], upstream: Sequence[int]) -> None:
        self._cores = cores
        self._server = [pid for pid in tree if pid not in upstream]
        self._driver = [*upstream, os.getpid()]
        self._before = self._read()

    def _read(self) -> tuple[int, int, int, int, int]:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (
            time.monotonic_ns(),
            machine.busy_ns(self._cores.server),
            machine.busy_ns(self._cores.driver),
            process.cpu_ns(self._server),
            process.cpu_ns(self._driver) + int((children.ru_utime + children.ru_stime) * 1e9),
        )

    def others(self) -> tuple[float, float]:
        """Of the server's core and of the other one, since this was made."""
        before, after = self._before, self._read()
        wall, server_busy, driver_busy, server_own, driver_own = (
            now - then for now, then in zip(after, before, strict=True)
        )
        if self._cores.shared:
            both = max(0, server_busy - server_own - driver_own) / wall
            return both, both
        return (
            max(0, server_busy - server_own) / wall,
            max(0, driver_busy - driver_own) / wall,
        )


def say(message: str) -> None:
    """Progress, on stderr."""
    sys.stderr.write(f"{message}\n")
    sys.stderr.flush()
