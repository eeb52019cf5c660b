from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest, Unrepresentable
from modelmux.ir.parts import Text, ToolCall, ToolResult
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import (
    Encoded,
    GenericTool,
    Message,
    Request,
    ResponseFormat,
    Tool,
    ToolChoice,
)
from modelmux.wire.bedrock_converse import request_encode
from tests.support import amazon
from tests.support.cases import case
from tests.support.goldens import Golden, goldens

WEATHER = Tool("get_weather", "The weather.", Raw(b'{"type":"object","properties":{}}'))
SCHEMA = Raw(b'{"type":"object","properties":{"city":{"type":"string"}}}')
HELLO = Message("user", (Text("hello"),))
CALLED = (
    HELLO,
    Message("assistant", (ToolCall("c1", "get_weather", "{}"),)),
    Message("user", (ToolResult("c1", (Text("rain"),)),)),
)


def encoded(*messages: Message, profile: Profile = UNKNOWN, **more: Any) -> Encoded:
    request = Request("m", messages or (HELLO,), wire="another", **more)
    found = request_encode.encode(request, profile)
    assert amazon.complaints(msgspec.json.decode(found.body)) == ""
    return found


def body(*messages: Message, profile: Profile = UNKNOWN, **more: Any) -> Mapping[str, Any]:
    return msgspec.json.decode(encoded(*messages, profile=profile, **more).body)


def paths(found: Encoded) -> list[str]:
    return [loss.path for loss in found.losses]


@pytest.mark.parametrize("golden", goldens("request.json"), ids=str)
def test_amazons_sdk_takes_what_every_other_wire_says(golden: Golden):
    request = golden.wire.decode_request(golden.read())
    if golden.wire_name == "bedrock.converse":
        return
    try:
        found = request_encode.encode(request, UNKNOWN)
    except (InvalidRequest, Unrepresentable) as exc:
        assert exc.message
        return
    assert amazon.complaints(msgspec.json.decode(found.body)) == ""


def test_neither_model_nor_stream_is_in_the_body():
    assert body(stream=True) == {"messages": [{"role": "user", "content": [{"text": "hello"}]}]}


@case(14)
@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (ToolChoice("auto"), {"auto": {}}),
        (ToolChoice("required"), {"any": {}}),
        (ToolChoice("named", ("get_weather",)), {"tool": {"name": "get_weather"}}),
        (ToolChoice("allowed", ("get_weather",), required=True), {"any": {}}),
        (ToolChoice("allowed", ("get_weather",)), {"auto": {}}),
    ],
)
def test_the_choice_among_tools_is_mapped(choice: ToolChoice, said: object):
    assert body(tools=(WEATHER,), tool_choice=choice)["toolConfig"]["toolChoice"] == said


@case(15)
def test_no_tools_means_none_are_told_unless_some_were_called():
    choice = ToolChoice("none")
    assert "toolConfig" not in body(tools=(WEATHER,), tool_choice=choice)
    found = encoded(*CALLED, tools=(WEATHER,), tool_choice=choice)
    assert "toolChoice" not in msgspec.json.decode(found.body)["toolConfig"]
    assert paths(found) == ["/tool_choice"]


@case(16)
def test_tools_that_were_called_are_told_even_if_the_request_has_them_no_more():
    tools = body(*CALLED)["toolConfig"]["tools"]
    assert [tool["toolSpec"]["name"] for tool in tools] == ["get_weather"]


@case(17)
def test_a_tool_cannot_be_forced_on_a_model_that_cannot_be():
    choice = ToolChoice("named", ("get_weather",))
    other = Tool("other")
    profile = Profile(forced_tools=False)
    found = encoded(tools=(WEATHER, other), tool_choice=choice, profile=profile)
    config = msgspec.json.decode(found.body)["toolConfig"]
    assert config["toolChoice"] == {"auto": {}}
    assert [tool["toolSpec"]["name"] for tool in config["tools"]] == ["get_weather"]
    assert paths(found) == ["/tool_choice"]


@case(18)
def test_one_call_at_a_time_cannot_be_asked_for():
    assert paths(encoded(tools=(WEATHER,), parallel_tool_calls=False)) == ["/parallel_tool_calls"]


def test_a_choice_of_a_tool_that_is_not_there_is_refused():
    with pytest.raises(InvalidRequest, match="no tool is named 'x'"):
        encoded(tools=(WEATHER,), tool_choice=ToolChoice("named", ("x",)))


@case(29)
def test_tool_names_are_made_to_fit_and_come_back():
    found = encoded(tools=(Tool("weather.get"),), tool_choice=ToolChoice("named", ("weather.get",)))
    config = msgspec.json.decode(found.body)["toolConfig"]
    assert config["toolChoice"] == {"tool": {"name": "weather_get"}}
    assert found.restore is not None
    assert found.restore.tool_names == {"weather_get": "weather.get"}


@case(33)
def test_a_tool_that_another_provider_runs_is_lost_by_name():
    tool = GenericTool("web_search_20250305", "web_search", "anthropic.messages", Raw(b"{}"))
    found = encoded(tools=(tool,))
    assert [(loss.path, loss.kind) for loss in found.losses] == [("/tools/0", "content")]


@case(34)
def test_strict_is_kept():
    tool = Tool("f", None, SCHEMA, strict=True)
    assert body(tools=(tool,))["toolConfig"]["tools"][0]["toolSpec"]["strict"] is True


@case(38)
@pytest.mark.parametrize("parameters", [None, Raw(b"{}"), Raw(b'{"properties":{}}')])
def test_every_tool_has_an_object_for_its_input(parameters: Raw | None):
    spec = body(tools=(Tool("f", None, parameters),))["toolConfig"]["tools"][0]["toolSpec"]
    assert spec["inputSchema"]["json"]["type"] == "object"


def test_parameters_that_are_no_schema_are_refused():
    with pytest.raises(InvalidRequest, match="expected a JSON Schema object"):
        encoded(tools=(Tool("f", None, Raw(b"[]")),))


@case(39)
def test_a_structured_answer_is_native_where_the_model_has_it():
    form = ResponseFormat("json_schema", "city", None, SCHEMA)
    said = body(response_format=form)["outputConfig"]["textFormat"]
    assert said["structure"]["jsonSchema"] == {"schema": bytes(SCHEMA).decode(), "name": "city"}


@case(39)
def test_a_structured_answer_is_a_forced_tool_elsewhere():
    form = ResponseFormat("json_schema", "city", None, SCHEMA)
    found = encoded(response_format=form, profile=Profile(structured_output="tool"))
    config = msgspec.json.decode(found.body)["toolConfig"]
    assert config["toolChoice"] == {"tool": {"name": "city"}}
    assert found.restore is not None
    assert found.restore.format_tool == "city"


@case(41)
def test_a_structured_answer_beside_tools_lets_the_model_choose_among_them():
    form = ResponseFormat("json_schema", "city", None, SCHEMA)
    profile = Profile(structured_output="tool")
    config = body(response_format=form, tools=(WEATHER,), profile=profile)["toolConfig"]
    assert config["toolChoice"] == {"any": {}}
    assert [tool["toolSpec"]["name"] for tool in config["tools"]] == ["get_weather", "city"]


def test_a_structured_answer_is_asked_for_in_words_where_nothing_can_be_forced():
    form = ResponseFormat("json_schema", "city", None, SCHEMA)
    profile = Profile(structured_output="tool", forced_tools=False)
    found = encoded(response_format=form, profile=profile)
    assert "JSON Schema" in msgspec.json.decode(found.body)["system"][0]["text"]
    assert found.restore is not None
    assert found.restore.fenced_json


@case(40)
def test_json_mode_is_asked_for_in_words():
    found = encoded(response_format=ResponseFormat("json_object"))
    assert "JSON object" in msgspec.json.decode(found.body)["system"][0]["text"]
    assert found.restore is not None
    assert found.restore.fenced_json


@case(49)
def test_several_answers_are_refused():
    with pytest.raises(Unrepresentable, match="gives one answer, and 2 are asked for"):
        encoded(choices=2)


def test_tools_for_a_model_that_calls_none_are_content():
    found = encoded(tools=(WEATHER,), profile=Profile(tools=False))
    assert [(loss.path, loss.kind) for loss in found.losses] == [("/tools", "content")]


def test_the_systems_words_are_in_a_place_of_their_own():
    system = Message("system", (Text("be kind"),))
    assert body(system, HELLO)["system"] == [{"text": "be kind"}]
