import asyncio
import http.client
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import http1, plain
from tests.support.http1 import Request
from tests.support.upstream import Do, Gate, Part, Upstream


def hello(_: Request) -> list[Part]:
    return [http1.answer(200, {"hello": "you"})]


def broken_off(upstream: Upstream) -> bool:
    try:
        plain.get(upstream.base_url, "/")
    except http.client.RemoteDisconnected:
        return True
    return False


def test_an_answer_is_the_bytes_of_the_script():
    script = b"HTTP/1.1 299 Odd\r\nX-A: 1\r\ncontent-length: 2\r\n\r\nok"
    with Upstream(lambda _: [script]) as upstream, socket.socket() as line:
        line.connect(("127.0.0.1", upstream.port))
        line.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert line.recv(1000) == script


def test_a_request_is_kept_byte_by_byte():
    sent = b"POST /v1/x?a=b HTTP/1.1\r\nHost: h\r\nX-CASE: V \r\ncontent-length: 3\r\n\r\n{ }"
    with Upstream(hello) as upstream, socket.socket() as line:
        line.connect(("127.0.0.1", upstream.port))
        line.sendall(sent)
        (request,) = upstream.wait_for_requests(1)
    assert request.head + request.raw_body == sent
    assert (request.method, request.target) == ("POST", "/v1/x?a=b")
    assert request.headers == [("Host", "h"), ("X-CASE", "V"), ("content-length", "3")]
    assert request.header("x-case") == "V"
    assert request.header("missing") is None
    assert request.json() == {}


def test_a_unix_socket_is_listened_on(tmp_path: Path):
    with Upstream(hello, unix_path=tmp_path / "up.sock") as upstream:
        assert plain.get(upstream.base_url, "/").json() == {"hello": "you"}


def test_a_connection_is_kept_for_the_next_request():
    with Upstream(hello) as upstream:
        line = plain.connection(upstream.base_url)
        for _ in range(2):
            line.request("GET", "/")
            line.getresponse().read()
        line.close()
        assert [request.connection for request in upstream.requests] == [1, 1]
        assert upstream.connections == 1


def test_a_gate_holds_the_rest_back_until_the_test_opens_it():
    gate = Gate()
    head = http1.stream_head()
    script: list[Part] = [head, http1.chunk(b"a"), gate, http1.chunk(b"b"), http1.LAST_CHUNK]
    with Upstream(lambda _: script) as upstream:
        line = plain.connection(upstream.base_url)
        line.request("GET", "/")
        gate.wait_until_reached()
        response = line.getresponse()
        assert response.read(1) == b"a"
        gate.open()
        assert response.read() == b"b"
        line.close()


def test_a_gate_that_is_open_holds_nothing_back():
    gate = Gate()
    gate.open()
    with Upstream(lambda request: [gate, *hello(request)]) as upstream:
        assert plain.get(upstream.base_url, "/").status == 200


def test_one_gate_holds_several_requests():
    gate = Gate()
    with Upstream(lambda request: [gate, *hello(request)]) as upstream:
        lines = [plain.connection(upstream.base_url) for _ in range(3)]
        for line in lines:
            line.request("GET", "/")
        upstream.wait_for_requests(3)
        lines[0].close()
        gate.open()
        assert [line.getresponse().status for line in lines[1:]] == [200, 200]
        for line in lines:
            line.close()


def test_a_gate_opened_after_everybody_left_harms_nobody():
    gate = Gate()
    with Upstream(lambda _: [gate]) as upstream:
        line = plain.connection(upstream.base_url)
        line.request("GET", "/")
        gate.wait_until_reached()
        line.close()
        assert upstream.requests[0].abandoned.wait(10)
    gate.open()


def test_a_peer_that_closes_early_is_noticed():
    with Upstream(lambda _: [http1.stream_head(), Do.WAIT_FOR_CLOSE]) as upstream:
        line = plain.connection(upstream.base_url)
        line.request("GET", "/")
        line.getresponse().close()
        line.close()
        assert upstream.wait_for_requests(1)[0].abandoned.wait(10)


def test_a_script_is_closed_when_its_peer_has_gone():
    closed = Gate()

    def script(_: Request) -> Iterator[Part]:
        try:
            yield http1.stream_head()
            while True:
                yield http1.chunk(b"x" * 65536)
        finally:
            closed.arrive()

    with Upstream(script) as upstream:
        line = plain.connection(upstream.base_url)
        line.request("GET", "/")
        line.getresponse().read(1)
        line.close()
        closed.wait_until_reached()


def test_a_peer_that_closes_after_the_answer_abandons_nothing():
    with Upstream(hello) as upstream:
        plain.get(upstream.base_url, "/")
    assert not upstream.requests[0].abandoned.is_set()


def test_close_delivers_what_was_written():
    with Upstream(lambda _: [http1.stream_head(), http1.chunk(b"ab"), Do.CLOSE]) as upstream:
        line = plain.connection(upstream.base_url)
        line.request("GET", "/")
        with pytest.raises(http.client.IncompleteRead) as cut:
            line.getresponse().read()
        line.close()
    assert cut.value.partial == b"ab"


def test_reset_cuts_the_connection():
    with Upstream(lambda _: [Do.RESET]) as upstream, pytest.raises(ConnectionResetError):
        plain.get(upstream.base_url, "/")


def test_requests_can_be_waited_for():
    with Upstream(hello) as upstream:
        line = plain.connection(upstream.base_url)
        line.request("POST", "/", b"1")
        upstream.wait_for_connections(1)
        assert upstream.wait_for_requests(1)[0].body == b"1"
        line.close()


def test_a_test_may_run_its_own_loop():
    async def talk(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        return head

    with Upstream(hello) as upstream:
        assert asyncio.run(talk(upstream.port)).startswith(b"HTTP/1.1 200 OK\r\n")


def test_what_a_script_raises_is_raised_in_the_test():
    def script(_: Request) -> list[Part]:
        raise LookupError("in the script")

    upstream = Upstream(script)
    with pytest.raises(LookupError, match="in the script"), upstream:
        assert broken_off(upstream)


def test_leaving_ends_connections_that_are_still_held():
    gate = Gate()
    with Upstream(lambda _: [gate]) as upstream:
        line = plain.connection(upstream.base_url)
        line.request("GET", "/")
        gate.wait_until_reached()
    with pytest.raises(http.client.RemoteDisconnected):
        line.getresponse()
    line.close()


def test_an_address_that_is_taken_is_an_error_in_the_test(tmp_path: Path):
    taken = tmp_path / "a" / "missing"
    with pytest.raises(OSError, match="No such file"), Upstream(hello, unix_path=taken):
        pass
