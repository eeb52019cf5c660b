import pytest

from modelmux.ir.response import Failure
from modelmux.wire.anthropic_messages.relay import Watch
from modelmux.wire.framing.relay import Relay
from tests.support.cases import case

START = (
    b'event: message_start\ndata: {"type": "message_start", "message": {"id": "msg_1", '
    b'"model": "claude-x", "usage": {"input_tokens": 25, "output_tokens": 1}, '
    b'"note": "claude-x"}}\n\n'
)
DELTA = (
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"no message_stop, \\"error\\""}}\n\n'
)
END = (
    b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"max_tokens"},'
    b'"usage":{"output_tokens":15,"cache_read_input_tokens":5}}\n\n'
)
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
ERROR = b'data: {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}\n\n'


def relay(rename: str | None = None) -> Relay:
    return Relay(Watch(rename))


@case(81)
def test_usage_and_finish_reason_are_seen_in_passing():
    machine = relay()
    stream = START + DELTA + END + STOP
    assert machine.feed(stream) + machine.finish() == stream
    summary = machine.summary
    assert summary.usage is not None
    assert (summary.usage.input_tokens, summary.usage.output_tokens) == (30, 15)
    assert summary.usage.cache_read_input_tokens == 5
    assert (summary.reason, summary.failure) == ("length", None)


def test_nothing_is_known_before_it_is_said():
    machine = relay()
    assert machine.summary.usage is None
    machine.feed(START)
    assert machine.summary.usage is not None
    assert machine.summary.usage.input_tokens == 25
    assert machine.summary.reason is None


@case(108)
def test_the_model_is_renamed_and_no_other_byte_changes():
    machine = relay("asked")
    renamed = START.replace(b'"model": "claude-x"', b'"model": "asked"')
    assert machine.feed(START + DELTA + END + STOP) == renamed + DELTA + END + STOP


@pytest.mark.parametrize(
    "start",
    [
        b'data: {"type":"message_start","message":{"id":"msg_1"}}\n\n',
        b'data: {"type":"message_start","message":{"model":7}}\n\n',
        b'data: {"type":"message_start"}\n\n',
        b'data: {"type":"message_start","message":{"usage":{"input_tokens":"x"}}}\n\n',
        b'data: {"type":"message_start"\n\n',
    ],
)
def test_an_odd_start_passes_as_it_came(start):
    assert relay("asked").feed(start) == start


def test_text_is_not_looked_at_whatever_it_says():
    watch = Watch(None)
    assert not watch.concerns(DELTA)
    assert all(watch.concerns(frame) for frame in (START, END, STOP, ERROR))
    assert watch.renames is None


@case(92)
@pytest.mark.parametrize(
    "error",
    [ERROR, b'event: error\ndata: {"error":{"type":"overloaded_error","message":"busy"}}\n\n'],
)
def test_an_error_of_the_targets_is_passed_on_and_noted(error):
    machine = relay()
    assert machine.feed(START + error) + machine.finish() == START + error
    failure = machine.summary.failure
    assert failure is not None
    assert (failure.kind, failure.message) == ("overloaded", "busy")


@case(93)
def test_a_cut_stream_ends_in_an_error():
    machine = relay()
    machine.feed(START + DELTA + END)
    rest = machine.finish()
    assert rest.startswith(b'event: error\ndata: {"type":"error"')
    assert b"message_stop" not in rest
    failure = machine.summary.failure
    assert failure is not None
    assert (failure.kind, failure.code, failure.status) == ("unavailable", "interrupted", 502)
    assert machine.summary.usage is not None


@case(92)
def test_a_broken_stream_ends_in_the_error_that_is_given():
    machine = relay()
    machine.feed(START + DELTA)
    failure = Failure("timeout", "too slow", "timeout", status=504)
    assert b'"timeout_error","message":"too slow"' in machine.fail(failure)
    assert machine.summary.failure == failure


def test_what_comes_after_the_end_is_no_failure():
    machine = relay()
    machine.feed(START + END + STOP)
    assert machine.fail(Failure("timeout", "too slow")) == b""
    assert machine.summary.failure is None


def test_frames_of_interest_that_say_nothing_pass():
    machine = relay()
    odd = (
        b'data: {"type":"x","message_":1}\n\ndata: {"message_":1\n\ndata: {"type":1,"error":1}\n\n'
    )
    assert machine.feed(odd) == odd
    assert machine.summary.usage is None
    counts = b'data: {"type":"message_delta","usage":{"output_tokens":"x"}}\n\n'
    assert machine.feed(counts) == counts
