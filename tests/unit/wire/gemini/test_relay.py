import msgspec

from modelmux.ir.request import Envelope
from modelmux.ir.response import Failure
from modelmux.wire.framing.relay import Relay
from modelmux.wire.gemini import WIRE
from modelmux.wire.gemini.relay import ArrayRelay, Watch
from modelmux.wire.gemini.response import AS_ARRAY
from tests.support.cases import case
from tests.support.goldens import ROOT

STREAM = (ROOT / "gemini/plain-text/stream.txt").read_bytes()
FAILURE = Failure("unavailable", "gone", "interrupted", status=502)


def test_only_pieces_of_interest_are_looked_at() -> None:
    watch = Watch(None)
    text = b'data: {"candidates":[{"content":{"parts":[{"text":"\\"error\\""}]}}]}\n\n'
    assert not watch.concerns(text)
    assert watch.concerns(b'data: {"finishReason":"STOP"}\n\n')


@case(74, 82)
def test_counts_and_calls_are_noted_in_passing() -> None:
    relay = Relay(Watch(None))
    data = (ROOT / "gemini/parallel-tools/stream.txt").read_bytes()
    assert relay.feed(data) + relay.finish() == data
    assert relay.summary.reason == "tool_call"
    assert relay.summary.usage is not None
    assert relay.summary.usage.output_tokens == 12


@case(93)
def test_a_stream_that_breaks_off_ends_in_an_error_that_counts_what_came() -> None:
    relay = Relay(Watch(None))
    cut = STREAM[: STREAM.index(b"\r\n\r\n") + 4]
    sent = relay.feed(cut) + relay.finish()
    assert sent.startswith(cut)
    assert b'{"error":{"code":502' in sent
    assert relay.summary.failure is not None
    assert relay.summary.usage is not None
    assert relay.summary.usage.input_tokens == 8


def test_a_stream_that_had_finished_stays_finished() -> None:
    relay = Relay(Watch(None))
    relay.feed(STREAM)
    assert relay.fail(FAILURE) == b""
    assert relay.summary.failure is None


@case(99)
def test_events_reach_a_caller_who_wants_an_array_as_one() -> None:
    relay = WIRE.relay(Envelope("", stream=True, spelling=frozenset({AS_ARRAY})), "fast")
    data = b"".join([relay.feed(STREAM[at : at + 7]) for at in range(0, len(STREAM), 7)])
    told = msgspec.json.decode(data + relay.finish())
    assert [each["modelVersion"] for each in told] == ["fast"] * 3
    assert relay.summary.reason == "stop"
    assert relay.finish() == b""


def test_an_array_that_breaks_off_ends_in_an_error() -> None:
    for finish in (lambda relay: relay.finish(), lambda relay: relay.fail(FAILURE)):
        relay = ArrayRelay(None)
        cut = STREAM[: STREAM.index(b"\r\n\r\n") + 4]
        told = msgspec.json.decode(relay.feed(cut) + finish(relay))
        assert told[-1]["error"]["code"] == 502
