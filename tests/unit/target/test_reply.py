import asyncio
import gc
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest

from modelmux.errors import Interrupted, Overloaded, ProtocolViolation, TargetError
from modelmux.ir import events as ev
from modelmux.ir.parts import Text
from modelmux.ir.request import Envelope
from modelmux.ir.response import Response, Usage
from modelmux.ir.restore import Restore
from modelmux.target.chunks import Chunks
from modelmux.target.reply import Events, Reply, Source, Whole, encode
from modelmux.wire import anthropic_messages, openai_chat
from tests.support import linewire
from tests.support.linewire import LineWire
from tests.support.targets import Connection

OURS = LineWire("ours")
THEIRS = LineWire("theirs")
ENVELOPE = Envelope("m")
STREAM = Envelope("m", stream=True)
RESPONSE = Response("id", "m", (Text("hi there"),), "stop", Usage(3, 2))


class Ends:
    """Counts the ends of a reply, and how often its connection was given up."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.closed = 0

    async def aclose(self) -> None:
        self.closed += 1

    def reply(self, source: Source, *, restore: Restore | None = None, renamed: bool = False):
        made = Reply(source, target="p/m", aclose=self.aclose, restore=restore, renamed=renamed)
        made.on_end(self.replies.append)
        return made


async def gateway_events(finish: bool = True) -> AsyncIterator[ev.Event]:
    yield ev.Start("id", "m")
    yield ev.PartStart(0, Text())
    yield ev.PartDelta(0, "hi there")
    yield ev.PartEnd(0)
    if finish:
        yield ev.Finish("stop", Usage(3, 2))


def chunked(wire: LineWire, *pieces: bytes, error: TargetError | None = None) -> Chunks:
    return Chunks(wire, Connection(pieces or linewire.stream(), error=error))


SOURCES: dict[str, Callable[[], Source]] = {
    "a whole body on the caller's wire": lambda: Whole(OURS, linewire.answer_body("hi there")),
    "a whole body on another wire": lambda: Whole(THEIRS, linewire.answer_body("hi there")),
    "a stream on the caller's wire": lambda: chunked(OURS),
    "a stream on another wire": lambda: chunked(THEIRS),
    "events": lambda: Events(gateway_events()),
    "a response": lambda: RESPONSE,
}
every_source = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)


@every_source
def test_a_body_is_the_whole_answer_whatever_it_came_as(source: Callable[[], Source]):
    ends = Ends()
    reply = ends.reply(source())
    body = asyncio.run(reply.body(OURS, ENVELOPE))
    answer = OURS.decode_response(body)
    assert answer.usage == Usage(3, 2)
    assert "".join(p.text for p in answer.parts if isinstance(p, Text)).startswith("hi")
    assert reply.complete
    assert (reply.summary.usage, reply.summary.reason) == (Usage(3, 2), "stop")
    assert (ends.replies, ends.closed) == ([reply], 1)


@every_source
def test_a_stream_is_the_whole_answer_whatever_it_came_as(source: Callable[[], Source]):
    ends = Ends()

    async def run() -> list[ev.Event]:
        reply = ends.reply(source())
        decoder = OURS.decoder()
        out = [e async for data in reply.stream(OURS, STREAM) for e in decoder.feed(data)]
        assert reply.complete
        assert (reply.summary.usage, reply.summary.reason) == (Usage(3, 2), "stop")
        return out + decoder.finish()

    seen = asyncio.run(run())
    ev.check(seen)
    assert isinstance(seen[-1], ev.Finish)
    assert (len(ends.replies), ends.closed) == (1, 1)


@every_source
def test_events_keep_the_grammar_whatever_the_answer_came_as(source: Callable[[], Source]):
    ends = Ends()

    async def run() -> list[ev.Event]:
        return [event async for event in ends.reply(source()).events()]

    seen = asyncio.run(run())
    ev.check(seen)
    assert seen[-1] == ev.Finish("stop", Usage(3, 2))
    assert (len(ends.replies), ends.closed) == (1, 1)


@every_source
def test_an_answer_given_up_unread_ends_once_and_is_not_complete(source: Callable[[], Source]):
    ends = Ends()

    async def run() -> Reply:
        reply = ends.reply(source())
        await reply.aclose()
        await reply.aclose()
        return reply

    reply = asyncio.run(run())
    assert not reply.complete
    assert (ends.replies, ends.closed) == ([reply], 1)


@every_source
def test_a_stream_given_up_in_the_middle_ends_at_once(source: Callable[[], Source]):
    ends = Ends()

    async def run() -> None:
        reply = ends.reply(source())
        pieces = reply.stream(OURS, STREAM)
        await anext(pieces)
        await pieces.aclose()
        assert (ends.replies, ends.closed) == ([reply], 1)

    asyncio.run(run())
    gc.collect()  # a generator that was left open would be told of as an unraisable error


@every_source
def test_events_given_up_in_the_middle_end_at_once(source: Callable[[], Source]):
    ends = Ends()

    async def run() -> None:
        reply = ends.reply(source())
        reading = reply.events()
        await anext(reading)
        await reading.aclose()
        assert (ends.replies, ends.closed) == ([reply], 1)

    asyncio.run(run())
    gc.collect()


def test_the_callers_own_wire_gets_the_targets_own_bytes():
    odd = b'{"model":"m",  "text":"hi"}'
    assert asyncio.run(Reply(Whole(OURS, odd)).body(OURS, ENVELOPE)) == odd


def test_a_renamed_model_is_answered_under_the_callers_name():
    reply = Reply(Whole(OURS, linewire.answer_body(model="n")), renamed=True)
    assert asyncio.run(reply.body(OURS, ENVELOPE)) == linewire.answer_body(model="m")


def test_a_stream_to_the_same_wire_is_the_targets_bytes_after_a_peek_too():
    async def run() -> list[bytes]:
        reply = Reply(chunked(OURS))
        await reply.peek(OURS)
        return [piece async for piece in reply.stream(OURS, STREAM)]

    assert asyncio.run(run()) == linewire.stream()


def test_a_callback_that_comes_after_the_end_is_called_at_once():
    ends = Ends()

    async def run() -> None:
        reply = Reply(RESPONSE)
        await reply.aclose()
        reply.on_end(ends.replies.append)
        assert ends.replies == [reply]

    asyncio.run(run())


def test_callbacks_run_even_if_closing_fails():
    ends = Ends()

    async def broken() -> None:
        raise OSError("gone")

    async def run() -> None:
        reply = Reply(RESPONSE, aclose=broken)
        reply.on_end(ends.replies.append)
        with pytest.raises(OSError, match="gone"):
            await reply.aclose()
        assert ends.replies == [reply]

    asyncio.run(run())


def test_whether_it_is_a_stream_is_known_before_it_is_read():
    assert [Reply(make()).is_stream for make in SOURCES.values()] == [
        False,
        False,
        True,
        True,
        True,
        False,
    ]


def test_a_stream_that_breaks_is_told_on_the_wire_and_noted():
    async def run() -> None:
        reply = Ends().reply(chunked(OURS, *linewire.stream()[:2], error=Interrupted("reset")))
        pieces = [piece async for piece in reply.stream(OURS, STREAM)]
        assert pieces[-1] == b"fail unavailable p/m: reset\n\n"
        assert not reply.complete
        assert reply.summary.failure is not None
        assert reply.summary.failure.target == "p/m"

    asyncio.run(run())


def test_a_stream_that_breaks_in_translation_says_who_broke_it():
    async def run() -> None:
        reply = Ends().reply(chunked(THEIRS, *linewire.stream()[:2], error=Interrupted("reset")))
        pieces = [piece async for piece in reply.stream(OURS, STREAM)]
        assert pieces[-1] == b"fail unavailable p/m: reset\n\n"
        assert reply.summary.failure is not None
        assert not reply.complete

    asyncio.run(run())


def test_a_stream_that_is_cut_is_a_failure_and_not_the_callers_doing():
    async def run() -> None:
        reply = Reply(chunked(OURS, *linewire.stream()[:2]))
        pieces = [piece async for piece in reply.stream(OURS, STREAM)]
        assert pieces[-1].startswith(b"fail ")
        assert not reply.complete
        assert reply.summary.failure is not None

    asyncio.run(run())


def test_a_connection_that_breaks_after_the_end_harms_nothing():
    async def run() -> None:
        reply = Reply(chunked(OURS, *linewire.stream(), error=Interrupted("reset")))
        assert [piece async for piece in reply.stream(OURS, STREAM)] == linewire.stream()
        assert reply.complete
        assert reply.summary.failure is None

    asyncio.run(run())


def test_a_caller_who_hangs_up_after_the_last_event_has_had_it_all():
    async def run() -> None:
        reply = Reply(chunked(OURS))
        pieces = reply.stream(OURS, STREAM)
        for _ in linewire.stream():
            await anext(pieces)
        await pieces.aclose()
        assert reply.complete

    asyncio.run(run())


@pytest.mark.parametrize("wire", [OURS, THEIRS], ids=["same wire", "other wire"])
def test_a_body_that_is_no_answer_is_raised_and_noted(wire: LineWire):
    ends = Ends()
    reply = ends.reply(Whole(wire, b"<html>"))
    reply.attempts = 2
    with pytest.raises(ProtocolViolation) as caught:
        asyncio.run(reply.body(OURS, ENVELOPE))
    assert (caught.value.target, caught.value.attempts) == ("p/m", 2)
    assert reply.summary.failure is not None
    assert not reply.complete
    assert ends.replies == [reply]


def test_a_body_that_is_no_answer_fails_as_a_stream_too():
    async def run() -> list[bytes]:
        reply = Reply(Whole(OURS, b"<html>"))
        return [piece async for piece in reply.stream(OURS, STREAM)]

    (piece,) = asyncio.run(run())
    assert piece.startswith(b"fail unavailable ")


def test_a_stream_that_fails_is_no_whole_answer():
    ends = Ends()
    reply = ends.reply(chunked(THEIRS, *linewire.frames("start id m", "fail overloaded busy")))
    with pytest.raises(Interrupted, match="busy"):
        asyncio.run(reply.body(OURS, ENVELOPE))
    assert reply.summary.failure is not None
    assert reply.summary.failure.kind == "overloaded"  # the target's own word, not ours
    assert ends.closed == 1


def test_gateway_events_that_never_finish_are_no_answer():
    ends = Ends()
    reply = ends.reply(Events(gateway_events(finish=False)))
    with pytest.raises(Interrupted):
        asyncio.run(reply.response())
    assert reply.summary.failure is not None


def test_an_error_in_a_whole_body_of_status_200_is_found_by_a_peek():
    with pytest.raises(Overloaded):
        asyncio.run(Reply(Whole(OURS, linewire.error_body("overloaded"))).peek(OURS))


def test_a_peek_at_what_the_gateway_made_itself_reads_nothing():
    async def run() -> None:
        reply = Reply(Events(gateway_events()))
        await reply.peek(OURS)
        assert isinstance((await reply.response()).parts[0], Text)

    asyncio.run(run())


def test_an_answer_decoded_by_a_peek_is_not_decoded_again():
    theirs = LineWire("theirs")

    async def run() -> None:
        reply = Reply(Whole(theirs, linewire.answer_body()))
        await reply.peek(OURS)
        await reply.body(OURS, ENVELOPE)

    asyncio.run(run())
    assert theirs.decoded_responses == 1


def test_what_encoding_did_to_the_request_is_undone_on_the_same_wire_too():
    async def run(envelope: Envelope) -> bytes:
        reply = Reply(
            Whole(OURS, linewire.answer_body("```json\n{}\n```")), restore=Restore(fenced_json=True)
        )
        if envelope.stream:
            return b"".join([piece async for piece in reply.stream(OURS, envelope)])
        return await reply.body(OURS, envelope)

    assert asyncio.run(run(ENVELOPE)) == linewire.answer_body("{}")
    assert b"say {}\n" in asyncio.run(run(STREAM))


def test_events_without_words_on_the_wire_are_no_empty_pieces():
    async def batches():
        yield [ev.Ping()]
        yield [ev.Start("id", "m")]

    async def run() -> list[bytes]:
        return [piece async for piece in encode(batches(), OURS, STREAM)]

    assert asyncio.run(run()) == [b"start id m\n\n"]


def test_usage_known_at_the_start_survives_a_failure():
    async def events() -> AsyncIterator[ev.Event]:
        yield ev.Start("id", "m", usage=Usage(9))
        yield ev.Fail(ev.Failure("overloaded", "busy"))

    async def run() -> None:
        reply = Reply(Events(events()))
        assert len([event async for event in reply.events()]) == 2
        assert reply.summary.usage == Usage(9)
        assert reply.summary.failure is not None

    asyncio.run(run())


def test_an_answer_without_a_neutral_form_is_passed_on_unread():
    body = b"an image, perhaps"

    async def run() -> Reply:
        reply = Reply(Whole(OURS, body, opaque=True))
        await reply.peek(OURS)
        assert await reply.body(OURS, ENVELOPE) == body
        return reply

    reply = asyncio.run(run())
    assert reply.complete
    assert reply.summary.usage is None


def test_an_answer_without_a_neutral_form_cannot_be_told_on_another_wire():
    with pytest.raises(ProtocolViolation):
        asyncio.run(Reply(Whole(THEIRS, b"an image", opaque=True)).body(OURS, ENVELOPE))


def test_an_answer_of_a_wire_without_dates_is_dated() -> None:
    body = (
        b'{"id":"m","type":"message","role":"assistant","model":"c","content":[],'
        b'"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}'
    )

    async def run() -> bytes:
        reply = Reply(Whole(anthropic_messages.WIRE, body))
        reply.answered_at_s = 1_795_168_091
        return await reply.body(openai_chat.WIRE, Envelope("m"))

    assert msgspec.json.decode(asyncio.run(run()))["created"] == 1_795_168_091


def test_a_reply_speaks_the_targets_wire_unless_something_must_be_undone():
    ours, theirs = LineWire("ours"), LineWire("theirs")
    assert Reply(Whole(ours, b"")).speaks(ours)
    assert not Reply(Whole(ours, b"")).speaks(theirs)
    assert not Reply(Whole(ours, b""), restore=Restore("tool")).speaks(ours)
    assert not Reply(Response("r", "m", (), "stop")).speaks(ours)
