"""Plays the examples of a page, in the order in which a reader would try them.

What a block of code is for stands behind its language:

- `toml file=NAME`, `python file=NAME`: the reader writes it to NAME, or with `append` at the end of
  it; with `broken` it is no configuration that could be used;
- `toml part`: what else may stand in the file that was written last; nobody writes it;
- `sh serve`: the reader starts the gateway with it, and leaves it running;
- `sh run`, `python run`: the reader runs it; it must not fail;
- `text output`: what the block before it printed, `…` standing for anything.

A page is played in a folder of its own, which is home and working directory. What it says of the
world outside is made to lead somewhere: the gateway's usual port to a free one, `/run/modelmux` to
a folder, providers without a `base_url` to a server that the test plays.
"""

import contextlib
import gc
import io
import os
import re
import subprocess
import sys
import warnings
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.support import plain
from tests.support.child import Child

ROOT = Path(__file__).parents[2]

FENCE = re.compile(r"^```(\w+)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

_SYSTEM = (Path("/usr/local/bin"), Path("/usr/bin"), Path("/bin"))

USUAL_ADDRESS = "127.0.0.1:3000"
USUAL_FOLDER = "/run/modelmux"

COMMAND_TIMEOUT_S = 30.0


class Block(NamedTuple):
    """A fenced block of code."""

    page: str
    line: int
    language: str
    words: tuple[str, ...]
    """What stands behind the language."""
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_played(self) -> bool:
        return bool(self.words) and not self.is_part

    @property
    def is_part(self) -> bool:
        """It shows what may stand in the file that the page has written, beside the rest."""
        return "part" in self.words


def blocks(page: str) -> Iterator[Block]:
    """Every fenced block of a page."""
    text = (ROOT / page).read_text()
    for found in FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        yield Block(page, line, found[1], tuple(found[2].split()), found[3])


class Player:
    """One reader on the way through one page."""

    def __init__(self, folder: Path, provider_url: str, *, has_curl: bool) -> None:
        self._folder = folder
        self._provider_url = provider_url
        self._address = f"127.0.0.1:{plain.free_port()}"
        programs = [folder / "bin", Path(sys.executable).parent, *_SYSTEM]
        self._environ = {"HOME": str(folder), "PATH": ":".join(map(str, programs))}
        if not has_curl:
            _put_curl(folder / "bin")
        self._gateway: Child | None = None
        self._printed = ""
        (folder / "run").mkdir()

    def play(self, block: Block) -> None:
        """Do what the reader does with `block`. Fails if it does not do what it should."""
        match block.language, block.words:
            case "toml" | "python", (word, *more) if word.startswith("file="):
                self._write(word.removeprefix("file="), block.text, *more)
            case "sh", ("serve",):
                self._serve(self._here(block.text))
            case "sh", ("run",):
                self._printed = self._shell(self._here(block.text))
            case "python", ("run",):
                self._printed = self._python(self._here(block.text), str(block))
            case "text", ("output",):
                _compare(self._there(self._printed), block.text)
            case _:
                raise AssertionError(f"{block}: nobody knows how to play this")

    def close(self) -> None:
        """Stop what still runs."""
        if self._gateway is not None:
            code = self._gateway.stop()
            assert code == 0, self._gateway.log
            self._gateway = None

    def _write(self, name: str, text: str, how: str = "") -> None:
        if how != "broken":
            for variable in variables(text):
                self._environ.setdefault(variable, value_of(variable))
        path = self._folder / name
        before = f"{path.read_text()}\n" if how == "append" else ""
        path.write_text(before + with_providers(self._here(text), self._provider_url))
        path.chmod(0o600)

    def _serve(self, command: str) -> None:
        self.close()
        environ = dict(self._environ)
        configs = [path.read_text() for path in self._folder.glob("*.toml")]
        if "--listen" not in command and not any("listen =" in text for text in configs):
            environ["MODELMUX_SERVER_PORT"] = self._address.rpartition(":")[2]
        gateway = Child(["/bin/sh", "-c", f"exec {command}"], self._folder, environ)
        self._gateway = gateway
        gateway.wait_until(lambda: " listens on " in gateway.log or None, "listening")

    def _shell(self, script: str) -> str:
        done = subprocess.run(
            ["/bin/sh", "-eu", "-c", script],
            cwd=self._folder,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )
        log = self._gateway.log if self._gateway is not None else ""
        assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}\n{log}"
        return done.stdout + done.stderr

    def _python(self, source: str, name: str) -> str:
        printed = io.StringIO()
        names: dict[str, object] = {"__name__": "__main__"}
        with (
            _environment(self._environ),
            contextlib.chdir(self._folder),
            contextlib.redirect_stdout(printed),
            warnings.catch_warnings(),
        ):
            # Examples leave their clients to the end of the program, as everybody does.
            warnings.simplefilter("ignore", ResourceWarning)
            exec(compile(source, name, "exec"), names)
            names.clear()
            gc.collect()
        return printed.getvalue()

    def _here(self, text: str) -> str:
        text = text.replace(USUAL_ADDRESS, self._address)
        text = text.replace('":3000"', f'":{self._address.rpartition(":")[2]}"')
        return text.replace(USUAL_FOLDER, f"{self._folder}/run")

    def _there(self, text: str) -> str:
        text = text.replace("\r\n", "\n").replace(self._address, USUAL_ADDRESS)
        return text.replace(f"{self._folder}/run", USUAL_FOLDER)


def _put_curl(folder: Path) -> None:
    """Write the program that does for curl."""
    folder.mkdir()
    program = folder / "curl"
    program.write_text(
        f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m tests.docs.curl "$@"\n'
    )
    program.chmod(0o700)


@contextmanager
def _environment(environ: Mapping[str, str]) -> Generator[None, None, None]:
    """This process with that environment."""
    kept = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(kept)


def variables(text: str) -> list[str]:
    """The variables that a configuration cannot do without."""
    return re.findall(r"\$\{(\w+)\}", text)


def value_of(variable: str) -> str:
    """What a variable of the examples is set to."""
    return f"secret-of-{variable.lower()}"


def with_providers(text: str, url: str) -> str:
    """A configuration whose providers are all at `url`, but for those on this machine."""
    parts = re.split(r"(?m)^(?=\[)", text)
    return "".join(
        # In place of the empty line before the next table: all others keep their numbers.
        f'{part.rstrip()}\nbase_url = "{url}"\n'
        if part.startswith("[[providers]]") and "base_url" not in part and "vertex" not in part
        else part
        for part in parts
    )


def _compare(printed: str, expected: str) -> None:
    pattern = ".*?".join(re.escape(piece) for piece in _spaced(expected).split("…"))
    found = re.fullmatch(pattern, _spaced(printed), re.DOTALL)
    assert found, f"expected:\n{expected}\nprinted:\n{printed}"


def _spaced(text: str) -> str:
    """`text` with single spaces: columns are as wide as what stands in them."""
    return re.sub(r" +", " ", re.sub(r" +\n", "\n", text)).strip()
