import msgspec
import pytest

from modelmux.ir.parts import Blob, Part, Reasoning, Refusal, ServerToolCall, Text, ToolCall
from modelmux.wire.openai_responses import item_encode
from modelmux.wire.openai_responses.item_encode import Ids, Space, Writer
from tests.unit.wire.openai_responses.bodies import PNG, raw

TOOLS = raw(
    [
        {"type": "function", "name": "f"},
        {
            "type": "namespace",
            "name": "mcp__demo",
            "description": "d",
            "tools": [{"type": "function", "name": "add"}],
        },
    ]
)


def written(*parts: Part) -> list[dict[str, object]]:
    writer = Writer(Ids("resp_ab"), item_encode.spaces(TOOLS))
    for part in parts:
        writer.add(part)
    return msgspec.json.decode(msgspec.json.encode(writer.items))


def test_items_without_names_get_names_of_their_own():
    ids = [item["id"] for item in written(Reasoning("r"), Text("a"), ToolCall("c", "f"))]
    assert ids == ["rs_ab00", "msg_ab01", "fc_ab02"]


def test_texts_that_stand_together_are_one_message():
    (message,) = written(Text("a"), Text("b"), Refusal("c"))
    assert [part["type"] for part in message["content"]] == ["output_text"] * 2 + ["refusal"]
    assert message["status"] == "completed"
    first, call, last = written(Text("a"), ToolCall("c", "f"), Text("b"))
    assert (first["type"], call["type"], last["type"]) == ("message", "function_call", "message")


def test_a_call_without_arguments_has_empty_ones():
    (call,) = written(ToolCall("c", "f"))
    assert (call["call_id"], call["arguments"], call["status"]) == ("c", "{}", "completed")
    (custom,) = written(ToolCall("c", "f", "", custom=True))
    assert (custom["type"], custom["input"]) == ("custom_tool_call", "")


def test_a_tool_of_a_namespace_is_called_by_both_its_names():
    (call,) = written(ToolCall("c", "mcp__demo__add", "{}"))
    assert (call["name"], call["namespace"]) == ("add", "mcp__demo")


def test_namespaces_are_found_by_the_one_name_that_others_know():
    assert item_encode.spaces(TOOLS) == {"mcp__demo__add": Space("mcp__demo", "add")}
    assert item_encode.spaces(None) == {}
    assert item_encode.spaces(raw([])) == {}


def test_an_image_is_a_generated_one():
    (image,) = written(Blob("image", "image/png", PNG))
    assert (image["type"], image["result"]) == ("image_generation_call", PNG)


@pytest.mark.parametrize(
    "part", [ServerToolCall("i", "search", origin="other"), Blob("audio", "audio/wav", "A")]
)
def test_what_has_no_place_in_an_answer_is_left_out(part: Part):
    assert written(part) == []
