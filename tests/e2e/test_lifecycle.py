"""Stopping, callers that leave, callers that read slowly, and callers by the thousand."""

import asyncio
import signal
import socket
import time
from collections.abc import Generator, Iterator

import msgspec
import pytest

from tests.e2e.conftest import logged
from tests.support import gateway, http1, plain, raw, stage
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, DIALECTS, OPENAI, TEXT, WORDS, Dialect
from tests.support.gateway import Gateway, GatewayStarter
from tests.support.http1 import Request
from tests.support.memory import resident_bytes
from tests.support.stage import Stage
from tests.support.upstream import Do, Gate, Part

CONFIG = """
[server]
log_format = "json"
{server}
[[providers]]
name = "openai"
type = "openai"
base_url = "{base_url}"
api_key = "sk-upstream-000000"
"""

MODEL = f"openai/{OPENAI.model}"

CALLERS = pytest.mark.parametrize("caller", DIALECTS, ids=str)
ADDRESSES = pytest.mark.parametrize("address", ["tcp", "unix"])

MB = 1024 * 1024


@pytest.fixture(scope="module")
def running_upstream() -> Generator[Stage, None, None]:
    with stage.running() as running:
        yield running


@pytest.fixture
def upstream(running_upstream: Stage) -> Stage:
    """What every gateway here asks; nobody is expected to."""
    running_upstream.play()
    return running_upstream


WAYS = {"fast": "fast_path = true", "asgi": "fast_path = false"}
"""What is said here holds of both ways to the model doors."""


@pytest.fixture(params=WAYS.values(), ids=WAYS)
def start_gateway(request: pytest.FixtureRequest, start_gateway: GatewayStarter) -> GatewayStarter:
    """Starts gateways that go one way."""
    return lambda config: start_gateway(config.replace("[server]", f"[server]\n{request.param}"))


@pytest.fixture(scope="module", params=WAYS.values(), ids=WAYS)
def running(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    running_upstream: Stage,
) -> Generator[Gateway, None, None]:
    """A gateway that no test here stops."""
    config = CONFIG.format(server=request.param, base_url=running_upstream.base_url)
    with gateway.running(config, tmp_path_factory.mktemp("running")) as started:
        yield started


def held(gate: Gate, count: int = 3) -> list[Part]:
    """A stream that stands still after so many events until the gate is opened."""
    frames = [http1.chunk(frame) for frame in OPENAI.frames()]
    return [http1.stream_head(), *frames[:count], gate, *frames[count:], http1.LAST_CHUNK]


def start(starter: GatewayStarter, upstream: Stage, server: str = "") -> Gateway:
    return starter(CONFIG.format(server=server, base_url=upstream.base_url))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda each: each.name)
@CALLERS
def test_a_signal_lets_answers_end(
    start_gateway: GatewayStarter, upstream: Stage, caller: Dialect, number: signal.Signals
):
    running = start(start_gateway, upstream)
    gate, whole_gate = Gate(), Gate()
    answers = [held(gate), [whole_gate, http1.answer(200, OPENAI.answer())]]
    upstream.play(*answers)
    asked = caller.ask(MODEL, stream=True)
    with raw.posted(running.base_url, caller.path, asked) as exchange:
        whole = plain.connection(running.base_url)
        whole.request("POST", OPENAI.path, b'{"model":"%b","messages":[]}' % MODEL.encode())
        whole_gate.wait_until_reached()
        running.send_signal(number)
        running.wait_until_logged("stopping")
        with pytest.raises(OSError):
            plain.get(running.unix_address, "/healthz")
        gate.open()
        whole_gate.open()
        body = exchange.read_rest()
        assert whole.getresponse().read() == OPENAI.answer(MODEL)
        whole.close()
    assert caller.text_of_stream(body) == TEXT
    assert body.endswith(caller.end)
    assert running.wait_until_ended() == 0
    assert '"modelmux.outcome":"ok"' in running.log
    assert "stopped" in running.log


@CALLERS
def test_a_second_signal_does_not_wait(
    start_gateway: GatewayStarter, upstream: Stage, caller: Dialect
):
    running = start(start_gateway, upstream, "drain_timeout_s = 3600")
    gate = Gate()
    upstream.play(held(gate))
    asked = caller.ask(MODEL, stream=True)
    with raw.posted(running.base_url, caller.path, asked) as exchange:
        gate.wait_until_reached()
        running.send_signal(signal.SIGTERM)
        running.wait_until_logged("stopping")
        started = time.monotonic()
        running.send_signal(signal.SIGTERM)
        assert running.wait_until_ended() == 0
        assert time.monotonic() - started < 5
        body = exchange.read_rest()
    assert caller.end not in body
    assert upstream.requests[0].abandoned.wait(1)


def test_a_drain_ends_in_time(start_gateway: GatewayStarter, upstream: Stage):
    running = start(start_gateway, upstream, "drain_timeout_s = 1")
    gate = Gate()
    upstream.play(held(gate))
    asked = ANTHROPIC.ask(MODEL, stream=True)
    with raw.posted(running.base_url, ANTHROPIC.path, asked) as exchange:
        gate.wait_until_reached()
        started = time.monotonic()
        running.send_signal(signal.SIGTERM)
        assert running.wait_until_ended() == 0
        assert 0.5 < time.monotonic() - started < 6
        assert ANTHROPIC.end not in exchange.read_rest()


def where(running: Gateway, address: str) -> str:
    return {"tcp": running.base_url, "unix": running.unix_address}[address]


@case(85)
@ADDRESSES
@CALLERS
def test_a_caller_that_leaves_its_stream_ends_the_upstreams_work(
    running: Gateway, upstream: Stage, caller: Dialect, address: str
):
    gate = Gate()
    upstream.play(held(gate))
    headers = {"x-request-id": f"left-{caller}-{address}"}
    asked = caller.ask(MODEL, stream=True)
    with raw.posted(where(running, address), caller.path, asked, headers) as exchange:
        gate.wait_until_reached()
        exchange.leave()
        assert upstream.request.abandoned.wait(1)
    call = logged(running, headers["x-request-id"])
    assert (call["modelmux.outcome"], call["http.response.status_code"]) == ("cancelled", 499)


@case(85)
@ADDRESSES
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@CALLERS
def test_a_caller_that_does_not_wait_ends_the_upstreams_work(
    running: Gateway, upstream: Stage, caller: Dialect, stream: bool, address: str
):
    upstream.play([Do.WAIT_FOR_CLOSE])
    headers = {"x-request-id": f"gone-{caller}-{stream}-{address}"}
    line = plain.connection(where(running, address))
    body = msgspec.json.encode(caller.ask(MODEL, stream=stream))
    line.request("POST", caller.path, body, headers)
    upstream.wait_for_requests(1)
    line.close()
    assert upstream.request.abandoned.wait(1)
    assert logged(running, headers["x-request-id"])["modelmux.outcome"] == "cancelled"


@case(85)
def test_a_caller_that_leaves_while_a_retry_waits_ends_the_call(running: Gateway, upstream: Stage):
    upstream.play([http1.answer(503, b"", ("retry-after", "20"))])
    line = plain.connection(running.base_url)
    headers = {"x-request-id": "left-while-it-waited"}
    line.request("POST", OPENAI.path, msgspec.json.encode(OPENAI.ask(MODEL)), headers)
    upstream.wait_for_requests(1)
    line.close()
    assert logged(running, "left-while-it-waited")["modelmux.outcome"] == "cancelled"
    assert len(upstream.requests) == 1


def endless(sent: list[int], total_bytes: int) -> Iterator[Part]:
    """A stream of `total_bytes`, and a note in `sent` of each piece that was handed over."""
    first, word, *rest = OPENAI.frames()
    yield http1.stream_head()
    yield http1.chunk(first)
    piece = http1.chunk(word.replace(b"It rains", b"It rains " * 7000))
    for _ in range(total_bytes // len(piece)):
        yield piece
        sent.append(len(piece))
    for frame in rest:
        yield http1.chunk(frame)
    yield http1.LAST_CHUNK


@CALLERS
def test_a_slow_reader_pauses_its_upstream(running: Gateway, upstream: Stage, caller: Dialect):
    total = 128 * MB
    sent: list[int] = []

    def script(request: Request) -> Iterator[Part]:
        if b'"stream":true' in request.body:
            yield from endless(sent, total)
        else:
            yield http1.answer(200, OPENAI.answer())

    upstream.run(script)
    before = resident_bytes(running.pid)
    line = plain.connection(running.base_url)
    line.connect()
    line.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    line.request("POST", caller.path, msgspec.json.encode(caller.ask(MODEL, stream=True)))
    response = line.getresponse()

    def passed_meanwhile() -> int:
        """What the upstream could write while others were served."""
        written = len(sent)
        for _ in range(50):
            assert plain.post(running.base_url, OPENAI.path, OPENAI.ask(MODEL)).status == 200
        return len(sent) - written

    while passed_meanwhile():
        pass
    assert sum(sent) < total / 4
    assert resident_bytes(running.pid) - before < 32 * MB
    response.close()
    line.close()
    assert upstream.requests[0].abandoned.wait(1)


async def open_stream(port: int, caller: Dialect, has_begun: asyncio.Semaphore) -> bytes:
    """Everything that one caller reads, who says when its stream has begun."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = msgspec.json.encode(caller.ask(MODEL, stream=True))
    head = f"POST {caller.path} HTTP/1.1\r\nhost: h\r\ncontent-length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    begun = await reader.readuntil(WORDS[0].encode())
    has_begun.release()
    rest = await reader.readuntil(caller.end)
    writer.close()
    await writer.wait_closed()
    return begun + rest


def test_a_thousand_slow_streams_fit_in_little_memory(running: Gateway, upstream: Stage):
    gate = Gate()
    upstream.play(held(gate))
    port = int(running.base_url.rpartition(":")[2])

    async def run() -> list[bytes]:
        has_begun = asyncio.Semaphore(0)
        # One half is passed through, the other translated.
        callers = DIALECTS * 500
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(open_stream(port, each, has_begun)) for each in callers]
            for _ in tasks:
                await has_begun.acquire()
            assert resident_bytes(running.pid) < 200 * MB
            gate.open()
        return [task.result() for task in tasks]

    answers = asyncio.run(run(), debug=False)
    assert len(answers) == 1000
    for answer in answers:
        assert [word for word in WORDS if word.encode() in answer] == list(WORDS)
    assert resident_bytes(running.pid) < 200 * MB


def test_who_says_nothing_does_not_keep_it_from_stopping(
    start_gateway: GatewayStarter, upstream: Stage
):
    running = start(start_gateway, upstream, "drain_timeout_s = 3600")
    upstream.play([http1.answer(200, OPENAI.answer())])
    idle = plain.connection(running.base_url)
    idle.request("POST", OPENAI.path, msgspec.json.encode(OPENAI.ask(MODEL)))
    idle.getresponse().read()
    silent = plain.connection(running.unix_address)
    started = time.monotonic()
    running.send_signal(signal.SIGTERM)
    assert running.wait_until_ended() == 0
    assert time.monotonic() - started < 5
    idle.close()
    silent.close()


def test_half_a_request_keeps_it_no_longer_than_it_drains(
    start_gateway: GatewayStarter, upstream: Stage
):
    running = start(start_gateway, upstream, "drain_timeout_s = 1")
    line = plain.connection(running.base_url)
    line.putrequest("POST", OPENAI.path)
    line.putheader("content-length", "1000")
    line.endheaders()
    line.send(b'{"model":')
    # Answered after it: so the half request has been read, too.
    assert plain.get(running.base_url, "/healthz").status == 200
    started = time.monotonic()
    running.send_signal(signal.SIGTERM)
    assert running.wait_until_ended() == 0
    assert time.monotonic() - started < 6
    line.close()


@pytest.mark.parametrize("sent", [b"POST /v1/chat", b"POST /v1/messages HTTP/1.1\r\nhost: h\r\n"])
@pytest.mark.parametrize("more", [b"", b"content-length: 9\r\n\r\n{"], ids=["head", "body"])
def test_a_request_that_does_not_come_is_not_waited_for(
    start_gateway: GatewayStarter, upstream: Stage, sent: bytes, more: bytes
):
    running = start(start_gateway, upstream, "read_timeout_s = 0.2")
    line = plain.connection(running.base_url)
    line.connect()
    line.sock.sendall(sent + more)
    answer = b""
    while piece := line.sock.recv(4096):
        answer += piece
    expected = b"HTTP/1.1 400" if sent.endswith(b"chat") and more else b"HTTP/1.1 408"
    assert answer.startswith(expected)
    line.close()


@CALLERS
def test_a_body_that_is_too_large_is_a_call_that_failed(
    start_gateway: GatewayStarter, upstream: Stage, caller: Dialect
):
    running = start(start_gateway, upstream, "max_body_bytes = 1000")
    headers = {"x-request-id": "too-large"}
    answer = plain.post(running.base_url, caller.path, caller.ask(MODEL, "x" * 1000), headers)
    assert (answer.status, answer.headers["x-request-id"]) == (413, "too-large")
    call = logged(running, "too-large")
    assert (call["http.response.status_code"], call["error.type"]) == (413, "request_too_large")
    metrics = plain.get(running.base_url, "/metrics").body.decode()
    assert 'status="413"' in metrics
