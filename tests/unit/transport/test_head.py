import pytest
from httptools import HttpParserError, HttpRequestParser, HttpResponseParser
from hypothesis import example, given
from hypothesis import strategies as st

from modelmux.transport.head import NO_FIELDS, Head

LINES = {HttpRequestParser: b"POST /x HTTP/1.1\r\n", HttpResponseParser: b"HTTP/1.1 200 OK\r\n"}


class Fields:
    """What a parser says of a head by a callback for each field."""

    def __init__(self) -> None:
        self.fields: list[tuple[bytes, bytes]] = []
        self.is_complete = False

    def on_header(self, name: bytes, value: bytes) -> None:
        self.fields.append((name.lower(), value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        self.is_complete = True


PIECES = st.sampled_from(
    [
        b"a",
        b"B-c",
        b"x-request-id",
        b":",
        b" ",
        b"\t",
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"\x0b",
        b"\xff",
        b"=",
    ]
)


@pytest.mark.parametrize("parser", LINES)
@given(pieces=st.lists(PIECES, max_size=12), blank=st.sampled_from([b"", b"\r\n", b"\r\n\r\n"]))
@example(pieces=[b"a", b":", b"b", b"\n", b"c", b":", b"d"], blank=b"")
@example(pieces=[b"a", b":", b"b", b"\r\n", b" ", b"c"], blank=b"")
@example(pieces=[b"a", b" ", b":", b"b"], blank=b"")
@example(pieces=[b"a", b":", b" ", b"b", b" ", b"\t", b"\r\n", b"a", b":"], blank=b"\r\n")
def test_a_head_that_a_parser_lets_through_is_what_the_parser_says(
    parser: type, pieces: list[bytes], blank: bytes
):
    """So the parsers must be strict: only then can a head be taken apart at its line ends."""
    head = blank + LINES[parser] + b"".join(pieces) + b"\r\n\r\n"
    told = Fields()
    try:
        parser(told).feed_data(head)
    except HttpParserError:
        return
    if not told.is_complete:
        return
    end = head.index(b"\r\n\r\n", len(blank) + 1) + 4
    read = Head(head[:end])
    assert list(read) == told.fields
    assert len(read) == len(told.fields)
    for name, _ in told.fields:
        assert read.first(name) == dict(reversed(told.fields))[name]
        assert read.has(name)


def test_a_field_is_found_by_its_name_and_no_other():
    head = Head(b"GET / HTTP/1.1\r\nX-Accept: no\r\nACCEPT:yes \r\naccept: again\r\n\r\n")
    assert head.first(b"accept") == b"yes"
    assert (head.first(b"cept"), head.has(b"cept"), head.has(b"x-accept")) == (None, False, True)
    assert head[1] == (b"accept", b"yes")
    assert head[1:] == [(b"accept", b"yes"), (b"accept", b"again")]


def test_a_head_may_have_no_field():
    for head in (Head(b"GET / HTTP/1.1\r\n\r\n"), NO_FIELDS):
        assert (list(head), len(head), head.first(b"a"), head.has(b"a")) == ([], 0, None, False)
