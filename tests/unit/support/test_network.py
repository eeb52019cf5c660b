import asyncio
import socket
from pathlib import Path

import pytest
import uvloop

from tests.support import http1, network
from tests.support.network import NetworkRefused
from tests.support.upstream import Upstream

# Reserved for documentation (RFC 5737): nobody is there, were the guard to let it through.
ELSEWHERE = "192.0.2.1"


@pytest.mark.parametrize(
    "host", [None, "", "localhost", b"localhost", "127.0.0.1", "127.9.9.9", "::1", "::1%lo"]
)
def test_this_machine_is_let_pass(host: str | bytes | None):
    network.check_host(host)


@pytest.mark.parametrize("host", [ELSEWHERE, "10.0.0.1", "0.0.0.0", "::", "example.com", b"e.com"])
def test_every_other_host_is_refused(host: str | bytes):
    with pytest.raises(NetworkRefused):
        network.check_host(host)


def test_names_that_resolve_nowhere_fail_as_they_do_everywhere():
    with pytest.raises(socket.gaierror):
        socket.getaddrinfo("upstream.invalid", 443)


def test_the_code_under_test_cannot_take_a_refusal_for_a_network_error():
    assert not issubclass(NetworkRefused, OSError)


def test_a_socket_cannot_connect_elsewhere():
    with socket.socket() as line, pytest.raises(NetworkRefused, match=r"192\.0\.2\.1"):
        line.connect((ELSEWHERE, 80))


def test_a_datagram_cannot_be_sent_elsewhere():
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with line, pytest.raises(NetworkRefused):
        line.sendto(b"", (ELSEWHERE, 53))


def test_a_name_cannot_be_resolved():
    with pytest.raises(NetworkRefused):
        socket.getaddrinfo("example.com", 443)


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
@pytest.mark.parametrize("host", [ELSEWHERE, "example.com"])
def test_no_event_loop_connects_elsewhere(new_loop, host: str):
    with asyncio.Runner(loop_factory=new_loop) as runner, pytest.raises(NetworkRefused):
        runner.run(asyncio.open_connection(host, 80))


def test_a_name_cannot_be_resolved_on_uvloop():
    async def resolve() -> None:
        await asyncio.get_running_loop().getaddrinfo("example.com", 443)

    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    with runner, pytest.raises(NetworkRefused):
        runner.run(resolve())


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_loopback_is_open_to_every_loop(new_loop):
    async def fetch(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("localhost", port, family=socket.AF_INET)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        return head

    runner = asyncio.Runner(loop_factory=new_loop)
    with runner, Upstream(lambda _: [http1.answer()]) as upstream:
        assert runner.run(fetch(upstream.port)).startswith(b"HTTP/1.1 200 OK")


def test_unix_sockets_are_open(tmp_path: Path):
    with (
        Upstream(lambda _: [http1.answer()], unix_path=tmp_path / "s"),
        socket.socket(socket.AF_UNIX) as line,
    ):
        line.connect(str(tmp_path / "s"))
