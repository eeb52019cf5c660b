import msgspec
import pytest

from modelmux.ir.response import Failure, Summary, Usage
from modelmux.wire.framing.relay import Relay
from modelmux.wire.openai_responses import WIRE
from modelmux.wire.openai_responses.relay import Watch
from modelmux.wire.openai_responses.stream_decode import INTERRUPTED
from tests.support.cases import case
from tests.unit.wire.openai_responses.bodies import ASKED, CALL, COMPLETED, CREATED, frame, whole

TEXT = frame("response.output_text.delta", delta="a", logprobs=[], sequence_number=3)
CALLED = frame("response.output_item.done", item=CALL)


def relay(rename: str | None = None) -> Relay:
    return WIRE.relay(ASKED, rename)


def passed(*frames: bytes, rename: str | None = None) -> tuple[bytes, Summary]:
    line = relay(rename)
    out = b"".join([line.feed(each) for each in frames]) + line.finish()
    return out, line.summary


def test_a_stream_passes_as_it_came():
    stream = b": hi\n\n" + CREATED + TEXT + COMPLETED
    out, summary = passed(stream)
    assert out == stream
    assert summary == Summary(Usage(3, 2), "stop")


def test_pieces_of_text_are_not_read():
    watch = Watch(ASKED, None)
    assert watch.concerns(CREATED)
    line = Relay(watch)
    line.feed(CREATED)
    assert not watch.concerns(TEXT)
    for loud in (COMPLETED, CALLED, frame("error", message="m")):
        assert watch.concerns(loud)


@case(73)
def test_a_call_is_why_it_ended():
    assert passed(CREATED, CALLED, COMPLETED)[1].reason == "tool_call"


@case(108)
def test_the_model_has_the_name_that_was_asked_for():
    out, _ = passed(CREATED, TEXT, COMPLETED, rename="a/b")
    assert out.count(b'"model":"a/b"') == 2
    assert b'"model":"real"' not in out


@case(92, 93)
@pytest.mark.parametrize("frames", [(), (CREATED,), (CREATED, TEXT), (CREATED, TEXT, TEXT[:-5])])
def test_a_stream_that_was_cut_fails(frames: tuple[bytes, ...]):
    out, summary = passed(*frames)
    assert summary.failure == INTERRUPTED
    last = out.strip().split(b"\n\n")[-1]
    value = msgspec.json.decode(last.split(b"data: ")[1])
    assert value["type"] == ("response.failed" if frames else "error")
    if frames:
        assert value["response"]["id"] == "resp_1"


@case(92)
@pytest.mark.parametrize(
    "ending",
    [
        frame("response.failed", response=whole(error={"code": "c", "message": "boom"})),
        frame("error", code="c", message="boom"),
        frame("error", error={"code": "c", "message": "boom"}),
    ],
)
def test_an_error_passes_and_is_noted(ending: bytes):
    out, summary = passed(CREATED, ending)
    assert out == CREATED + ending
    assert summary.failure is not None
    assert (summary.failure.message, summary.failure.code) == ("boom", "c")


def test_after_the_end_nothing_is_said():
    line = relay()
    line.feed(CREATED + COMPLETED)
    assert line.fail(Failure("unavailable", "gone")) == b""
    assert line.summary.failure is None


def test_what_cannot_be_read_passes():
    odd = b"data: {\n\n"
    assert passed(CREATED, odd, COMPLETED)[0] == CREATED + odd + COMPLETED
