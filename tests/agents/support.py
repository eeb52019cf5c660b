"""Running an agent's program as its users do: nothing of this machine's in its environment."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.support.aimock import NODE

PACKAGES = Path(__file__).parent / "node/node_modules"
"""Where `scripts/agents` puts the programs."""

TIMEOUT_S = 120.0


def run(program: str, *options: str, directory: Path, environ: Mapping[str, str]) -> str:
    """What the program says, stdout and stderr; it must end with 0.

    Args:
        program: Path of a script of Node's below the packages.
        options: Its arguments.
        directory: Where it works.
        environ: Its environment beside `PATH`.
    """
    script = PACKAGES / program
    assert script.is_file(), f"{script} is missing: run scripts/agents, which installs it"
    done = subprocess.run(
        [str(NODE), str(script), *options],
        cwd=directory,
        env={"PATH": f"{NODE.parent}:/usr/bin:/bin", **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=TIMEOUT_S,
        check=False,
    )
    said = done.stdout.decode(errors="replace")
    assert done.returncode == 0, said
    return said
