"""The starter is tested with a stand-in for the gateway, which keeps to its command line."""

import signal
from pathlib import Path

import pytest

from tests.support import gateway, plain
from tests.support.child import ChildError

STAND_IN = """
import argparse, os, signal, socketserver, sys, threading
from http.server import BaseHTTPRequestHandler

parser = argparse.ArgumentParser()
parser.add_argument("command", choices=["serve"])
parser.add_argument("--config", type=argparse.FileType())
parser.add_argument("--listen", action="append")
parser.add_argument("--fail", action="store_true")
arguments = parser.parse_args()
config = arguments.config.read()

class Handler(BaseHTTPRequestHandler):
    def address_string(self):
        return "somebody"

    def do_GET(self):
        status = 503 if config == "not ready" and self.path == "/readyz" else 200
        body = f"{config}|{os.getcwd()}|{sorted(os.environ)}".encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

class Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True

if arguments.fail:
    sys.exit("config: no such key")
for address in arguments.listen:
    kind, _, rest = address.partition(":")
    if kind == "unix":
        server = socketserver.ThreadingUnixStreamServer(rest, Handler)
    else:
        server = Tcp((kind, int(rest)), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
stop = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: stop.set())
stop.wait()
if config == "defect":
    print("Traceback (most recent call last)")
sys.exit(3 if config == "badly" else 0)
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment in which `python -m modelmux` is the stand-in."""
    package = tmp_path / "stand-in" / "modelmux"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(STAND_IN)
    return {"PYTHONPATH": str(package.parent)}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty folder for the gateway."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


def test_both_listeners_answer_with_the_config(home: Path, environ: dict[str, str]):
    with gateway.running("well", home, environ=environ) as running:
        for address in (running.base_url, running.unix_address):
            config, directory, names = plain.get(address, "/").body.decode().split("|")
            assert (config, directory) == ("well", str(home))
            assert "OPENAI_API_KEY" not in names
        assert running.openai_url == f"{running.base_url}/v1"
    assert not running.socket_path.parent.exists()


def test_one_that_does_not_start_is_reported_with_its_log(home: Path, environ: dict[str, str]):
    with (
        pytest.raises(ChildError, match=r"(?s)ended with 1 before ready.*no such key"),
        gateway.running("well", home, "--fail", environ=environ),
    ):
        pass


def test_one_that_has_no_target_can_be_waited_for(home: Path, environ: dict[str, str]):
    ready = gateway.running("not ready", home, environ=environ, ready_path="/healthz")
    with ready as running:
        assert plain.get(running.base_url, "/readyz").status == 503


def test_one_that_does_not_exit_with_0_is_reported(home: Path, environ: dict[str, str]):
    ending = gateway.running("badly", home, environ=environ)
    with pytest.raises(ChildError, match="ended with 3"), ending:
        pass


def test_one_that_tells_of_a_defect_is_reported(home: Path, environ: dict[str, str]):
    telling = gateway.running("defect", home, environ=environ)
    with pytest.raises(ChildError, match="tells of a defect"), telling:
        pass


def test_a_test_that_ends_it_judges_the_exit_code(home: Path, environ: dict[str, str]):
    with gateway.running("badly", home, environ=environ) as running:
        running.send_signal(signal.SIGTERM)
        assert running.wait_until_ended() == 3


def test_its_log_can_be_waited_for(home: Path, environ: dict[str, str]):
    with gateway.running("well", home, environ=environ) as running:
        plain.get(running.base_url, "/asked")
        running.wait_until_logged("GET /asked")


def test_several_are_started_in_folders_of_their_own(start_gateway, environ: dict[str, str]):
    first = start_gateway("one", environ=environ)
    second = start_gateway("two", environ=environ)
    bodies = [plain.get(running.base_url, "/").body for running in (first, second)]
    assert [body[:3] for body in bodies] == [b"one", b"two"]
    assert first.config_path != second.config_path
