"""Programs run by `modelmux isolate`, beside a gateway that only knows the built-in model.

Where the system lets nobody isolate anything, the tests of it cannot be: `where_possible` has them
assert instead that it is refused.
"""

import functools
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple

import msgspec

from tests.support import plain
from tests.support.child import Child

PYTHON = os.path.realpath(sys.executable)
"""An interpreter that is seen inside: not that of an environment below `/tmp`."""

TIMEOUT_S = 40.0

CANNOT = 125


class Done(NamedTuple):
    """A program that has run."""

    code: int
    out: str
    err: str


class Place:
    """A home and a working directory, and a gateway that runs or does not."""

    def __init__(self, folder: Path, gateway: Child | None) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.workdir = self.home / "project"
        self.runtime = folder / "run"
        self.gateway = gateway

    def environ(self, **more: str) -> dict[str, str]:
        return {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.runtime),
            **more,
        }

    def argv(self, *words: str) -> list[str]:
        """The words of `modelmux isolate`, as a command."""
        return [sys.executable, "-m", "modelmux", "isolate", *words]

    def run(self, *words: str, stdin: str = "", **environ: str) -> Done:
        """`modelmux isolate WORDS`, to its end."""
        done = subprocess.run(
            self.argv(*words),
            cwd=self.workdir,
            env=self.environ(**environ),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    def python(self, source: str, *options: str, **environ: str) -> Done:
        """Run a Python program inside."""
        return self.run(*options, "--", PYTHON, "-I", "-S", "-c", source, **environ)

    def calls(self) -> list[dict[str, object]]:
        """Every call of the gateway's log."""
        assert self.gateway is not None
        lines = [line for line in self.gateway.log.splitlines() if line.startswith("{")]
        found = [msgspec.json.decode(line, type=dict[str, object]) for line in lines]
        return [line for line in found if line["message"] == "call"]


@contextmanager
def place(config: str = "") -> Generator[Place, None, None]:
    """A place with a gateway that runs."""
    with empty_place() as there:
        path = there.folder / "gateway.toml"
        path.write_text(f"[server]\nlog_format = 'json'\n{config}")
        path.chmod(0o600)
        address = f"unix:{there.folder}/g.sock"
        argv = [sys.executable, "-m", "modelmux", "serve", "-c", str(path), "--listen", address]
        child = Child(argv, there.folder, there.environ())

        def is_ready() -> bool | None:
            try:
                return plain.get(address, "/healthz").status == 200 or None
            except OSError:
                return None

        try:
            child.wait_until(is_ready, "ready")
            yield Place(there.folder, child)
        finally:
            if child.is_running:
                child.stop()
        assert "Traceback" not in child.log, child.log


@contextmanager
def empty_place() -> Generator[Place, None, None]:
    """A place where no gateway runs."""
    folder = Path(tempfile.mkdtemp(prefix="mm-"))
    try:
        for name in ("home/project", "run"):
            (folder / name).mkdir(parents=True, mode=0o700)
        yield Place(folder, None)
    finally:
        shutil.rmtree(folder)


@cache
def is_possible() -> bool:
    """Whether the system lets programs have namespaces; asked of a program that is not ours."""
    argv = ["unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--mount-proc"]
    try:
        done = subprocess.run([*argv, "true"], capture_output=True, check=False, timeout=TIMEOUT_S)
    except FileNotFoundError:
        return True  # then the tests tell
    return done.returncode == 0


def where_possible(test: Callable[..., None]) -> Callable[..., None]:
    """The test; or, where nothing can be isolated, the assertion that it is refused."""

    @functools.wraps(test)
    def either(*arguments: object, **named: object) -> None:
        if is_possible():
            test(*arguments, **named)
            return
        with empty_place() as there:
            refused = there.run("--", "sh", "-c", f"touch {there.folder}/was-run")
            assert refused.code == CANNOT
            assert "hint: " in refused.err
            assert not (there.folder / "was-run").exists()

    return either


def environ_of(done: Done) -> Mapping[str, str]:
    """What `env` printed."""
    pairs = [line.partition("=") for line in done.out.splitlines()]
    return {name: value for name, _, value in pairs}
