"""Listeners with an identity: who comes in by which, what is there, and what is not."""

import os
import random
import shutil
import socket
import struct
import sys
import tempfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from tests.support import plain, stage
from tests.support.child import Child
from tests.support.dialects import OPENAI
from tests.support.stage import Stage

SECRETS = {"team": "sk-caller-team-00001", "other": "sk-caller-other-0002"}
UPSTREAM_KEY = "sk-upstream-openai-7"

CONFIG = """
[server]
log_format = "json"
enable_retries = false

[[listeners]]
address = "unix:{folder}/guest.sock"
key = "team"
models = ["gpt-*"]
tags = {{ agent = "a" }}

[[listeners]]
address = "unix:{folder}/asks.sock"
mode = "0660"

[[listeners]]
address = "unix:{folder}/admin.sock"
surface = "admin"

[[keys]]
name = "team"
secret = "{team}"
models = ["gpt-4.1-mini", "o3"]
tags = {{ team = "t" }}

[[keys]]
name = "other"
secret = "{other}"

[[providers]]
name = "openai"
type = "openai"
base_url = "{base_url}"
api_key = "{upstream_key}"
models = ["gpt-4.1-mini", "gpt-5", "o3"]
"""


class House:
    """A gateway whose only listeners have identities."""

    def __init__(self, child: Child, folder: Path, upstream: Stage) -> None:
        self.child = child
        self.folder = folder
        self.upstream = upstream

    def __getitem__(self, name: str) -> str:
        return f"unix:{self.folder}/{name}.sock"

    def calls(self) -> list[dict[str, object]]:
        """Every call of the log."""
        lines = [line for line in self.child.log.splitlines() if line.startswith("{")]
        found = [msgspec.json.decode(line, type=dict[str, object]) for line in lines]
        return [line for line in found if line["message"] == "call"]

    def call(self, id_: str) -> dict[str, object]:
        """The line of the call with this id."""

        def found() -> dict[str, object] | None:
            return next((line for line in self.calls() if line["modelmux.id"] == id_), None)

        return self.child.wait_until(found, f"logging {id_}")


@contextmanager
def serving(config: str, folder: Path, *names: str) -> Generator[Child, None, None]:
    """A gateway with this configuration alone; ready once it answers on each of its sockets."""
    path = folder / "gateway.toml"
    path.write_text(config)
    argv = [sys.executable, "-m", "modelmux", "serve", "-c", str(path)]
    child = Child(argv, folder, {"PATH": "/usr/bin:/bin", "HOME": str(folder)})

    def answers() -> bool | None:
        try:
            for name in names:
                plain.get(f"unix:{folder}/{name}.sock", "/v1/models")
        except OSError:
            return None
        return True

    try:
        child.wait_until(answers, "answering")
        yield child
    finally:
        assert child.stop() == 0, child.log
    assert "Traceback" not in child.log, child.log


@pytest.fixture(scope="module")
def house() -> Generator[House, None, None]:
    folder = Path(tempfile.mkdtemp(prefix="mm-"))
    with stage.running() as upstream:
        config = CONFIG.format(
            folder=folder,
            base_url=upstream.base_url,
            upstream_key=UPSTREAM_KEY,
            **SECRETS,
        )
        with serving(config, folder, "guest", "asks", "admin") as child:
            yield House(child, folder, upstream)
    assert not list(folder.glob("*.sock"))
    shutil.rmtree(folder)


def ask(
    house: House, where: str, model: str = OPENAI.model, headers: Mapping[str, str] | None = None
) -> plain.Answer:
    house.upstream.play(OPENAI_ANSWER)
    return plain.post(house[where], "/v1/chat/completions", OPENAI.ask(model), headers)


OPENAI_ANSWER = [
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
    % (len(OPENAI.answer()), OPENAI.answer())
]


def test_a_listener_is_a_key(house: House):
    answer = ask(house, "guest", headers={"x-request-id": "by-listener"})
    assert answer.status == 200
    line = house.call("by-listener")
    assert line["modelmux.caller"] == "team"
    assert line["modelmux.tags"] == {"team": "t", "agent": "a"}


def test_the_system_says_who_called(house: House):
    ask(house, "guest", headers={"x-request-id": "by-whom"})
    line = house.call("by-whom")
    assert line["modelmux.listener"] == house["guest"]
    assert line["modelmux.peer.uid"] == os.getuid()
    assert line["modelmux.peer.gid"] == os.getgid()
    assert line["modelmux.peer.pid"] == os.getpid()


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {SECRETS['other']}"},
        {"x-api-key": SECRETS["other"]},
        {"x-goog-api-key": "nonsense"},
    ],
    ids=["another's key", "in another header", "no key at all"],
)
def test_credentials_that_come_to_a_listener_with_a_key_change_nothing(
    house: House, headers: dict[str, str]
):
    id_ = f"with-{random.getrandbits(32)}"
    answer = ask(house, "guest", headers={**headers, "x-request-id": id_})
    assert answer.status == 200
    assert house.call(id_)["modelmux.caller"] == "team"
    sent = dict(house.upstream.request.headers)
    assert sent["authorization"] == f"Bearer {UPSTREAM_KEY}"
    assert SECRETS["other"] not in str(sent)


def test_tags_of_a_listener_are_not_the_callers_to_change(house: House):
    headers = {"x-modelmux-tags": "agent=b,team=x,more", "x-request-id": "tagged"}
    ask(house, "guest", headers=headers)
    assert house.call("tagged")["modelmux.tags"] == {"team": "x", "agent": "a", "more": ""}


@pytest.mark.parametrize(
    ("model", "who"),
    [("gpt-5", "the key 'team' does not allow"), ("o3", "this listener does not allow")],
)
def test_key_and_listener_both_have_to_allow_a_model(house: House, model: str, who: str):
    answer = ask(house, "guest", model)
    assert answer.status == 403
    assert who in answer.body.decode()


def test_a_listener_lists_what_may_be_asked_for_there(house: House):
    listed = msgspec.json.decode(plain.get(house["guest"], "/v1/models").body, type=_Models)
    assert [model.id for model in listed.data] == [OPENAI.model]


def test_a_listener_without_a_key_asks_for_one(house: House):
    assert ask(house, "asks").status == 401
    headers = {"authorization": f"Bearer {SECRETS['other']}"}
    assert ask(house, "asks", "gpt-5", headers).status == 200


def test_files_are_as_open_as_they_are_to_be(house: House):
    modes = {path.stem: path.stat().st_mode & 0o777 for path in house.folder.glob("*.sock")}
    assert modes == {"guest": 0o600, "asks": 0o660, "admin": 0o600}


ELSEWHERE = (
    "/health",
    "/healthz",
    "/readyz",
    "/metrics",
    "/control/status",
    "/control/stop",
    "/control/logs",
    "/admin/config",
    "/dashboard",
    "/",
    "/docs",
    "/openapi.json",
)


@pytest.mark.parametrize("path", ELSEWHERE)
@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
def test_a_guest_finds_models_and_nothing_else(house: House, method: str, path: str):
    assert plain.request(house["guest"], method, path).status == 404


def test_an_admin_finds_everything_and_needs_no_key(house: House):
    assert ask(house, "admin", "gpt-5").status == 200
    status = plain.get(house["admin"], "/control/status")
    assert status.status == 200
    assert house["guest"] in status.body.decode()
    assert plain.get(house["admin"], "/metrics").status == 200


# Whatever a guest sends: it reaches no other path, nobody else's key, and no file.

TRICKS = (
    "/v1/../control/status",
    "/v1/..%2fcontrol/status",
    "/v1/%2e%2e/control/status",
    "//control/status",
    "/./control/status",
    "/control//status",
    "/control/status/",
    "/control/status?",
    "/control/status#x",
    "/control/status;x",
    "/CONTROL/STATUS",
    "/%63ontrol/status",
    "/control%2fstatus",
    "/control\\status",
    "/v1/models/../../control/status",
    "/v1/models/%2e%2e%2f%2e%2e%2fmetrics",
    "http://modelmux/control/status",
    "http://localhost/metrics",
    "/v1/models/..%c0%af..%c0%afetc/passwd",
    "/v1/models//etc/passwd",
    "/v1/models/%00/metrics",
    "*",
    "modelmux:80",
)
FIELDS = (
    "host: control",
    "x-original-url: /control/status",
    "x-rewrite-url: /control/status",
    "x-forwarded-prefix: /control",
    "x-forwarded-for: 127.0.0.1",
    "x-http-method-override: POST",
    "forwarded: for=127.0.0.1;proto=unix",
    f"authorization: Bearer {SECRETS['other']}",
    "x-modelmux-listener: admin",
    "x-modelmux-surface: admin",
    "connection: upgrade",
    "upgrade: h2c",
    "transfer-encoding: chunked",
    "transfer-encoding: identity, chunked",
    "transfer-encoding : chunked",
    "content-length: 5",
    "content-length: 0",
    "content-length: +5",
    "expect: 100-continue",
)
SMUGGLED = (
    b"GET /control/status HTTP/1.1\r\nhost: x\r\n\r\n",
    b"0\r\n\r\nGET /control/logs HTTP/1.1\r\nhost: x\r\n\r\n",
    b"5\r\nhello\r\n0\r\n\r\nPOST /control/stop HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n",
    b'5;x="\r\n"\r\nhello\r\n0\r\nx: y\r\n\r\nGET /metrics HTTP/1.1\r\nhost: x\r\n\r\n',
    b"\x00\x01\x02",
    b"",
)
TELLTALES = (
    b'"started_at"',
    b'"stopping"',
    b"modelmux_calls",
    b"modelmux_requests",
    b"listens on",
    b"root:x:0",
    b"total_requests",
    UPSTREAM_KEY.encode(),
    SECRETS["other"].encode(),
)
"""What only answers of other doors hold, or files, or others' keys."""

ROUNDS = 400


def said(path: Path, request: bytes) -> bytes:
    """All that comes back for some bytes; nothing is waited for that does not come."""
    with socket.socket(socket.AF_UNIX) as line:
        line.settimeout(plain.TIMEOUT_S)
        line.connect(str(path))
        line.sendall(request)
        line.shutdown(socket.SHUT_WR)
        got = b""
        try:
            while piece := line.recv(65_536):
                got += piece
        except ConnectionResetError:
            pass
        return got


def test_no_trick_gets_a_guest_out(house: House):
    dice = random.Random(20261120)
    house.upstream.play(OPENAI_ANSWER)
    guest = house.folder / "guest.sock"
    for _ in range(ROUNDS):
        method = dice.choice(("GET", "POST", "HEAD", "CONNECT", "OPTIONS", "PRI", "DELETE"))
        path = dice.choice((*TRICKS, *ELSEWHERE, "/v1/models"))
        fields = dice.sample(FIELDS, dice.randrange(5))
        end = dice.choice(("\r\n", "\r\n", "\n"))
        version = dice.choice(("HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/2.0", ""))
        lines = [f"{method} {path} {version}", *fields, "", ""]
        sent = end.join(lines).encode() + b"".join(dice.sample(SMUGGLED, dice.randrange(1, 3)))
        got = said(guest, sent)
        assert not [each for each in TELLTALES if each in got], (sent, got)
    assert ask(house, "guest").status == 200  # and it still answers


@pytest.mark.parametrize("path", TRICKS[:19])
def test_a_path_trick_is_no_door(house: House, path: str):
    request = f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode("latin-1")
    status = said(house.folder / "guest.sock", request).split(b" ", 2)[1]
    assert status in {b"404", b"400", b"405"}


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


# Sockets that are passed


def test_a_service_manager_passes_sockets(tmp_path: Path):
    folder = Path(tempfile.mkdtemp(prefix="mm-"))
    launcher = folder / "launch.py"
    launcher.write_text(LAUNCH)
    (folder / "gateway.toml").write_text("[server]\nlog_format = 'text'\n")
    child = Child(
        [sys.executable, str(launcher), sys.executable, str(folder)],
        folder,
        {"PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )
    try:
        child.wait_until(lambda: " listens on " in child.log or None, "listening")
        for name in ("one", "two"):
            assert plain.get(f"unix:{folder}/{name}.sock", "/healthz").status == 200
    finally:
        assert child.stop() == 0, child.log
    assert {path.name for path in folder.glob("*.sock")} == {"one.sock", "two.sock"}  # its maker's
    shutil.rmtree(folder)


LAUNCH = """
import fcntl, os, socket, sys

python, folder = sys.argv[1:]
for fd, name in ((3, "one"), (4, "two")):
    made = socket.socket(socket.AF_UNIX)
    made.bind(f"{folder}/{name}.sock")
    made.listen()
    high = fcntl.fcntl(made, fcntl.F_DUPFD, 10)
    made.close()
    os.dup2(high, fd)
os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "2", "LISTEN_FDNAMES": "one:two"}
os.execv(python, [python, "-m", "modelmux", "serve", "-c", f"{folder}/gateway.toml"])
"""


def test_a_reset_by_the_peer_leaves_the_listener_as_it_was(house: House):
    for _ in range(20):
        line = socket.socket(socket.AF_UNIX)
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.connect(str(house.folder / "guest.sock"))
        line.sendall(b"POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-length: 99\r\n\r\n{")
        line.close()
    assert ask(house, "guest").status == 200
