import os
import socket
from pathlib import Path

import pytest

from modelmux.isolate.hidden import (
    existing,
    has_relative_names,
    is_below,
    is_reachable,
    sockets,
    working_directories,
)

HEAD = "Num       RefCount Protocol Flags    Type St Inode Path\n"


def line(path: str) -> str:
    return f"ffff: 00000002 00000000 00010000 0001 01 123 {path}\n"


def bound(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    return sock


def test_sockets_of_others_are_found_by_the_kernels_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with bound(Path("a")), bound(Path("b c")):
        names = [f"{tmp_path}/a", f"{tmp_path}/file", f"{tmp_path}/gone", "@abstract", "b c"]
        table = HEAD + "".join(line(name) for name in names) + "ffff: 2 0 0 1 1 9\n"
        assert sockets(table, [str(tmp_path)]) == [f"{tmp_path}/a", f"{tmp_path}/b c"]
        assert has_relative_names(table)
        assert not has_relative_names(HEAD + line("/a") + line("@b"))


def test_working_directories_are_those_of_processes():
    assert str(Path.cwd()) in working_directories()


def test_only_what_is_there_can_be_hidden(tmp_path: Path):
    (tmp_path / "a").touch()
    (tmp_path / "b").symlink_to("a")
    found = existing(str(tmp_path / name) for name in "abc")
    assert found == [os.path.realpath(tmp_path / "a")]


def test_a_folder_is_below_itself_and_not_below_its_namesake():
    assert is_below("/a/b", "/a")
    assert is_below("/a", "/a")
    assert is_below("/a", "/")
    assert not is_below("/ab", "/a")


def test_who_may_enter_every_folder_reaches_a_file(tmp_path: Path):
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    for folder in (tmp_path, tmp_path / "a", inner):
        folder.chmod(0o755)
    usual = str(inner / "s")
    above = is_reachable(str(tmp_path), 4711)
    assert is_reachable(usual, 4711) == above
    assert is_reachable(usual, os.getuid())
    (tmp_path / "a").chmod(0o700)
    assert not is_reachable(usual, 4711)
    assert is_reachable(usual, os.getuid())
    assert not is_reachable("/no/such/folder/s", os.getuid())
