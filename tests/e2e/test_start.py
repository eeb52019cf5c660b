"""A configuration that is wrong stops the start, with a message that says where and what."""

import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Generator, Mapping
from pathlib import Path

import pytest

from tests.support import plain
from tests.support.gateway import GatewayStarter

PROVIDER = """
[[providers]]
name = "p"
type = "openai"
api_key = "sk-upstream-000000"
"""

KEY = """
[[keys]]
name = "k"
secret = "sk-caller-0000000000"
"""


class Ended:
    """A start that came to nothing."""

    def __init__(self, done: "subprocess.CompletedProcess[str]") -> None:
        self.code = done.returncode
        self.output = done.stdout
        self.message = done.stderr


@pytest.fixture
def sockets() -> Generator[Path, None, None]:
    """A folder whose name is short enough for unix sockets."""
    with tempfile.TemporaryDirectory(prefix="modelmux-") as folder:
        yield Path(folder)


def serve(
    folder: Path, config: str, *options: str, environ: Mapping[str, str] | None = None
) -> Ended:
    """Start it in `folder`, where it must end by itself."""
    path = folder / "gateway.toml"
    path.write_text(config)
    argv = [sys.executable, "-m", "modelmux", "serve", "-c", str(path), *options]
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **(environ or {})}
    done = subprocess.run(
        argv, cwd=folder, env=clean, capture_output=True, text=True, timeout=20, check=False
    )
    return Ended(done)


# The configuration, and what the message must say.
WRONG: dict[str, tuple[str, tuple[str, ...]]] = {
    "not TOML": ("[server\n", ("gateway.toml:1", "TOML")),
    "unknown key": ("[server]\nlistn = []\n", ("server.listn", "gateway.toml:2", "listen")),
    "unknown table": ("[severs]\nport = 1\n", ("severs", "gateway.toml:1", "server")),
    "wrong type": ('[server]\nport = "many"\n', ("server.port", "gateway.toml:2", "many")),
    "wrong word": ('[server]\nlog_level = "loud"\n', ("server.log_level", "loud", "info")),
    "out of bounds": ("[server]\nport = 70000\n", ("server.port", "65535")),
    "unset variable": (
        PROVIDER.replace("sk-upstream-000000", "${NOT_SET_ANYWHERE}"),
        ("NOT_SET_ANYWHERE", "providers[0].api_key", "gateway.toml:5"),
    ),
    "missing key file": (
        PROVIDER.replace("sk-upstream-000000", "file:nowhere.key"),
        ("nowhere.key", "api_key"),
    ),
    "missing api_key": (
        '[[providers]]\nname = "p"\ntype = "anthropic"\n',
        ("api_key", "'anthropic'", "${ANTHROPIC_API_KEY}"),
    ),
    "unknown provider type": (
        PROVIDER.replace('"openai"', '"openia"'),
        ("'openia'", "'openai'", "gateway.toml:4"),
    ),
    "missing base_url": (
        PROVIDER.replace('"openai"', '"openai_compatible"'),
        ("base_url", "openai_compatible"),
    ),
    "no URL": (PROVIDER + 'base_url = "localhost"\n', ("base_url", "URL")),
    "same name twice": (PROVIDER + PROVIDER, ("'p'", "gateway.toml")),
    "target of nobody": ('[[models]]\nname = "m"\ntargets = ["q/x"]\n', ("q/x", "models")),
    "target is itself": ('[[models]]\nname = "m"\ntargets = ["m"]\n', ("m", "itself")),
    "no address": ('[server]\nlisten = ["http://127.0.0.1:80"]\n', ("server.listen", "HOST:PORT")),
    "open to the network": (
        '[server]\nlisten = ["0.0.0.0:0"]\n',
        ("0.0.0.0:0", "[[keys]]", "allow_anonymous"),
    ),
    "open to all by its short form": ('[server]\nlisten = [":0"]\n', (":0", "[[keys]]")),
    "key without secret": ('[[keys]]\nname = "k"\n', ("keys", "secret")),
    "no service account": (
        '[vertex]\nproject = "p"\nregion = "us-east5"\nmodel = "m"\n'
        '[auth]\nservice_account_file = "nowhere.json"\n',
        ("nowhere.json", "auth.service_account_file"),
    ),
    "vertex without project": ('[vertex]\nmodel = "m"\n', ("vertex", "project", "region")),
    "reserved": ("[mcp]\nenabled = true\n", ("mcp", "not available")),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_configuration_stops_the_start(tmp_path: Path, what: str):
    config, words = WRONG[what]
    ended = serve(tmp_path, config)
    assert ended.code == 1
    for word in words:
        assert word in ended.message, ended.message
    assert "Traceback" not in ended.message
    assert ended.output == ""


def test_every_mistake_is_told_at_once(tmp_path: Path):
    ended = serve(tmp_path, '[server]\nport = "x"\nlistn = 1\n[[providers]]\ntype = "q"\n')
    assert ended.code == 1
    for word in ("server.port", "server.listn", "providers[0].name"):
        assert word in ended.message


def test_no_secret_is_told(tmp_path: Path):
    secret = "sk-very-secret-0123456789"
    config = PROVIDER.replace("sk-upstream-000000", secret) + f'api_keys = "{secret}"\n' + KEY
    ended = serve(tmp_path, config)
    assert ended.code == 1
    assert secret not in ended.message


def test_an_unreadable_file_is_told(tmp_path: Path):
    ended = serve(tmp_path, "", "-c", str(tmp_path / "nowhere.toml"))
    assert ended.code in {1, 2}
    assert "nowhere.toml" in ended.message


def test_a_port_in_use_is_told(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as line:
        port = line.getsockname()[1]
        ended = serve(tmp_path, PROVIDER, "--listen", f"127.0.0.1:{port}")
    assert ended.code == 1
    assert f"127.0.0.1:{port}" in ended.message
    assert "in use" in ended.message
    assert "hint" in ended.message


def test_a_live_socket_is_not_taken_over(tmp_path: Path, sockets: Path):
    path = sockets / "live.sock"
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(path))
        line.listen()
        ended = serve(tmp_path, PROVIDER, "--socket", str(path))
        assert ended.code == 1
        assert "another process listens" in ended.message
        assert path.exists()


def test_a_file_that_is_no_socket_is_not_removed(tmp_path: Path, sockets: Path):
    path = sockets / "precious.txt"
    path.write_text("precious")
    ended = serve(tmp_path, PROVIDER, "--socket", str(path))
    assert ended.code == 1
    assert path.read_text() == "precious"


def test_if_one_address_cannot_be_had_none_is_kept(tmp_path: Path, sockets: Path):
    path = sockets / "gateway.sock"
    with socket.create_server(("127.0.0.1", 0)) as line:
        port = line.getsockname()[1]
        ended = serve(tmp_path, "", "--socket", str(path), "--http", f"127.0.0.1:{port}")
    assert ended.code == 1
    assert not path.exists()


@pytest.mark.parametrize("options", [("--listen", "nonsense"), ("--nonsense",), ("--workers", "0")])
def test_wrong_options_are_wrong_usage(tmp_path: Path, options: tuple[str, ...]):
    ended = serve(tmp_path, "", *options)
    assert ended.code == 2
    assert "Traceback" not in ended.message


def test_with_keys_it_may_be_open_to_the_network(start_gateway: GatewayStarter):
    running = start_gateway(KEY, "--listen", f"0.0.0.0:{plain.free_port()}")
    assert plain.get(running.base_url, "/v1/models").status == 401


def test_the_socket_is_its_owners_alone_and_goes_at_the_end(
    start_gateway: GatewayStarter, sockets: Path
):
    more, private = sockets / "more.sock", sockets / "folder"
    private.mkdir()
    running = start_gateway("", "--socket", str(more))
    for path in (running.socket_path, more):
        mode = path.stat().st_mode
        assert stat.S_ISSOCK(mode)
        assert stat.S_IMODE(mode) == 0o600
    answers = [
        plain.get(address, "/healthz").status
        for address in (running.base_url, running.unix_address, f"unix:{more}")
    ]
    assert answers == [200] * 3
    running.send_signal(signal.SIGTERM)
    assert running.wait_until_ended() == 0
    assert not running.socket_path.exists()
    assert not more.exists()


def test_a_socket_left_behind_is_replaced(start_gateway: GatewayStarter, sockets: Path):
    path = sockets / "stale.sock"
    with socket.socket(socket.AF_UNIX) as line:
        line.bind(str(path))
    path.chmod(0o777)
    start_gateway("", "--socket", str(path))
    assert plain.get(f"unix:{path}", "/healthz").status == 200
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_gateway_that_was_killed_is_replaced(start_gateway: GatewayStarter, sockets: Path):
    path = sockets / "gateway.sock"
    killed = start_gateway("", "--socket", str(path))
    killed.send_signal(signal.SIGKILL)
    assert killed.wait_until_ended() == -9
    assert path.exists()
    start_gateway("", "--socket", str(path))
    assert plain.get(f"unix:{path}", "/healthz").status == 200


def test_an_empty_configuration_answers(start_gateway: GatewayStarter):
    running = start_gateway("")
    for path, body in (
        (
            "/v1/chat/completions",
            {"model": "modelmux/echo", "messages": [{"role": "user", "content": "hello"}]},
        ),
        (
            "/v1/messages",
            {
                "model": "modelmux/echo",
                "max_tokens": 9,
                "messages": [{"role": "user", "content": "hello"}],
            },
        ),
    ):
        answer = plain.post(running.base_url, path, body)
        assert answer.status == 200
        assert b"hello" in answer.body


def test_a_variable_may_hold_the_key(start_gateway: GatewayStarter):
    config = PROVIDER.replace("sk-upstream-000000", "${MY_KEY}")
    running = start_gateway(config, environ={"MY_KEY": "sk-from-the-environment"})
    assert plain.get(running.base_url, "/readyz").status == 200
