import socket
from pathlib import Path

import pytest

from tests.support import http1, plain
from tests.support.http1 import Request
from tests.support.upstream import Upstream


def echo(request: Request) -> list[bytes]:
    return [http1.answer(201, request.raw_body, ("X-Method", request.method))]


@pytest.mark.parametrize("over_unix", [True, False])
def test_a_request_is_answered_on_tcp_and_on_a_unix_socket(tmp_path: Path, over_unix: bool):
    path = tmp_path / "s" if over_unix else None
    with Upstream(echo, unix_path=path) as upstream:
        answer = plain.post(upstream.base_url, "/a", {"b": 1}, {"x-c": "d"})
    assert (answer.status, answer.json()) == (201, {"b": 1})
    assert answer.headers["x-method"] == "POST"
    assert upstream.requests[0].header("content-type") == "application/json"
    assert upstream.requests[0].header("x-c") == "d"


def test_bytes_are_sent_as_they_are():
    with Upstream(echo) as upstream:
        plain.post(upstream.base_url, "/", b"{ not json")
    assert upstream.requests[0].body == b"{ not json"
    assert upstream.requests[0].header("content-type") is None


def test_a_unix_socket_nobody_listens_on_is_an_os_error(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        plain.get(f"unix:{tmp_path / 'missing'}", "/")


def test_a_free_port_refuses_connections():
    with socket.socket() as line, pytest.raises(ConnectionRefusedError):
        line.connect(("127.0.0.1", plain.free_port()))
