import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import ProtocolViolation
from modelmux.wire.framing import sse
from modelmux.wire.framing.sse import SSE, Decoder
from tests.support.cases import case

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
LINES = st.sampled_from(
    [b"data: {}", b"data:x", b"data", b"data: ", b"event: ping", b"event:", b": alive", b":", b"",
     b"id: 7", b"retry: 10", b"data:  two", b"datax: no", "data: ⚙".encode()]
)  # fmt: skip
STREAMS = st.lists(st.tuples(LINES, LINE_ENDS)).map(
    lambda lines: b"".join(line + end for line, end in lines)
)


def decode(*chunks: bytes) -> list[SSE]:
    decoder = Decoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.finish()


def read(stream: bytes) -> list[SSE]:
    """What the standard says of a whole stream, read line by line."""
    text = stream.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    out: list[SSE] = []
    event, data = "", []
    for line in [*text.split(b"\n"), b""]:
        name, colon, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if not line:
            if data:
                out.append(SSE(event, b"\n".join(data)))
            event, data = "", []
        elif not name and colon:
            out.append(SSE(sse.COMMENT, line[1:].strip()))
        elif name == b"event":
            event = value.decode()
        elif name == b"data":
            data.append(value)
    return out


@case(88)
@given(STREAMS)
def test_a_stream_is_read_as_the_standard_says(stream):
    assert decode(stream) == read(stream)


@case(89, 90)
@given(STREAMS, st.lists(st.integers(0, 200)))
def test_any_split_of_the_bytes_gives_the_same_events(stream, cuts):
    places = sorted({0, len(stream), *(cut % (len(stream) + 1) for cut in cuts)})
    chunks = [stream[a:b] for a, b in itertools.pairwise(places)]
    assert decode(*chunks) == decode(stream)
    assert decode(*(stream[i : i + 1] for i in range(len(stream)))) == decode(stream)


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_every_line_end_is_understood(end):
    assert decode(end.join([b"event: a", b"data: 1", b"", b"data: 2", b"", b""])) == [
        SSE("a", b"1"),
        SSE("", b"2"),
    ]


def test_a_line_end_of_two_bytes_may_be_split():
    assert decode(b"data: 1\r", b"\n\r", b"\ndata: 2\r\n\r\n") == [SSE("", b"1"), SSE("", b"2")]


def test_lines_of_one_event_are_joined():
    assert decode(b"data: {\ndata:\ndata: }\n\n") == [SSE("", b"{\n\n}")]


def test_a_mark_of_byte_order_at_the_start_is_no_data():
    assert decode(b"\xef\xbb\xbfdata: 1\n\n") == [SSE("", b"1")]


def test_a_comment_is_told():
    assert decode(b": OPENROUTER PROCESSING\n\n") == [SSE(sse.COMMENT, b"OPENROUTER PROCESSING")]


def test_a_name_without_data_is_no_event_and_is_forgotten():
    assert decode(b"event: a\n\ndata: 1\n\n") == [SSE("", b"1")]


def test_the_last_blank_line_may_be_missing():
    assert decode(b"data: 1\n\ndata: 2") == [SSE("", b"1"), SSE("", b"2")]


def test_several_plain_events_of_one_chunk_are_read_together():
    decoder = Decoder()
    decoder.feed(b"data: 0\n\n")
    assert decoder.between
    assert decoder.feed(b"event: a\ndata: 1\n\ndata: 2\n\n") == [SSE("a", b"1"), SSE("", b"2")]


@pytest.mark.parametrize(
    "odd", [b": x\n\n", b"data: 1\n\n\n", b"\ndata: 1\n\n", b"data: a\ndata: b\n\n", b"id: 1\n\n"]
)
def test_what_is_odd_between_plain_events_is_not_lost(odd):
    chunk = b"event: a\ndata: 1\n\n" + odd + b"data: 2\n\n"
    assert decode(b"data: 0\n\n", chunk) == read(b"data: 0\n\n" + chunk)


def test_the_decoder_knows_when_it_stands_between_events():
    decoder = Decoder()
    states = []
    for chunk in (b"data: 1", b"\n", b"\n", b"event: a\n", b"data: 2\n\n", b"data: 3\r\n\r"):
        decoder.feed(chunk)
        states.append(decoder.between)
    # After the last CR a LF may come that belongs to it.
    assert states == [False, False, True, False, True, False]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + b"x" * 101 + b"\n\n"],
        [b"data: 0\n\n", b"data: " + b"x" * 101 + b"\n\n"],
        [b"data: ", *[b"x"] * 101],
        [b"data: x\n"] * 51,
        [b"data\n"] * 101,
    ],
    ids=["whole", "whole, later", "in pieces", "in lines", "in empty lines"],
)
def test_an_event_without_end_is_refused(chunks):
    with pytest.raises(ProtocolViolation, match="exceeds 100 bytes"):
        decode(*chunks)


@pytest.mark.usefixtures("small")
def test_an_event_within_the_limit_passes_however_it_is_split():
    event = b"data: " + b"x" * 80 + b"\n\n"
    for cut in range(len(event)):
        assert decode(event[:cut], event[cut:], event) == [SSE("", b"x" * 80)] * 2


@given(st.binary(max_size=60))
def test_no_bytes_raise_anything(noise):
    decode(noise)


@given(event=st.sampled_from(["", "message_start"]), data=st.sampled_from([b"", b"{}", b"[DONE]"]))
def test_what_was_encoded_is_decoded(event, data):
    assert decode(sse.encode(data, event)) == [SSE(event, data)]
