import os
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from modelmux.config import sandboxes
from modelmux.config.gateway import Gateway
from modelmux.config.paths import directories
from tests.unit.config.gateways import Lines, loaded


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Generator[Path, None, None]:
    """A runtime folder with a short name."""
    with tempfile.TemporaryDirectory(prefix="mm-") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield Path(name)


def test_sandboxes_are_taken_at_a_file_of_the_users_own(folder: Path):
    (listener,) = sandboxes.open_listener(Gateway(loaded(), output=Lines()))
    path = directories(os.environ).sandbox_socket(os.getpid())
    assert path.parent == folder / "modelmux"
    assert path.stat().st_mode & 0o777 == 0o600
    listener.close()
    assert not path.exists()


def test_without_a_place_for_it_there_is_none_and_a_warning(folder: Path):
    (folder / "modelmux").write_text("no folder")
    lines = Lines()
    gateway = Gateway(loaded(), output=lines)
    assert sandboxes.open_listener(gateway) == []
    gateway.telemetry.log.flush()
    assert "no socket for sandboxes, so `modelmux isolate` starts others" in lines.text
