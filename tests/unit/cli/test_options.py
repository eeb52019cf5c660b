import os
import socket
from pathlib import Path

import pytest

from modelmux.cli.options import Loading, listens, load_config, load_quietly
from modelmux.errors import ConfigError
from tests.unit.cli.conftest import Cli


def test_the_configuration_is_that_of_where_the_command_runs(cli: Cli):
    cli.project("[server]\nport = 1024")
    assert load_config().config.server.port == 1024


def test_a_path_replaces_it(cli: Cli):
    cli.project("[server]\nport = 1024")
    other = cli.folder / "other.toml"
    other.write_text("[server]\nport = 2048")
    assert load_config(Path("other.toml")).config.server.port == 2048
    with pytest.raises(ConfigError):
        load_config(Path("none.toml"))


def test_a_gateway_inside_a_command_logs_no_calls(cli: Cli):
    cli.project("[server]\nlog_level = 'trace'")
    assert load_quietly().config.server.log_level == "warn"


def test_a_port_is_asked_whether_somebody_listens():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        assert listens("127.0.0.1", port)
    assert not listens("127.0.0.1", port)
    assert not listens("nobody.invalid", 1)


def test_a_dotenv_file_is_read_anew_each_time(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KEPT", "of the environment")
    monkeypatch.setenv("ADDED", "x")
    monkeypatch.delenv("ADDED")  # and so again at the end, whatever becomes of it
    cli.project("[[keys]]\nname = 'k'\nsecret = '${ADDED:-none}-${KEPT}'")
    dotenv = cli.folder / ".env"
    load = Loading(None, [])
    dotenv.write_text("ADDED=one\nKEPT=of the file")
    assert load().config.keys[0].secret == "one-of the environment"
    assert os.environ["ADDED"] == "one"  # for libraries that look there
    dotenv.write_text("ADDED=two")
    assert load().config.keys[0].secret == "two-of the environment"
    assert os.environ["ADDED"] == "two"
    dotenv.unlink()
    assert load().config.keys[0].secret == "none-of the environment"
    assert "ADDED" not in os.environ
