import msgspec
from openai.types import Completion

from modelmux.ir import events as ev
from modelmux.ir.parts import Reasoning, Refusal, Text
from modelmux.ir.request import Envelope
from modelmux.ir.response import Failure, Usage
from modelmux.wire.openai_completions import WIRE
from tests.support.cases import case
from tests.unit.wire.openai_completions.bodies import ASKED

START = ev.Start("x", "real", 7)


def told(*events: ev.Event, envelope: Envelope = ASKED) -> list[str]:
    encoder = WIRE.encoder(envelope)
    return b"".join([encoder.encode(event) for event in events]).decode().split("\n\n")[:-1]


@case(79, 96)
def test_text_is_told_and_nothing_else():
    frames = told(
        START,
        ev.PartStart(0, Reasoning()), ev.PartDelta(0, "t"), ev.PartEnd(0),
        ev.Ping(),
        ev.PartStart(1, Text("a")), ev.PartDelta(1, "b"), ev.PartEnd(1),
        ev.PartStart(2, Refusal()), ev.PartDelta(2, "c"), ev.PartEnd(2),
        ev.Finish("tool_call", Usage(3, 2)),
    )  # fmt: skip
    assert frames.pop(1) == ": ping"
    assert frames.pop() == "data: [DONE]"
    values = [msgspec.json.decode(frame.removeprefix("data: ")) for frame in frames]
    chunks = [Completion.construct(**value) for value in values]
    assert "".join([c.choices[0].text for c in chunks if c.choices]) == "abc"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.total_tokens == 5
    assert {chunk.model for chunk in chunks} == {"asked"}


@case(79)
def test_usage_that_was_not_asked_for_is_not_told():
    frames = told(
        START, ev.Finish("stop", Usage(3, 2)), envelope=Envelope("m", include_usage=False)
    )
    assert not any("usage" in frame for frame in frames)


@case(92)
def test_a_failure_ends_the_stream_without_success():
    frames = told(START, ev.Fail(Failure("unavailable", "gone", "interrupted")))
    assert msgspec.json.decode(frames[-1].removeprefix("data: "))["error"]["message"] == "gone"
