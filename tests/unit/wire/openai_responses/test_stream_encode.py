import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from modelmux.ir import events as ev
from modelmux.ir.parts import (
    Blob,
    Citation,
    Generic,
    Part,
    Reasoning,
    Refusal,
    ServerToolCall,
    Text,
    ToolCall,
)
from modelmux.ir.request import Envelope
from modelmux.ir.response import Failure, Usage
from modelmux.wire.openai_responses import WIRE, response, stream_encode
from tests.support.cases import case
from tests.unit.wire.openai_responses.bodies import ASKED, PNG, decoded, raw, told

START = ev.Start("x-1", "real", 7)
END = ev.Finish("stop", Usage(3, 2))
SDK: TypeAdapter[ResponseStreamEvent] = TypeAdapter(ResponseStreamEvent)


def one(part: Part, *deltas: ev.PartDelta) -> list[dict[str, object]]:
    """The events of one part, without those of the answer."""
    values = told(START, ev.PartStart(0, part), *deltas, ev.PartEnd(0), END)
    return values[2:-1]


def kinds(values: list[dict[str, object]]) -> list[str]:
    return [str(value["type"]).removeprefix("response.") for value in values]


@case(96)
def test_an_answer_begins_and_ends_with_the_whole_of_it():
    values = told(START, END)
    assert kinds(values) == ["created", "in_progress", "completed"]
    assert [value["sequence_number"] for value in values] == [0, 1, 2]
    first, last = values[0]["response"], values[-1]["response"]
    assert (first["id"], first["status"], first["model"]) == ("resp_x-1", "in_progress", "asked")
    assert (last["id"], last["status"]) == ("resp_x-1", "completed")
    assert last["usage"]["total_tokens"] == 5


@case(97)
def test_a_text_is_announced_and_done():
    values = one(Text("a"), ev.PartDelta(0, "b"))
    assert kinds(values) == [
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
    ]
    assert {value.get("item_id", "msg_x-100") for value in values} == {"msg_x-100"}
    assert values[4]["text"] == "ab"
    assert values[-1]["item"]["content"][0]["text"] == "ab"


@case(11)
def test_texts_that_stand_together_are_one_message():
    values = told(
        START, ev.PartStart(0, Text("a")), ev.PartEnd(0), ev.PartStart(1, Refusal("b")),
        ev.PartEnd(1), END,
    )  # fmt: skip
    assert kinds(values).count("output_item.added") == 1
    (message,) = values[-1]["response"]["output"]
    assert [part["type"] for part in message["content"]] == ["output_text", "refusal"]


@case(21)
def test_a_call_without_arguments_has_empty_ones():
    values = one(ToolCall("c", "f"))
    assert kinds(values) == [
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
    ]
    assert values[-1]["item"]["arguments"] == "{}"


def test_a_custom_call_is_told_by_its_input():
    values = one(ToolCall("c", "f", custom=True), ev.PartDelta(0, "x"))
    assert kinds(values)[1:3] == ["custom_tool_call_input.delta", "custom_tool_call_input.done"]
    assert values[-1]["item"]["input"] == "x"


@case(55, 57)
def test_reasoning_is_a_summary_that_can_come_back():
    part = Reasoning(origin="anthropic.messages")
    values = one(part, ev.PartDelta(0, "t"), ev.PartDelta(0, signature="s"))
    assert kinds(values) == [
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.delta",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
    ]
    assert values[-1]["item"]["encrypted_content"] == "modelmux/anthropic.messages:s:s"
    silent = one(Reasoning(encrypted="o", origin="anthropic.messages"))
    assert kinds(silent) == ["output_item.added", "output_item.done"]
    assert silent[-1]["item"]["encrypted_content"] == "modelmux/anthropic.messages:e:o"


@case(78)
def test_sources_are_annotations():
    cited = ev.PartDelta(0, citation=Citation("https://a", "A"))
    values = one(Text("a"), cited, ev.PartDelta(0, citation=Citation(title="a file")))
    annotated = [value for value in values if "annotation" in value]
    assert [value["annotation"]["url"] for value in annotated] == ["https://a"]
    assert len(values[-1]["item"]["content"][0]["annotations"]) == 1


def test_what_has_no_place_is_left_out():
    assert one(ServerToolCall("i", "search", origin="other"), ev.PartDelta(0, "x")) == []
    assert one(Generic("x", "other", raw({}))) == []
    assert kinds(one(Blob("image", "image/png", PNG))) == ["output_item.added", "output_item.done"]


@case(95)
def test_a_sign_of_life_is_a_comment():
    assert WIRE.encoder(ASKED).encode(ev.Ping()) == stream_encode.PING


@case(92)
def test_a_failure_ends_the_stream_without_success():
    failed = ev.Fail(Failure("unavailable", "gone", "interrupted"))
    values = told(START, ev.PartStart(0, Text("a")), failed)
    assert kinds(values)[-1] == "failed"
    assert values[-1]["response"]["error"]["message"] == "gone"
    assert kinds(told(failed)) == ["error"]


@case(73)
def test_an_answer_that_was_too_long_is_incomplete():
    values = told(START, ev.Finish("length"))
    assert kinds(values)[-1] == "incomplete"
    assert values[-1]["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def test_a_tool_of_a_namespace_is_called_by_both_its_names():
    space = {"type": "namespace", "name": "m", "description": "", "tools": [{"name": "f"}]}
    body = msgspec.json.encode({"model": "m", "input": "x", "tools": [space]})
    events = (START, ev.PartStart(0, ToolCall("c", "m__f")), ev.PartEnd(0), END)
    item = told(*events, envelope=Envelope("m", echo=body))[-1]["response"]["output"][0]
    assert (item["name"], item["namespace"]) == ("f", "m")


PARTS = st.sampled_from(
    [
        Text(),
        Text("a", (Citation("https://a", "A"),)),
        Refusal(),
        Reasoning(origin="other"),
        Reasoning("r", "s", origin="other"),
        ToolCall("c", "f"),
        ToolCall("c", "f", custom=True),
        Blob("image", "image/png", PNG),
        ServerToolCall("i", "s", origin="other"),
    ]
)


@case(97)
@given(st.lists(st.tuples(PARTS, st.lists(st.text(min_size=1), max_size=3)), max_size=5))
def test_the_sdk_knows_every_event_and_the_end_repeats_it_all(
    parts: list[tuple[Part, list[str]]],
):
    events: list[ev.Event] = [START]
    for index, (part, pieces) in enumerate(parts):
        said = [] if isinstance(part, Blob) else pieces
        events += [ev.PartStart(index, part), *(ev.PartDelta(index, text) for text in said)]
        events.append(ev.PartEnd(index))
    events.append(END)
    values = told(*events)
    assert [value["sequence_number"] for value in values] == list(range(len(values)))
    for value in values:
        SDK.validate_python(value)
    whole = msgspec.json.decode(response.encode(ev.fold(events), Envelope("asked")))
    assert values[-1]["response"] == whole
    encoder = WIRE.encoder(ASKED)
    decoded(*[encoder.encode(event) for event in events])


@pytest.mark.parametrize("text", ["a\nb", '"', "ü", "\x00"])
def test_any_text_stands_in_one_line(text: str):
    assert told(START, ev.PartStart(0, Text()), ev.PartDelta(0, text))[-1]["delta"] == text
