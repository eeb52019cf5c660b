"""Processes that are measured: started on one core, watched with all their descendants, and ended.

Memory and CPU time are those of the whole tree, because a gateway may do part of its work in
processes of its own.
"""

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

STOP_TIMEOUT_S = 10.0


@contextlib.contextmanager
def pinned(core: int) -> Generator[None]:
    """Processes started inside inherit this core; ours gets back what it had."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def parents() -> dict[int, int]:
    """Every process of the machine, with its parent."""
    found: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                # The name, in brackets, may hold anything; what follows it is plain.
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                found[int(entry.name)] = int(fields[1])
    return found


def descendants(root: int, parent_of: Mapping[int, int]) -> list[int]:
    """`root` and every process below it, in the order of their ids."""
    tree = {root}
    grown = True
    while grown:
        more = {pid for pid, parent in parent_of.items() if parent in tree} - tree
        tree |= more
        grown = bool(more)
    return sorted(tree)


@dataclass(frozen=True, slots=True)
class Memory:
    """Of a process tree. PSS counts a page shared by n processes as 1/n."""

    rss_bytes: int
    pss_bytes: int


def memory(pids: Sequence[int]) -> Memory:
    rss_kb = pss_kb = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                if line.startswith("Rss:"):
                    rss_kb += int(line.split()[1])
                elif line.startswith("Pss:"):
                    pss_kb += int(line.split()[1])
    return Memory(rss_kb * 1024, pss_kb * 1024)


def cpu_ns(pids: Sequence[int]) -> int:
    """CPU time of these processes, all their threads included; one that has ended counts nothing.

    The clock's id is made as clock_getcpuclockid(3) does: Python has no call for it.
    """
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            total += time.clock_gettime_ns((~pid << 3) | 2)
    return total


def runs(pid: int) -> bool:
    """Whether a process is there and has not ended; a zombie only waits to be buried."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in {"Z", "X"}


def open_files(pids: Sequence[int]) -> int:
    return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids)  # noqa: PTH208 - only counted


class Process:
    """A program on one core, in a session of its own. `stop` ends it and what it left behind.

    `environment` is all it gets; `None`: ours.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        core: int,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        self.started_ns = time.monotonic_ns()
        with log.open("ab") as output, pinned(core):
            self._popen = start(command, output, output, environment)

    @property
    def pid(self) -> int:
        return self._popen.pid

    def tree(self) -> list[int]:
        return descendants(self.pid, parents())

    def check_alive(self) -> None:
        """Raise `RuntimeError`, with the end of its log, when the process has ended."""
        code = self._popen.poll()
        if code is not None:
            raise RuntimeError(f"{self.name} ended with {code}:\n{self.log_end()}")

    def log_end(self) -> str:
        return self.log.read_bytes()[-2000:].decode(errors="replace")

    def stop(self) -> None:
        left = self.tree()
        if self._popen.poll() is None:
            self._popen.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._popen.wait(STOP_TIMEOUT_S)
        # What did not follow its parent. Only what is still in our session is ours: an id may
        # have been given to another process meanwhile.
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(pid) == self.pid:
                    os.kill(pid, signal.SIGKILL)
        self._popen.wait()
        end = time.monotonic() + STOP_TIMEOUT_S
        while any(runs(pid) for pid in left) and time.monotonic() < end:
            time.sleep(0.001)


def start(
    command: Sequence[str],
    output: IO[bytes],
    errors: IO[bytes],
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, with our priority."""
    popen = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        start_new_session=True,
        env=environment,
    )
    priority = os.getpriority(os.PRIO_PROCESS, 0)
    if priority < 0:
        # Linux gives each session a share of its own, so that the priority of a process counts
        # only within its session; that of the session is set here. sched(7), "autogroup".
        with contextlib.suppress(OSError):
            Path(f"/proc/{popen.pid}/autogroup").write_text(f"{priority}")
    return popen
