import os
import shutil
from pathlib import Path

import pytest

from modelmux.isolate import bwrap, bwrapped
from modelmux.isolate.view import View
from tests.support.sandbox import empty_place, is_possible


def view(folder: Path, **said: object) -> View:
    seen = View(str(folder), "/h", "", (), (), {}, read_only=False, is_root=False)
    return seen._replace(**said)  # type: ignore[arg-type] # by its fields' names


def pairs(told: list[str], word: str) -> list[str]:
    return [told[at + 2] for at, each in enumerate(told) if each == word]


def test_everything_is_to_be_read_and_the_project_to_be_written(tmp_path: Path):
    told = bwrap.arguments(view(tmp_path), 9, [])
    assert told[:3] == ["--unshare-all", "--die-with-parent", "--as-pid-1"]
    assert pairs(told, "--bind") == [str(tmp_path)]
    assert "/" in pairs(told, "--ro-bind")
    read_only = bwrap.arguments(view(tmp_path, read_only=True), 9, [])
    assert pairs(read_only, "--bind") == []


def test_what_is_hidden_is_empty(tmp_path: Path):
    (tmp_path / "d").mkdir()
    (tmp_path / "f").touch()
    hide = (str(tmp_path / "d"), str(tmp_path / "f"))
    told = bwrap.arguments(view(tmp_path, hide=hide, sockets=("/srv/s", "/tmp/s")), 9, [])
    assert told[told.index(hide[0]) - 1] == "--tmpfs"
    assert told[told.index(hide[1]) - 2 : told.index(hide[1])] == ["--ro-bind", "/dev/null"]
    assert "/srv/s" in told
    assert "/tmp/s" not in told  # the folder is empty anyway


def test_settings_go_to_the_home_folder_that_is_there_instead(tmp_path: Path):
    seen = view(tmp_path, files={"/h/.codex/config.toml": "x"})
    assert bwrap._moved(seen) == {f"{bwrap.HOME}/.codex/config.toml": "x"}
    told = bwrap.arguments(seen, 9, [("/run/home/.codex/config.toml", 8)])
    assert told[-6:-3] == ["--file", "8", "/run/home/.codex/config.toml"]


def test_a_program_is_told_by_a_descriptor():
    fd = bwrap._file(b'{"argv": ["a"], "environ": {"B": "c"}, "terminal": -1, "held": [15]}\n')
    try:
        told = bwrapped.wire.decoded(os.read(fd, 4096))
    finally:
        os.close(fd)
    assert bwrapped.program(told) == bwrapped.inside.Program(["a"], {"B": "c"}, -1, {15})


@pytest.mark.parametrize("words", [("sh", "-c", "exit 7"), ("/no/such",)])
def test_bubblewrap_isolates_or_is_missed(words: tuple[str, ...]):
    with empty_place() as there:
        done = there.run("--backend", "bwrap", "--", *words)
    if shutil.which("bwrap") is None:
        assert (done.code, "install the package `bubblewrap`" in done.err) == (125, True)
    elif is_possible():
        assert done.code == (7 if len(words) > 1 else 127), done.err
    else:
        assert done.code == 125
