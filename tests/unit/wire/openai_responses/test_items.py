import pytest

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Blob, Generic, ServerToolResult, Text, ToolCall, ToolResult
from modelmux.ir.request import Message
from modelmux.wire.openai_responses import items, notes
from modelmux.wire.openai_responses.schema import NAME
from tests.support.cases import case
from tests.unit.wire.openai_responses.bodies import CALL, PNG, message, raw, request, user


def decode(**item: object) -> Message:
    return items.decode(raw(item), "/input/3")


def test_a_plain_message_is_one_bare_text():
    assert decode(role="user", content="a") == Message("user", (Text("a"),), bare=True)


def test_a_call_has_the_id_by_which_its_result_names_it():
    (call,) = decode(**CALL, id="fc_1", status="completed").parts
    assert isinstance(call, ToolCall)
    assert (call.id, call.name, call.arguments, call.custom) == ("c1", "f", "{}", False)


def test_a_custom_call_is_free_text():
    (call,) = decode(type="custom_tool_call", call_id="c", name="f", input="x").parts
    assert isinstance(call, ToolCall)
    assert (call.arguments, call.custom) == ("x", True)


@case(31)
def test_a_result_may_hold_more_than_text():
    image = {"type": "input_image", "image_url": f"data:image/png;base64,{PNG}"}
    found = decode(type="function_call_output", call_id="c", output=[image])
    assert found == Message("user", (ToolResult("c", (Blob("image", "image/png", PNG),)),))


@pytest.mark.parametrize(
    ("namespace", "name"),
    [("mcp__demo", "mcp__demo__add"), ("mcp__demo__", "mcp__demo__add"), ("", "add")],
)
def test_a_tool_in_a_namespace_has_one_name_elsewhere(namespace: str, name: str):
    assert items.flat_name(namespace, "add") == name
    (call,) = decode(**{**CALL, "name": "add", "namespace": namespace}).parts
    assert isinstance(call, ToolCall)
    assert call.name == name


def test_what_the_assistant_says_thinks_and_calls_is_one_turn():
    thought = {"type": "reasoning", "id": "rs_1", "summary": []}
    said = {"role": "assistant", "content": "a"}
    found = request(user(), thought, message("b"), said, CALL, user()).messages
    assert [(m.role, len(m.parts)) for m in found] == [
        ("user", 1),
        ("assistant", 4),
        ("user", 1),
    ]
    assert notes.has(found[1].parts[2].extra, notes.ITEM)  # it is a message of its own


def test_a_generated_image_is_one_that_other_wires_can_show():
    found = decode(type="image_generation_call", id="ig_1", status="completed", result=PNG)
    (part,) = found.parts
    assert isinstance(part, Blob)
    assert (part.mime_type, part.content) == ("image/png", PNG)


@pytest.mark.parametrize(
    ("kind", "role"),
    [("web_search_call", "assistant"), ("mcp_call", "assistant")],
)
def test_what_the_provider_runs_is_a_call_and_its_result(kind: str, role: str):
    found = decode(type=kind, id="x")
    assert found.role == role
    assert isinstance(found.parts[0], ServerToolResult)
    assert items.own_item(found.parts[0]) is not None


@pytest.mark.parametrize(
    ("kind", "role"),
    [
        ("computer_call", "assistant"),
        ("computer_call_output", "user"),
        ("mcp_approval_response", "user"),
        ("item_reference", "user"),
        ("compaction", "assistant"),
        ("of_the_future", "user"),
    ],
)
def test_items_that_only_this_wire_knows_stay_as_they_came(kind: str, role: str):
    item = raw({"type": kind, "id": "x", "y": [1]})
    found = items.decode(item, "/input/0")
    assert found.role == role
    assert found.parts == (Generic(f"item:{kind}", NAME, item),)


@pytest.mark.parametrize(
    ("item", "param"),
    [
        ({"content": "a"}, "input[3].role"),
        ({"role": "tool", "content": "a"}, "input[3].role"),
        ({"type": "function_call", "name": "f", "arguments": ""}, "input[3].call_id"),
        ({"type": "custom_tool_call", "call_id": "f", "input": ""}, "input[3].name"),
        ({"type": "function_call_output", "call_id": "c"}, "input[3].output"),
        ({"type": "function_call_output", "output": "c"}, "input[3].call_id"),
        ({"type": 5}, "input[3].type"),
        ({"role": "user", "content": 5}, "input[3].content"),
        (
            {
                "type": "function_call_output",
                "call_id": "c",
                "output": [{"type": "refusal", "refusal": "n"}],
            },
            "input[3].output[0]",
        ),
    ],
)
def test_an_item_that_lacks_what_it_is_is_refused_with_its_place(item: object, param: str):
    with pytest.raises(InvalidRequest) as caught:
        items.decode(raw(item), "/input/3")
    assert caught.value.param == param


def test_an_empty_message_of_the_assistants_is_kept():
    (part,) = decode(**message()).parts
    assert isinstance(part, Text)
    assert part.text == ""


def test_an_image_in_the_assistants_mouth_is_for_this_wire_only():
    item = {"role": "assistant", "content": [{"type": "input_image", "file_id": "f"}]}
    (part,) = decode(**item).parts
    assert isinstance(part, Generic)
