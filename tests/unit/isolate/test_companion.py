import socket
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from modelmux.isolate import gateway
from modelmux.isolate.companion import Started
from modelmux.isolate.failure import Refused


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Generator[Path, None, None]:
    """A runtime folder with a short name, and a home without a configuration."""
    with tempfile.TemporaryDirectory(prefix="mm-") as name:
        for variable in ("HOME", "XDG_RUNTIME_DIR"):
            monkeypatch.setenv(variable, name)
        monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
        yield Path(name)


def test_a_gateway_is_ready_when_it_is_connected_and_leaves_nothing(folder: Path):
    runtime = gateway.runtime_folder()
    started = Started(runtime, "")
    try:
        started.connect(gateway.dial).close()
    finally:
        started.stop()
    assert [path for path in folder.rglob("*") if path.is_socket()] == []


def test_a_gateway_that_cannot_start_says_why(folder: Path):
    started = Started(gateway.runtime_folder(), "/no/such/config.toml")
    try:
        with pytest.raises(Refused, match=r"none can be started: .*no/such/config\.toml"):
            started.connect(gateway.dial)
    finally:
        started.stop()


def test_one_that_does_not_end_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "executable", "/bin/cat")  # which takes the rest for files
    started = Started(gateway.runtime_folder(), "")

    def nobody(_path: str) -> socket.socket | None:
        return None

    try:
        with pytest.raises(Refused, match="none can be started"):
            started.connect(nobody)
    finally:
        started.stop()
