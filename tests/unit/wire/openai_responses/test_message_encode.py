import pytest

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Blob, CacheControl, Reasoning, Text, ToolCall, ToolResult
from modelmux.ir.profile import Profile
from modelmux.ir.request import Message
from modelmux.wire.openai_responses import message_encode
from modelmux.wire.openai_responses.schema import NAME
from tests.support import foreign
from tests.support.cases import case
from tests.unit.wire.openai_responses.bodies import PNG, encoded, lost

ASK = foreign.user("q")


def said(*messages: Message, profile: Profile | None = None) -> list[dict[str, object]]:
    return encoded(foreign.request(*messages), profile or Profile())["input"]


@case(9, 11)
def test_texts_of_one_turn_are_one_message():
    turn = foreign.said("assistant", Text("a"), Text(""), Text("b"))
    (_, answer, _) = said(ASK, turn, ASK)
    assert [part["text"] for part in answer["content"]] == ["a", "b"]
    assert said(ASK, foreign.said("assistant", Text("")), ASK) == said(ASK, ASK)


@case(1, 27)
def test_calls_and_results_are_items_in_the_order_of_the_calls():
    both = foreign.said(
        "user", ToolResult("b", (Text("2"),)), ToolResult("a", (Text("1"),)), Text("and?")
    )
    items = said(ASK, foreign.called("a", "b"), both)
    assert [item.get("type", item.get("role")) for item in items] == [
        "user",
        "function_call",
        "function_call",
        "function_call_output",
        "function_call_output",
        "user",
    ]
    assert [item["call_id"] for item in items[1:5]] == ["a", "b", "a", "b"]


@case(36)
def test_a_result_without_its_call_is_refused():
    with pytest.raises(InvalidRequest, match="answers no tool call"):
        said(ASK, foreign.answered("x"))


@case(31, 32)
def test_a_result_may_be_an_error_or_an_image():
    image = Blob("image", "image/png", PNG)
    failed = foreign.said("user", ToolResult("a", (image,), is_error=True))
    output = said(ASK, foreign.called("a"), failed)[2]["output"]
    assert output[0] == {"type": "input_text", "text": message_encode.ERROR_PREFIX}
    assert output[1]["type"] == "input_image"
    failed = foreign.said("user", ToolResult("a", (Text("no"),), is_error=True))
    assert said(ASK, foreign.called("a"), failed)[2]["output"] == "Error: no"


@case(20)
def test_a_call_without_arguments_has_empty_ones():
    assert said(ASK, foreign.called("a", arguments=""), foreign.answered("a"))[1]["arguments"] == (
        "{}"
    )


def test_a_custom_call_and_its_result_are_of_that_kind():
    call = foreign.said("assistant", ToolCall("a", "f", "x", custom=True))
    items = said(ASK, call, foreign.answered("a"))
    assert [item.get("type") for item in items[1:]] == [
        "custom_tool_call",
        "custom_tool_call_output",
    ]


@case(58, 66)
def test_only_what_was_encrypted_here_goes_back():
    own = Reasoning("t", "rs_1:enc", origin=NAME)
    nameless = Reasoning("", ":enc", origin=NAME)
    others = (Reasoning("t", "s", origin="anthropic.messages"), Reasoning("t", origin=NAME))
    request = foreign.request(ASK, foreign.said("assistant", own, nameless, *others), ASK)
    items = encoded(request)["input"]
    assert [item.get("id") for item in items[1:3]] == ["rs_1", None]
    assert [item["encrypted_content"] for item in items[1:3]] == ["enc", "enc"]
    assert len(items) == 4
    assert lost(request) == [
        ("/messages/1/parts/2", "tuning"),
        ("/messages/1/parts/3", "tuning"),
    ]


@case(5)
def test_the_system_goes_by_the_name_that_the_model_wants():
    turn = foreign.plain("system", "s")
    late = (ASK, turn, ASK)
    assert said(*late)[1]["role"] == "system"
    assert said(*late, profile=Profile(developer_role=True))[1]["role"] == "developer"


@case(12, 63)
def test_names_and_markers_are_lost():
    named = Message("user", (Text("a"),), name="ann")
    marked = foreign.said("user", Text("b", cache_control=CacheControl()))
    assert lost(foreign.request(named, marked)) == [
        ("/messages/0/name", "tuning"),
        ("/messages/1/parts/0/cache_control", "tuning"),
    ]


def test_media_in_the_assistants_mouth_are_a_loss_of_content():
    turn = foreign.said("assistant", Text("a"), Blob("image", "image/png", PNG))
    assert lost(foreign.request(ASK, turn, ASK)) == [("/messages/1/parts/1", "content")]
