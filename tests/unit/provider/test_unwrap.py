import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator

import msgspec
import pytest

from modelmux.errors import Interrupted, ProtocolViolation, RateLimited
from modelmux.ir import events as ev
from modelmux.provider.unwrap import Machine, Unwrapped
from modelmux.wire import anthropic_messages
from modelmux.wire.framing import eventstream
from tests.support.cases import case
from tests.support.goldens import ROOT

WIRE = anthropic_messages.WIRE
SSE = (ROOT / "anthropic.messages/plain-text/stream.txt").read_bytes()


def chunk(data: bytes) -> bytes:
    payload = msgspec.json.encode({"bytes": b64encode(data).decode(), "p": "abc"})
    return eventstream.event("chunk", payload)


def wrapped(sse: bytes = SSE) -> bytes:
    """A stream of Anthropic's in Amazon's frames."""
    lines = [line for line in sse.splitlines() if line.startswith(b"data: ")]
    return b"".join(chunk(line.removeprefix(b"data: ")) for line in lines)


async def pieces(*data: bytes) -> AsyncIterator[bytes]:
    for piece in data:
        yield piece


def read(*data: bytes) -> bytes:
    async def run() -> bytes:
        return b"".join([piece async for piece in Unwrapped(pieces(*data), WIRE)])

    return asyncio.run(run())


@case(100)
@pytest.mark.parametrize("size", [1, 3, 11, 12, 13, 100, 1 << 20])
def test_what_comes_out_is_anthropics_own_stream_however_it_was_cut(size: int):
    data = wrapped()
    cut = [data[start : start + size] for start in range(0, len(data), size)]
    decoder, plain = WIRE.decoder(), WIRE.decoder()
    events = decoder.feed(read(*cut)) + decoder.finish()
    expected = [e for e in plain.feed(SSE) + plain.finish() if not isinstance(e, ev.Ping)]
    assert [event for event in events if not isinstance(event, ev.Ping)] == expected


@case(92, 100)
def test_an_exception_frame_is_an_error_after_what_came_before_it():
    broken = eventstream.exception("throttlingException", b'{"message":"slow"}')
    machine = Machine()
    assert b"message_start" in machine.feed(wrapped() + broken)
    with pytest.raises(RateLimited, match="slow"):
        machine.finish()


@case(93)
def test_a_stream_that_ends_inside_a_frame_is_interrupted():
    with pytest.raises(Interrupted, match="inside a frame"):
        read(wrapped()[:-5])


@pytest.mark.parametrize(
    "data",
    [
        b"\x00" * 16,
        eventstream.event("chunk", b"{}"),
        eventstream.event("chunk", b'{"bytes":"!"}'),
        eventstream.event("chunk", b"["),
    ],
)
def test_what_is_no_event_is_a_violation(data: bytes):
    with pytest.raises(ProtocolViolation):
        read(data)


def test_frames_of_other_names_say_nothing():
    assert read(eventstream.event("initial-response", b"{}")) == b""


def test_an_event_over_several_lines_is_one_line():
    assert read(chunk(b'{\n"type":"ping"\n}')) == b'event: ping\ndata: {"type":"ping"}\n\n'
