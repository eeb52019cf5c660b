import socket
from pathlib import Path

import pytest

from modelmux.cli import control
from modelmux.cli.failure import CommandFailed, Misused
from modelmux.config.paths import directories
from tests.unit.cli.conftest import STATUS, Cli, running


def stale() -> Path:
    """The socket of a gateway that died."""
    path = directories().control_socket(99)
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(path))
    return path


def test_the_only_gateway_is_found(cli: Cli):
    with running() as gateway:
        assert control.find().socket == gateway.socket
        assert control.find().status().pid == 4711


def test_without_a_gateway_it_is_said_what_starts_one(cli: Cli):
    with pytest.raises(CommandFailed, match="no gateway is running") as caught:
        control.find()
    assert "modelmux serve" in caught.value.hint


def test_a_socket_nobody_listens_on_is_passed_over_and_removed(cli: Cli):
    path = stale()
    with running() as gateway:
        assert [found.socket for found, _ in control.running()] == [gateway.socket]
    assert not path.exists()


def test_of_several_gateways_one_has_to_be_chosen(cli: Cli):
    with running(1) as one, running(2) as two:
        with pytest.raises(Misused, match="2 gateways are running") as caught:
            control.find()
        assert f"--control {one.socket} (pid 1)" in caught.value.hint
        assert control.find(two.socket).status().pid == 2


def test_a_gateway_that_is_chosen_and_gone_is_told(cli: Cli):
    with pytest.raises(control.Gone, match="no gateway listens on"):
        control.find(Path("/nowhere.sock")).status()


def test_an_answer_that_is_no_status_is_told(cli: Cli):
    with running() as gateway:
        gateway.says("/control/status", {"pid": "x"})
        with pytest.raises(CommandFailed, match="not expected"):
            control.Gateway(gateway.socket).status()


def test_more_in_a_status_than_is_known_does_no_harm(cli: Cli):
    with running() as gateway:
        gateway.says("/control/status", {**STATUS, "later": 1})
        assert control.Gateway(gateway.socket).status().in_flight == 2


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"error": {"message": "busy", "code": "x"}}, "the gateway answered 503: busy"),
        (b"plain words", "the gateway answered 503: plain words"),
    ],
)
def test_a_refusal_is_told_in_the_gateways_words(cli: Cli, body: object, words: str):
    with running() as gateway:
        gateway.says("/control/stop", body, 503)
        with pytest.raises(CommandFailed, match=words):
            control.Gateway(gateway.socket).stop(now=False)


def test_stopping_now_is_another_request_than_stopping(cli: Cli):
    with running() as gateway:
        gateway.says("/control/stop", {})
        control.Gateway(gateway.socket).stop(now=False)
        control.Gateway(gateway.socket).stop(now=True)
        assert gateway.asked == ["POST /control/stop", "POST /control/stop?now=1"]


def test_models_are_those_it_lists(cli: Cli):
    with running() as gateway:
        gateway.says("/v1/models", {"object": "list", "data": [{"id": "a"}, {"id": "b"}]})
        assert control.Gateway(gateway.socket).models() == ["a", "b"]


def test_a_stream_that_is_refused_is_told(cli: Cli):
    with running() as gateway:
        gateway.says("/v1/chat/completions", {"error": {"message": "no such model"}}, 404)
        with pytest.raises(CommandFailed, match="404: no such model"):
            list(control.Gateway(gateway.socket).chat("m", "p"))


def test_proxies_of_the_environment_are_not_asked(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with running() as gateway:
        assert control.Gateway(gateway.socket).status().pid == 4711
