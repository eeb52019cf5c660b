import sys
from pathlib import Path

import pytest

from modelmux.config.paths import Directories, directories, private_directory, user_id
from modelmux.errors import ConfigError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_folders_are_those_of_xdg(home: Path):
    found = directories({})
    assert found.system_file == Path("/etc/modelmux/config.toml")
    assert found.user_file == home / ".config/modelmux/config.toml"
    assert found.state == home / ".local/state/modelmux"
    assert found.runtime == home / ".local/state/modelmux/run"


def test_the_layout_is_the_same_on_a_mac(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    assert directories({}).user_file == home / ".config/modelmux/config.toml"


def test_xdg_variables_are_heeded(home: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "c"))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "s"))
    found = directories({"XDG_RUNTIME_DIR": str(home)})
    assert found.user_file == home / "c/modelmux/config.toml"
    assert (found.state, found.runtime) == (home / "s/modelmux", home / "modelmux")


@pytest.mark.parametrize("folder", ["", "relative", "/does/not/exist"])
def test_a_runtime_folder_that_cannot_be_used_is_passed_over(home: Path, folder: str):
    assert directories({"XDG_RUNTIME_DIR": folder}).runtime == home / ".local/state/modelmux/run"


def test_control_sockets_are_found_by_their_names(tmp_path: Path):
    found = Directories(tmp_path, tmp_path, tmp_path, tmp_path)
    assert found.control_sockets() == []
    for pid in (7, 3):
        found.control_socket(pid).touch()
    (tmp_path / "other.sock").touch()
    assert [path.name for path in found.control_sockets()] == [
        "control-3.sock",
        "control-7.sock",
    ]


def test_a_private_folder_is_for_its_owner_alone(tmp_path: Path):
    private_directory(tmp_path / "a/b")
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700
    (tmp_path / "a/b").chmod(0o755)
    private_directory(tmp_path / "a/b")
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700


def test_a_private_folder_that_cannot_be_made_is_an_error(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be made"):
        private_directory(tmp_path / "file/x")


def test_files_of_ours_have_our_number(tmp_path: Path):
    assert tmp_path.stat().st_uid == user_id()
