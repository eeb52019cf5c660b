from modelmux.ir.response import Failure, Usage
from modelmux.wire.framing.ndjson import Relay
from modelmux.wire.ollama_chat.relay import Watch
from modelmux.wire.ollama_chat.stream_decode import INTERRUPTED
from tests.support.cases import case
from tests.support.goldens import ROOT

STREAM = (ROOT / "ollama.chat/parallel-tools/stream.txt").read_bytes()


@case(87)
def test_counts_and_the_reason_are_noted_in_passing() -> None:
    relay = Relay(Watch("fast"), INTERRUPTED)
    sent = relay.feed(STREAM) + relay.finish()
    assert sent == STREAM.replace(b'"model":"qwen3"', b'"model":"fast"')
    assert relay.summary.usage == Usage(11, 18)
    assert relay.summary.reason == "tool_call"


def test_only_lines_of_interest_are_looked_at() -> None:
    watch = Watch(None)
    assert not watch.concerns(
        b'{"message":{"content":"\\"error\\" \\"done\\":true"},"done":false}\n'
    )
    assert watch.concerns(b'{"done" : true}\n')
    watch.look(b"no json")
    assert not watch.ended


@case(92, 93)
def test_a_stream_that_breaks_off_ends_in_an_error() -> None:
    relay = Relay(Watch(None), INTERRUPTED)
    sent = relay.feed(STREAM[:-20]) + relay.finish()
    assert sent.endswith(b'{"error":"the stream ended before the answer was finished"}\n')
    assert relay.summary.failure == INTERRUPTED


def test_a_stream_that_had_ended_stays_so() -> None:
    relay = Relay(Watch(None), INTERRUPTED)
    relay.feed(STREAM)
    assert relay.fail(Failure("unavailable", "gone")) == b""
    failed = Relay(Watch(None), INTERRUPTED)
    failed.feed(b'{"error":"boom"}\n')
    assert failed.finish() == b""
    assert failed.summary.failure is not None
