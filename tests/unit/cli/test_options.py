import socket
from pathlib import Path

import pytest

from modelmux.cli.options import listens, load_config, load_quietly
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
