import stat
from pathlib import Path

import pytest

from modelmux.cli.edit import editor
from modelmux.cli.failure import CommandFailed
from tests.unit.cli.conftest import Cli


def write_editor(folder: Path, script: str) -> Path:
    path = folder / "editor with spaces"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_the_users_file_is_opened_and_checked(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    program = write_editor(cli.home, 'echo "[server]" > "$2"; echo "port = 1024" >> "$2"')
    monkeypatch.setenv("EDITOR", f"'{program}' --wait")
    ran = cli("config", "edit")
    assert ran.code == 0
    assert "valid: listens on 127.0.0.1:1024" in ran.out
    assert cli.user_file.read_text() == "[server]\nport = 1024\n"


def test_a_mistake_made_in_the_editor_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(
        "EDITOR", str(write_editor(cli.home, 'echo "x = 1" > "$1"')).replace(" ", "\\ ")
    )
    ran = cli("config", "edit")
    assert ran.code == 1
    assert ":1: x: unknown key" in ran.err


def test_a_file_that_is_not_there_begins_as_a_template(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EDITOR", "true")
    assert cli("config", "edit").code == 0
    assert "[server]" in cli.user_file.read_text()
    assert stat.S_IMODE(cli.user_file.stat().st_mode) == 0o600


def test_another_file_can_be_named(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EDITOR", "true")
    assert cli("config", "edit", "-c", "mine.toml").code == 0
    assert (cli.folder / "mine.toml").exists()
    assert not cli.user_file.exists()


@pytest.mark.parametrize(
    ("said", "words"), [("false", "ended with exit code 1"), ("/no/such/editor", "cannot run")]
)
def test_an_editor_that_fails_is_told(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, said: str, words: str
):
    monkeypatch.setenv("EDITOR", said)
    ran = cli("config", "edit")
    assert ran.code == 1
    assert words in ran.err


def test_editor_comes_before_visual_and_both_before_what_is_installed(tmp_path: Path):
    (tmp_path / "vi").write_text("#!/bin/sh\n")
    (tmp_path / "vi").chmod(0o755)
    environ = {"EDITOR": "code --wait", "VISUAL": "gvim", "PATH": str(tmp_path)}
    assert editor(environ) == ["code", "--wait"]
    assert editor({**environ, "EDITOR": " "}) == ["gvim"]
    assert editor({"PATH": str(tmp_path)}) == [str(tmp_path / "vi")]
    with pytest.raises(CommandFailed, match="there is no editor"):
        editor({"PATH": str(tmp_path / "none")})
