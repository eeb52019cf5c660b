"""The two C programs of the benchmark, compiled when it starts."""

import subprocess
from dataclasses import dataclass
from pathlib import Path

from bench import machine

SOURCES = Path(__file__).parent / "native"


@dataclass(frozen=True, slots=True)
class Programs:
    upstream: Path
    load: Path


def build(folder: Path) -> Programs:
    """Compile into `folder`.

    Raises:
        SystemExit: There is no C compiler, or it refuses.
    """
    compiler = machine.find("cc", "a C compiler, for the load generator and the mock upstream")
    for name in ("upstream", "load"):
        command = [compiler, "-O2", "-Wall", "-Wextra", "-o", f"{folder / name}"]
        subprocess.run([*command, f"{SOURCES / name}.c", "-lm"], check=True)
    return Programs(upstream=folder / "upstream", load=folder / "load")
