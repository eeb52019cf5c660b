import itertools

import pytest
from botocore.eventstream import EventStreamBuffer
from hypothesis import given, settings
from hypothesis import strategies as st

from modelmux.wire.framing import eventstream
from modelmux.wire.framing.eventstream import Decoder, Frame
from tests.support.cases import case

HEADERS = {":event-type": "metadata", ":content-type": "application/json", ":message-type": "event"}
ONE = eventstream.encode(HEADERS, b'{"a":1}')
names = st.text("abc:-", min_size=1, max_size=20)


def test_a_frame_comes_back_as_it_went_in():
    assert Decoder().feed(ONE) == [Frame(HEADERS, b'{"a":1}')]


@case(100)
@given(st.dictionaries(names, st.text(max_size=50), max_size=5), st.binary(max_size=200))
def test_amazons_own_library_reads_our_frames(headers: dict[str, str], payload: bytes):
    buffer = EventStreamBuffer()
    buffer.add_data(eventstream.encode(headers, payload))
    (message,) = list(buffer)
    assert message.headers == headers
    assert message.payload == payload


@case(100)
@settings(max_examples=50)
@given(st.lists(st.binary(max_size=40), min_size=1, max_size=5), st.data())
def test_any_split_gives_the_same_frames(payloads: list[bytes], data: st.DataObject):
    whole = b"".join(eventstream.encode(HEADERS, payload) for payload in payloads)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    decoder = Decoder()
    places = [0, *cuts, len(whole)]
    found = [
        frame.payload
        for start, end in itertools.pairwise(places)
        for frame in decoder.feed(whole[start:end])
    ]
    assert found == payloads
    assert not decoder.is_inside


def test_a_frame_split_inside_its_first_twelve_bytes_is_whole_again():
    decoder = Decoder()
    found = [frame for byte in ONE for frame in decoder.feed(bytes([byte]))]
    assert [frame.payload for frame in found] == [b'{"a":1}']


@pytest.mark.parametrize("place", range(len(ONE)))
def test_a_damaged_byte_is_noticed(place: int):
    damaged = bytearray(ONE)
    damaged[place] ^= 0x10
    decoder = Decoder()
    assert decoder.feed(bytes(damaged)) == []
    assert decoder.failure is not None
    assert decoder.feed(ONE) == []  # where the next frame begins is not known


def test_what_came_before_the_damage_counts():
    decoder = Decoder()
    assert len(decoder.feed(ONE + b"\x00" * 16)) == 1
    assert decoder.failure is not None


def test_a_frame_larger_than_any_can_be_is_refused_before_it_is_held():
    huge = eventstream.encode({}, b"")[:0] + (1 << 30).to_bytes(4) + (0).to_bytes(4)
    decoder = Decoder()
    decoder.feed(huge + eventstream._CRC.pack(eventstream.crc32(huge)))
    assert decoder.failure is not None
    assert str(eventstream.MAX_FRAME_BYTES) in str(decoder.failure)


@given(st.binary(max_size=200))
def test_noise_raises_nothing(data: bytes):
    Decoder().feed(data)


def test_headers_of_other_types_are_skipped():
    block = (
        b"\x01a\x00" + b"\x01b\x04\x00\x00\x00\x01" + b"\x01c\x06\x00\x02xy" + b"\x01d\x07\x00\x01z"
    )
    lengths = (16 + len(block)).to_bytes(4) + len(block).to_bytes(4)
    raw = lengths + eventstream._CRC.pack(eventstream.crc32(lengths)) + block
    raw += eventstream._CRC.pack(eventstream.crc32(raw))
    assert Decoder().feed(raw) == [Frame({"d": "z"}, b"")]


def test_a_frame_says_what_it_is():
    (event,) = Decoder().feed(eventstream.event("messageStop", b"{}"))
    (broken,) = Decoder().feed(eventstream.exception("throttlingException", b"{}"))
    error = Frame({":message-type": "error", ":error-code": "Boom"}, b"")
    assert (event.kind, event.name) == ("event", "messageStop")
    assert (broken.kind, broken.name) == ("exception", "throttlingException")
    assert (error.kind, error.name) == ("error", "Boom")
