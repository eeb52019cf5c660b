import os
from collections.abc import Callable, Mapping

import pytest

from modelmux.cli import parts
from modelmux.config.load import Loaded
from tests.unit.cli.conftest import Cli

again: list[Callable[[], Loaded]] = []
"""What reads the configuration anew."""
started: list[tuple[Mapping[str, str], str]] = []
"""What the process was started in, and what another process gave it."""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Loaded]:
    """What was to be served."""
    found: list[Loaded] = []
    again.clear()
    started.clear()

    def serve(
        loaded: Loaded, load: Callable[[], Loaded], environ: Mapping[str, str], handover: str
    ) -> int:
        found.append(loaded)
        again.append(load)
        started.append((environ, handover))
        return 0

    monkeypatch.setattr(parts, "serve", serve)
    return found


def addresses(served: list[Loaded]) -> list[str]:
    return [str(address) for address in served[-1].config.addresses]


def test_nothing_but_serve_is_enough(cli: Cli, served: list[Loaded]):
    assert cli("serve").code == 0
    assert addresses(served) == ["127.0.0.1:3000"]


def test_the_exit_code_is_that_of_serving(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(parts, "serve", lambda *_: 1)
    assert cli("serve").code == 1


def test_a_bare_modelmux_serves(cli: Cli, served: list[Loaded], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MODELMUX_MODE", "serve")
    assert cli().code == 0
    assert len(served) == 1


def test_listeners_of_options_replace_those_of_the_configuration(cli: Cli, served: list[Loaded]):
    cli.project("[server]\nport = 1024")
    ran = cli(
        "serve", "--listen", "127.0.0.1:1", "--listen", "fd:3", "-s", "/s", "--http", "[::1]:2"
    )
    assert ran.code == 0
    assert addresses(served) == ["127.0.0.1:1", "fd:3", "unix:/s", "[::1]:2"]


def test_a_socket_alone_is_the_only_listener(cli: Cli, served: list[Loaded]):
    cli.project("[server]\nlisten = ['127.0.0.1:1024']")
    cli("serve", "--socket", "/s")
    assert addresses(served) == ["unix:/s"]
    assert str(served[0].origin("server.listen")) == "option --socket"


def test_the_options_of_modelplex_work_without_a_command(cli: Cli, served: list[Loaded]):
    (cli.folder / "config.toml").write_text("[server]\nlog_format = 'json'")
    assert cli("--config", "config.toml", "--socket", "./m.socket").code == 0
    assert addresses(served) == ["unix:./m.socket"]
    assert served[0].config.server.log_format == "json"


@pytest.mark.parametrize(
    ("arguments", "key", "value"),
    [
        (["-v"], "log_level", "debug"),
        (["--verbose"], "log_level", "debug"),
        (["--log-format", "json"], "log_format", "json"),
        (["--workers", "1"], "workers", 1),
        (["--debug"], "debug", True),
    ],
)
def test_each_option_sets_its_key(
    cli: Cli, served: list[Loaded], arguments: list[str], key: str, value: object
):
    cli.project("[server]\nlog_level = 'error'")
    assert cli("serve", *arguments).code == 0
    assert getattr(served[0].config.server, key) == value
    assert served[0].origin(f"server.{key}").layer == "command line"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--listen", "3000"],
        ["--http", "nonsense"],
        ["-s", ""],
        ["--log-format", "xml"],
        ["--workers", "0"],
        ["extra"],
    ],
)
def test_an_option_that_makes_no_sense_is_wrong_usage(
    cli: Cli, served: list[Loaded], arguments: list[str]
):
    assert cli("serve", *arguments).code == 2
    assert served == []


def test_a_listener_that_others_can_reach_needs_keys(cli: Cli, served: list[Loaded]):
    ran = cli("serve", "--listen", ":3000")
    assert ran.code == 1
    assert ran.err.startswith("modelmux: option --listen: server.listen[0]: others can reach")
    assert "hint: add [[keys]]" in ran.err
    assert served == []


def test_several_workers_may_be_wanted(cli: Cli, served: list[Loaded]):
    assert cli("serve", "--workers", "2").code == 0
    assert served[0].config.server.workers == 2


def test_warnings_are_told_before_it_serves(cli: Cli, served: list[Loaded]):
    cli.project("[server]\nlog_level = 'trace'")
    assert cli("serve").err.startswith("warning: modelmux.toml:2: server.log_level: trace")


def test_what_is_served_can_be_read_anew_with_the_same_options(cli: Cli, served: list[Loaded]):
    path = cli.project("[server]\nport = 1024")
    cli("serve", "--log-format", "json")
    path.write_text("[server]\nport = 2048")
    server = again[0]().config.server
    assert (server.port, server.log_format) == (2048, "json")


def test_who_takes_anothers_place_is_told_what_it_is_given(
    cli: Cli, served: list[Loaded], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("MODELMUX_HANDOVER", "given")
    monkeypatch.setenv("LISTEN_PID", "the one before")
    assert cli("serve").err == ""
    environ, handover = started[0]
    assert (handover, environ["LISTEN_PID"]) == ("given", str(os.getpid()))
    assert "MODELMUX_HANDOVER" not in environ
