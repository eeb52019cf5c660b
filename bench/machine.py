"""The machine that is measured on: which cores to use, who else is using them, what it is."""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")
LIBRARIES = ("modelmux", "msgspec", "uvloop", "httptools", "uvicorn")


@dataclass(frozen=True, slots=True)
class Cores:
    """Where things run: the server under test alone, what feeds and answers it elsewhere."""

    server: int
    driver: int

    @property
    def shared(self) -> bool:
        return self.server == self.driver


def choose_cores() -> Cores:
    """Two cores that are not threads of one physical core, as far as the machine has such."""
    allowed = sorted(os.sched_getaffinity(0))
    server = allowed[0]
    others = [core for core in allowed[1:] if core not in _siblings(server)] or allowed[1:]
    return Cores(server, others[0] if others else server)


def raise_priority() -> None:
    """Let what is started from here on go before other processes.

    It takes nothing from the work to be done, it only keeps others from standing in its way.

    Raises:
        SystemExit: That is not allowed.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, -19)
    except PermissionError:
        sys.exit("bench: --priority needs the right to raise a process's priority (root)")


def _siblings(core: int) -> frozenset[int]:
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    try:
        text = path.read_text()
    except OSError:
        return frozenset({core})
    siblings: set[int] = set()
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        siblings |= set(range(int(first), int(last or first) + 1))
    return frozenset(siblings)


def busy_ns(core: int, stat: str | None = None) -> int:
    """How long a core has worked since the machine started, stolen time included.

    `stat` is the text of `/proc/stat`, read when it is not given.
    """
    lines = (Path("/proc/stat").read_text() if stat is None else stat).splitlines()
    fields = next(line.split() for line in lines if line.startswith(f"cpu{core} "))
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, fields[1:9])
    return (user + nice + system + irq + softirq + steal) * 1_000_000_000 // TICKS_PER_S


def describe(nginx: str, gateway: Sequence[str]) -> dict[str, str]:
    """What a reader needs to judge the figures: hardware, kernel and versions."""
    cpu = "unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    memory_kb = int(Path("/proc/meminfo").read_text().split()[1])
    versions = {name: _version(name) for name in LIBRARIES}
    return {
        "cpu": f"{cpu}, {os.cpu_count()} cores",
        "memory": f"{memory_kb / 1048576:.0f} GB",
        "kernel": f"{platform.system()} {platform.release()} {platform.machine()}",
        "virtual": "yes" if "hypervisor" in Path("/proc/cpuinfo").read_text() else "no",
        "python": f"{platform.python_implementation()} {platform.python_version()}{_build()}",
        "nginx": _first_line([nginx, "-v"]).removeprefix("nginx version: "),
        "cc": _first_line(["cc", "--version"]),
        "gateway": " ".join(gateway),
        **{name: version for name, version in versions.items() if version},
    }


def _build() -> str:
    """A CPython built without profile-guided optimisation is a good deal slower."""
    arguments = sysconfig.get_config_var("CONFIG_ARGS") or ""
    return "" if "--enable-optimizations" in arguments else ", built without optimizations"


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _first_line(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout + done.stderr).strip().partition("\n")[0]


def find(program: str, why: str) -> str:
    """The path of a program.

    Raises:
        SystemExit: It is not installed.
    """
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        sys.exit(f"bench: expected `{program}` ({why}), which is not installed")
    return path
