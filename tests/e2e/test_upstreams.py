"""Upstreams that speak HTTP in ways that are unusual, and right."""

import gzip
import tempfile
import zlib
from collections.abc import Callable, Generator
from pathlib import Path

import msgspec
import pytest

from tests.e2e.conftest import House, logged
from tests.support import http1, plain, raw
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, DIALECTS, OPENAI, TEXT, Dialect
from tests.support.gateway import GatewayStarter
from tests.support.memory import resident_bytes
from tests.support.upstream import Do, Part, Upstream
from tests.unit.transport.certificates import make_authority

CALLERS = pytest.mark.parametrize("caller", DIALECTS, ids=str)
BOTH = pytest.mark.parametrize("upstream", DIALECTS, ids=lambda dialect: f"from-{dialect}")

MB = 1024 * 1024

JSON = ("content-type", "application/json")
SSE = ("content-type", "text/event-stream")


def sized(body: bytes, *fields: tuple[str, str]) -> bytes:
    return http1.head(200, JSON, ("content-length", str(len(body))), *fields) + body


def deflated(body: bytes) -> bytes:
    return zlib.compress(body)


WHOLE: dict[str, Callable[[bytes], list[Part]]] = {
    "with hints before it": lambda body: [
        b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        sized(body),
    ],
    "ended by the connection's end": lambda body: [http1.head(200, JSON), body, Do.CLOSE],
    "of HTTP/1.0": lambda body: [
        b"HTTP/1.0 200 OK\r\ncontent-type: application/json\r\n\r\n" + body,
        Do.CLOSE,
    ],
    "that closes": lambda body: [sized(body, ("connection", "close")), Do.CLOSE],
    "in chunks of one byte": lambda body: [
        http1.head(200, JSON, ("transfer-encoding", "chunked")),
        b"".join(http1.chunk(body[at : at + 1]) for at in range(len(body))) + http1.LAST_CHUNK,
    ],
    "with extensions and trailers": lambda body: [
        http1.head(200, JSON, ("transfer-encoding", "chunked"), ("trailer", "x-sum")),
        b"%x;name=value\r\n%b\r\n0\r\nx-sum: 1\r\n\r\n" % (len(body), body),
    ],
    "packed by gzip": lambda body: [sized(gzip.compress(body), ("content-encoding", "gzip"))],
    "packed by deflate": lambda body: [sized(deflated(body), ("content-encoding", "deflate"))],
    "byte by byte": lambda body: [bytes([each]) for each in sized(body)],
    "with a header of many lines": lambda body: [
        sized(body, *[(f"x-noise-{number}", "y" * 100) for number in range(100)])
    ],
    "of another reason": lambda body: [
        sized(body).replace(b"200 OK", b"200 ", 1).replace(b"content-", b"Content-")
    ],
    "with status 201": lambda body: [sized(body).replace(b"200 OK", b"201 Created", 1)],
}


@case(101)
@BOTH
@CALLERS
@pytest.mark.parametrize("how", WHOLE)
def test_an_answer_is_understood(house: House, caller: Dialect, upstream: Dialect, how: str):
    house.behind(upstream).play(WHOLE[how](upstream.answer()))
    model = f"{upstream.name}/{upstream.model}"
    # Twice: what is left on a connection must not be taken for the next answer.
    for _ in range(2):
        answer = plain.post(house.url, caller.path, caller.ask(model))
        assert answer.status == 200, answer.body
        assert caller.text_of(answer.body) == TEXT
        assert "content-encoding" not in answer.headers


STREAMED: dict[str, Callable[[list[bytes]], list[Part]]] = {
    "ended by the connection's end": lambda frames: [http1.head(200, SSE), *frames, Do.CLOSE],
    "without a content-type": lambda frames: [
        http1.head(200, ("transfer-encoding", "chunked")),
        *map(http1.chunk, frames),
        http1.LAST_CHUNK,
    ],
    "packed by gzip": lambda frames: [
        http1.head(200, SSE, ("content-encoding", "gzip"), ("transfer-encoding", "chunked")),
        *map(http1.chunk, zipped(frames)),
        http1.LAST_CHUNK,
    ],
    "of lines that end in CR": lambda frames: http1.stream(
        *[frame.replace(b"\n", b"\r") for frame in frames]
    ),
    "of lines that end in CRLF": lambda frames: http1.stream(
        *[frame.replace(b"\n", b"\r\n") for frame in frames]
    ),
    "with a mark of byte order": lambda frames: http1.stream(b"\xef\xbb\xbf", *frames),
    "with comments": lambda frames: http1.stream(
        b": OPENROUTER PROCESSING\n\n", *[b": still there\n\n" + frame for frame in frames]
    ),
    "with ids and retries": lambda frames: http1.stream(
        b"retry: 3000\nid: 1\n\n", *[b"id: 7\n" + frame for frame in frames]
    ),
    "without its last line end": lambda frames: http1.stream(*frames[:-1], frames[-1].rstrip()),
    "that closes after": lambda frames: [*http1.stream(*frames), Do.CLOSE],
}


def zipped(frames: list[bytes]) -> list[bytes]:
    """Frames packed so that each can be unpacked when it comes."""
    packer = zlib.compressobj(wbits=31)
    pieces = [packer.compress(frame) + packer.flush(zlib.Z_SYNC_FLUSH) for frame in frames]
    return [*pieces, packer.flush()]


@case(88, 89, 91)
@BOTH
@CALLERS
@pytest.mark.parametrize("how", STREAMED)
def test_a_stream_is_understood(house: House, caller: Dialect, upstream: Dialect, how: str):
    house.behind(upstream).play(STREAMED[how](upstream.frames()))
    model = f"{upstream.name}/{upstream.model}"
    for _ in range(2):
        answer = plain.post(house.url, caller.path, caller.ask(model, stream=True))
        assert answer.headers["content-type"].startswith("text/event-stream")
        body = (
            answer.body.replace(b"\r\n", b"\n").replace(b"\r", b"\n").removeprefix(b"\xef\xbb\xbf")
        )
        assert caller.text_of_stream(body + b"\n\n") == TEXT
        assert caller.told_in_stream(body) is None
        assert caller.end.strip() in body


@pytest.fixture
def short_folder() -> Generator[Path, None, None]:
    """A folder whose name is short enough for unix sockets."""
    with tempfile.TemporaryDirectory(prefix="modelmux-") as folder:
        yield Path(folder)


@CALLERS
def test_an_upstream_may_be_behind_a_unix_socket(
    start_gateway: GatewayStarter, short_folder: Path, caller: Dialect
):
    path = short_folder / "up.sock"
    with Upstream(lambda _: [http1.answer(200, caller.answer())], unix_path=path) as upstream:
        running = start_gateway(provider(caller, upstream.base_url))
        answer = plain.post(running.base_url, caller.path, caller.ask("p/m"))
        assert caller.text_of(answer.body) == TEXT
        assert upstream.requests[0].target == caller.path


def provider(dialect: Dialect, base_url: str, more: str = "") -> str:
    return f"""
[server]
enable_retries = false
[[providers]]
name = "p"
type = "{dialect.name}"
base_url = "{base_url}"
api_key = "sk-upstream-000000"
{more}
"""


TLS: dict[str, tuple[str, str, str]] = {
    # Whom the certificate names, what the provider says of trust, and what comes of it.
    "trusted": ("127.0.0.1", 'ca_file = "{ca_file}"', ""),
    "unchecked": ("127.0.0.1", "verify = false", ""),
    "of nobody known": ("127.0.0.1", "", "certificate"),
    "of somebody else": ("api.example", 'ca_file = "{ca_file}"', "certificate"),
}


@pytest.mark.parametrize("how", TLS)
def test_tls_is_spoken_with_who_can_be_trusted(
    start_gateway: GatewayStarter, tmp_path: Path, how: str
):
    host, trust, complaint = TLS[how]
    authority = make_authority(tmp_path)
    answered = [http1.answer(200, OPENAI.answer())]
    with Upstream(lambda _: answered, tls=authority.server(host)) as upstream:
        trust = trust.format(ca_file=authority.ca_file)
        running = start_gateway(provider(OPENAI, upstream.base_url, trust))
        answer = plain.post(running.base_url, OPENAI.path, OPENAI.ask("p/m"))
        if complaint:
            told = OPENAI.told(answer.body)
            assert (answer.status, told.code) == (502, "unreachable")
            assert complaint in told.message
            assert not upstream.requests
        else:
            assert OPENAI.text_of(answer.body) == TEXT


@case(86)
@BOTH
@CALLERS
def test_usage_that_did_not_come_is_not_made_up(house: House, caller: Dialect, upstream: Dialect):
    body = msgspec.json.decode(upstream.answer())
    del body["usage"]
    house.behind(upstream).play([http1.answer(200, body)])
    call_id = f"no-usage-{caller}-{upstream}"
    asked = caller.ask(f"{upstream.name}/{upstream.model}")
    answer = plain.post(house.url, caller.path, asked, {"x-request-id": call_id})
    assert caller.text_of(answer.body) == TEXT
    line = logged(house.gateway, call_id)
    assert line.get("gen_ai.usage.input_tokens", 0) == 0
    assert line.get("gen_ai.usage.output_tokens", 0) == 0


@BOTH
@CALLERS
def test_large_bodies_go_both_ways(house: House, caller: Dialect, upstream: Dialect):
    question, reply = "q" * 8_000_000, "r" * 8_000_000
    house.behind(upstream).play([http1.answer(200, upstream.answer(text=reply))])
    asked = caller.ask(f"{upstream.name}/{upstream.model}", question)
    answer = plain.post(house.url, caller.path, asked, {"expect": "100-continue"})
    assert caller.text_of(answer.body) == reply
    assert question.encode() in house.behind(upstream).request.body


def test_an_upstreams_error_page_of_any_size_does_no_harm(house: House):
    house.openai.play([http1.answer(500, b"x" * 5_000_000)])
    answer = plain.post(house.url, OPENAI.path, OPENAI.ask(OPENAI.model))
    assert answer.status == 502
    assert len(answer.body) < 2000
    head = b"HTTP/1.1 200 OK\r\n" + b"x-noise: y\r\n" * 100_000
    house.openai.play([head, Do.CLOSE])
    answer = plain.post(house.url, OPENAI.path, OPENAI.ask(OPENAI.model))
    assert (answer.status, OPENAI.told(answer.body).code) == (502, "protocol_violation")


def test_one_event_of_any_size_does_no_harm(house: House):
    first, *_ = ANTHROPIC.frames()
    house.anthropic.play([http1.stream_head(), http1.chunk(first), *[http1.chunk(b"x" * MB)] * 200])
    asked = ANTHROPIC.ask(ANTHROPIC.model, stream=True)
    before = resident_bytes(house.gateway.pid)
    with raw.posted(house.url, ANTHROPIC.path, asked) as exchange:
        told = ANTHROPIC.told_in_stream(exchange.read_rest())
    assert told is not None
    assert "exceeds" in told.message
    assert resident_bytes(house.gateway.pid) - before < 100 * MB
