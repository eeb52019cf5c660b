import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import http1
from tests.support.http1 import Parser, Request

PLAIN = b"GET /a HTTP/1.1\r\nhost: h\r\n\r\n"
SIZED = b"POST /b HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc"
CHUNKS = b"3;x=y\r\nab\r\r\nA\r\n0123456789\r\n0\r\n\r\n"
CHUNKED = b"POST /c HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n" + CHUNKS


def parse(*pieces: bytes) -> list[Request]:
    parser = Parser(1)
    return [request for piece in pieces for request in parser.feed(piece)]


@pytest.mark.parametrize(
    ("raw", "raw_body", "body"),
    [
        (PLAIN, b"", b""),
        (SIZED, b"abc", b"abc"),
        (CHUNKED, CHUNKS, b"ab\r0123456789"),
    ],
)
def test_bodies_are_kept_with_and_without_framing(raw: bytes, raw_body: bytes, body: bytes):
    (request,) = parse(raw)
    assert (request.raw_body, request.body) == (raw_body, body)
    assert request.head + request.raw_body == raw


@given(st.data())
def test_any_split_gives_the_same_requests(data: st.DataObject):
    raw = PLAIN + CHUNKED + SIZED + PLAIN
    cuts = sorted(data.draw(st.lists(st.integers(0, len(raw)), max_size=8)))
    pieces = [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    assert parse(*pieces) == parse(raw)


def test_an_unfinished_request_is_none():
    assert parse(SIZED[:-1]) == parse(CHUNKED[:-1]) == parse(PLAIN[:-1]) == []


def test_a_head_has_just_the_headers_given():
    assert http1.head(429, ("retry-after", "1")) == (
        b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\n\r\n"
    )
    assert http1.head(529) == b"HTTP/1.1 529 Status\r\n\r\n"


def test_an_answer_states_its_length():
    assert http1.answer(200, {"a": 1}).endswith(b'content-length: 7\r\n\r\n{"a":1}')


def test_a_stream_has_one_chunk_for_each_piece():
    head, *chunks = http1.stream(b"a" * 17, b"b")
    assert head == http1.stream_head()
    assert chunks == [b"11\r\n" + b"a" * 17 + b"\r\n", b"1\r\nb\r\n", b"0\r\n\r\n"]
