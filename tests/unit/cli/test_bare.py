import os
import socket

import pytest

from modelmux.cli.bare import mode, refuse_mcp
from modelmux.cli.failure import Misused
from tests.unit.cli.conftest import Cli


@pytest.fixture
def null():
    descriptor = os.open(os.devnull, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def pipe():
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_two_pipes_are_an_mcp_client(pipe: tuple[int, int], capsys: pytest.CaptureFixture[str]):
    assert mode({}, *pipe) == "mcp"
    assert capsys.readouterr().err == "modelmux: mcp (stdin and stdout are pipes)\n"


def test_two_sockets_are_an_mcp_client():
    one, two = socket.socketpair()
    with one, two:
        assert mode({}, one.fileno(), two.fileno()) == "mcp"


def test_anything_else_serves(null: int, pipe: tuple[int, int], capsys: pytest.CaptureFixture[str]):
    assert mode({}, null, null) == "serve"
    assert mode({}, null, pipe[1]) == "serve"
    assert mode({}, pipe[0], null) == "serve"
    assert capsys.readouterr().err == "modelmux: serve (no command was given)\n" * 3


def test_a_closed_descriptor_is_no_pipe(pipe: tuple[int, int]):
    closed = os.dup(pipe[0])
    os.close(closed)
    assert mode({}, closed, pipe[1]) == "serve"


@pytest.mark.parametrize("word", ["serve", "mcp"])
def test_a_variable_decides_by_hand(word: str, null: int, pipe: tuple[int, int]):
    assert mode({"MODELMUX_MODE": f" {word.upper()} "}, null, null) == word
    assert mode({"MODELMUX_MODE": word}, *pipe) == word


def test_another_word_is_refused():
    with pytest.raises(Misused, match="expected serve or mcp, got 'http'"):
        mode({"MODELMUX_MODE": "http"})


def test_mcp_says_that_it_is_not_available(capsys: pytest.CaptureFixture[str]):
    assert refuse_mcp() == 1
    err = capsys.readouterr().err
    assert "not available in this version" in err
    assert "MODELMUX_MODE=serve" in err


def test_a_bare_modelmux_heeds_the_variable(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MODELMUX_MODE", "mcp")
    ran = cli()
    assert ran.code == 1
    assert ran.err.startswith("modelmux: mcp (MODELMUX_MODE=mcp)\n")
    monkeypatch.setenv("MODELMUX_MODE", "http")
    assert cli().code == 2


def test_a_bare_modelmux_heeds_dotenv(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MODELMUX_MODE", "")  # so that it is put back
    monkeypatch.delenv("MODELMUX_MODE")
    (cli.folder / ".env").write_text("MODELMUX_MODE=mcp\n")
    assert cli().err.startswith("modelmux: mcp (MODELMUX_MODE=mcp)\n")
