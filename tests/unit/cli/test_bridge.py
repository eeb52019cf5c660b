import pytest
from click.testing import CliRunner

from modelmux import bridge
from modelmux.cli.bridge import command


def test_the_command_is_the_bridge(monkeypatch: pytest.MonkeyPatch):
    ran: list[object] = []

    def note(*words: object) -> int:
        ran.append(words)
        return 4

    monkeypatch.setattr(bridge, "run", note)
    words = ["--listen", "127.0.0.1:0", "--to", "unix:/s", "--", "sh", "-c", "x"]
    result = CliRunner().invoke(command, words, standalone_mode=False)
    assert result.return_value == 4
    assert ran == [("127.0.0.1:0", "unix:/s", ("sh", "-c", "x"))]
