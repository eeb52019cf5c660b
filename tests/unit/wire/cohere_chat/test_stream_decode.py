import msgspec
import pytest

from modelmux.ir import events as ev
from modelmux.ir.parts import Generic, Reasoning, Text, ToolCall
from modelmux.wire.cohere_chat import content
from modelmux.wire.cohere_chat.schema import NAME
from modelmux.wire.cohere_chat.stream_decode import INTERRUPTED, Decoder
from tests.support.cases import case
from tests.support.goldens import ROOT


def golden(name: str) -> bytes:
    return (ROOT / "cohere.chat" / name / "stream.txt").read_bytes()


def frame(type_: str, **fields: object) -> bytes:
    return b"data: " + msgspec.json.encode({"type": type_, **fields}) + b"\n\n"


def message(type_: str, index: int = 0, **fields: object) -> bytes:
    return frame(type_, index=index, delta={"message": fields})


def decoded(*data: bytes) -> list[ev.Event]:
    decoder = Decoder()
    events = [event for piece in data for event in decoder.feed(piece)] + decoder.finish()
    ev.check(events)
    return events


def failed(*data: bytes) -> ev.Fail:
    last = decoded(*data)[-1]
    assert isinstance(last, ev.Fail)
    return last


START = frame("message-start", id="i")
TEXT = message("content-start", content={"type": "text", "text": ""})
SAID = message("content-delta", content={"text": "hi"})
END = frame("message-end", delta={"finish_reason": "COMPLETE", "usage": {}})


def test_text():
    events = decoded(golden("max-tokens"))
    assert events[:4] == [
        ev.Start("29f14a5a-11de-4cae-9800-25e4747408ea", ""),
        ev.PartStart(0, Text()),
        ev.PartDelta(0, "Once upon"),
        ev.PartEnd(0),
    ]
    assert isinstance(events[4], ev.Finish)
    assert events[4].reason == "length"


@case(97)
def test_a_plan_and_calls_one_after_the_other():
    response = ev.fold(decoded(golden("tools")))
    plan, first, second = response.parts
    assert isinstance(plan, Reasoning)
    assert (plan.text, content.is_plan(plan)) == ("I will ask for both.", True)
    assert isinstance(first, ToolCall)
    assert (first.name, first.arguments) == ("get_weather", '{"city": "Madrid"}')
    assert isinstance(second, ToolCall)
    assert response.reason == "tool_call"


@case(21, 25)
def test_a_call_may_come_whole_or_take_nothing():
    def call(arguments: str, index: int) -> bytes:
        function = {"name": "f", "arguments": arguments}
        said = {"id": f"c{index}", "type": "function", "function": function}
        return message("tool-call-start", index, tool_calls=said)

    end = frame("tool-call-end", index=0)
    response = ev.fold(decoded(START, call('{"a":1}', 0), end, call("", 1), END))
    assert [part.arguments for part in response.parts if isinstance(part, ToolCall)] == [
        '{"a":1}',
        "{}",
    ]


def test_thinking_before_the_answer():
    thought, said = ev.fold(decoded(golden("reasoning"))).parts
    assert thought == Reasoning("One and one.", origin=NAME)
    assert said == Text("Yes.")


def test_a_piece_that_may_come_later_stays_itself():
    piece = {"type": "later", "a": 1}
    (found,) = ev.fold(decoded(START, message("content-start", content=piece), END)).parts
    assert isinstance(found, Generic)
    assert found.type == "later"


@case(78)
def test_a_citation_may_come_when_its_text_has_ended():
    citation = message("citation-start", citations={"start": 0, "end": 2, "type": "TEXT_CONTENT"})
    late = decoded(START, TEXT, SAID, frame("content-end", index=0), citation, END)
    (text,) = ev.fold(late).parts
    assert isinstance(text, Text)
    assert text.text == "hi"
    assert [(c.start_index, c.end_index) for c in text.citations] == [(0, 2)]
    other = message("citation-start", citations={"type": "PLAN"})
    assert ev.fold(decoded(START, TEXT, other, END)).parts == (Text(),)
    assert ev.fold(decoded(START, citation, END)).parts == ()


@case(92)
def test_a_model_that_fails_says_so_at_the_end():
    assert failed(golden("error-mid-stream")).failure.message == "an error occurred"
    assert failed(START, frame("message-end", delta={"finish_reason": "TIMEOUT"})).failure.message


@case(93)
def test_a_stream_without_an_end_is_none():
    assert failed(START, TEXT, SAID, b"data: [DONE]\n\n").failure == INTERRUPTED
    assert failed().failure == INTERRUPTED


@case(94)
def test_an_error_instead_of_an_event():
    found = failed(START, b'data: {"message":"too many requests"}\n\n').failure
    assert found.message == "too many requests"


def test_after_its_end_nothing_is_read():
    decoder = Decoder()
    decoder.feed(START + END)
    assert decoder.feed(SAID) == []
    assert decoder.finish() == []


@pytest.mark.parametrize(
    "data",
    [
        b"data: {\n\n",
        b"data: {}\n\n",
        b"data: 1\n\n",
        frame("content-start"),
        SAID,
        TEXT + frame("content-end", index=0) + SAID,
        message("content-start", content=1),
        frame("message-end", delta={"usage": 1}),
    ],
)
def test_what_breaks_the_grammar_fails(data: bytes):
    assert failed(START, data, END).failure.code == "protocol_violation"
