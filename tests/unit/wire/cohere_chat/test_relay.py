from modelmux.ir.request import Envelope
from modelmux.ir.response import Failure
from modelmux.wire.cohere_chat import WIRE
from modelmux.wire.cohere_chat.relay import Watch
from modelmux.wire.cohere_chat.stream_decode import INTERRUPTED
from modelmux.wire.framing import sse
from modelmux.wire.framing.relay import Relay
from tests.support.cases import case
from tests.support.goldens import ROOT


def golden(name: str) -> bytes:
    return (ROOT / "cohere.chat" / name / "stream.txt").read_bytes()


def relay() -> Relay:
    made = WIRE.relay(Envelope("m", stream=True), "another")
    assert isinstance(made, Relay)
    return made


def watched(data: bytes) -> Watch:
    watch = Watch()
    assert watch.look(sse.SSE("", data), data) == data
    return watch


def test_events_leave_as_they_came_and_are_counted():
    made, data = relay(), golden("plain-text")
    assert made.feed(data) + made.finish() == data
    assert made.summary.reason == "stop"
    assert made.summary.usage is not None
    assert (made.summary.usage.input_tokens, made.summary.usage.output_tokens) == (12, 9)


@case(93)
def test_a_stream_that_is_cut_ends_in_an_error():
    made = relay()
    sent = made.feed(golden("plain-text")[:600]) + made.finish()
    assert made.summary.failure == INTERRUPTED
    assert sent.count(b'"finish_reason":"ERROR"') == 1


@case(92)
def test_a_failure_is_passed_on_and_noted():
    made, data = relay(), golden("error-mid-stream")
    assert made.feed(data) + made.finish() == data
    assert made.summary.failure is not None
    assert made.summary.failure.message == "an error occurred"


def test_another_failure_may_end_it():
    made = relay()
    made.feed(golden("plain-text")[:600])
    failure = Failure("timeout", "too slow")
    assert b"too slow" in made.fail(failure)
    assert made.summary.failure == failure


def test_only_what_may_end_it_is_looked_at():
    watch = Watch()
    assert watch.renames is None
    assert watch.concerns(b'{"type":"message-end"}')
    assert watch.concerns(b'{"error":"x"}')
    assert not watch.concerns(b'{"type":"content-delta","delta":{"message":{}}}')


def test_what_cannot_be_read_is_not_judged():
    assert not watched(b"{").ended
    assert not watched(b'{"type":"content-end"}').ended
    odd = watched(b'{"type":"message-end","delta":{"finish_reason":"COMPLETE","usage":1}}')
    assert odd.ended
    assert odd.summary.usage is None
