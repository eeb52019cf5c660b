from modelmux.ir.response import Failure
from modelmux.wire.bedrock_converse.relay import Relay
from modelmux.wire.bedrock_converse.stream_decode import INTERRUPTED
from tests.support import amazon
from tests.support.cases import case
from tests.support.goldens import ROOT, Golden


def golden(name: str) -> bytes:
    path = ROOT / "bedrock.converse" / name / "stream.txt"
    return Golden("bedrock.converse", name, path).read()


def test_frames_leave_as_they_came_and_are_counted():
    relay = Relay()
    data = golden("usage")
    assert relay.feed(data) + relay.finish() == data
    assert relay.summary.reason == "stop"
    assert relay.summary.usage is not None
    assert relay.summary.usage.input_tokens == 1305


def test_an_incomplete_frame_waits():
    relay = Relay()
    data = golden("plain-text")
    assert relay.feed(data[:10]) == b""
    assert relay.feed(data[10:]) == data


@case(93)
def test_a_stream_that_is_cut_ends_in_an_exception():
    relay = Relay()
    sent = relay.feed(golden("plain-text")[:200]) + relay.finish()
    assert relay.summary.failure == INTERRUPTED
    assert sent.count(b"modelStreamErrorException") == 1


@case(92, 100)
def test_an_exception_is_passed_on_and_noted():
    relay = Relay()
    data = golden("error-mid-stream")
    assert relay.feed(data) == data
    assert relay.finish() == b""
    assert relay.summary.failure is not None
    assert relay.summary.failure.message == "The model failed."


def test_damage_is_told_and_nothing_after_it_is_passed_on():
    relay = Relay()
    relay.feed(b"\x00" * 16)
    assert relay.summary.failure is not None
    assert relay.summary.failure.code == "protocol_violation"
    assert relay.feed(golden("plain-text")) == b""


def test_a_failure_of_the_connection_is_an_exception_unless_all_was_said():
    failure = Failure("timeout", "late")
    relay = Relay()
    assert b"late" in relay.fail(failure)
    assert relay.fail(failure) == b""
    relay = Relay()
    relay.feed(golden("plain-text"))
    assert relay.fail(failure) == b""
    assert amazon.events(golden("plain-text"))
