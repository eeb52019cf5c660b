import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import (
    Blob,
    File,
    Generic,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
)
from modelmux.ir.request import (
    Encoded,
    GenericTool,
    Loss,
    Message,
    ReasoningOptions,
    Request,
    ResponseFormat,
    Tool,
    ToolChoice,
)
from modelmux.wire.anthropic_messages import native, request_decode
from modelmux.wire.anthropic_messages.schema import NAME
from tests.support.cases import case

MINIMAL = Request("m", (Message("user", (Text("hi"),), bare=True),), max_tokens=9, wire=NAME)
BODY = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def body(encoded: Encoded) -> dict[str, object]:
    return msgspec.json.decode(encoded.body)


def again(value: dict[str, object]) -> object:
    encoded = native.encode(request_decode.decode(msgspec.json.encode(value)))
    assert encoded.losses == ()
    return body(encoded)


@case(6, 9, 10, 36)
@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "assistant", "content": "first"}],
        [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}],
        [{"role": "user", "content": ""}, {"role": "assistant", "content": "ends in blank "}],
        [{"role": "user", "content": [{"type": "text", "text": " "}]}],
        [{"role": "user", "content": []}],
        [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "first"},
                    {"type": "tool_result", "tool_use_id": "orphan"},
                ],
            }
        ],
        [
            {
                "role": "assistant",
                "content": [{"type": "thinking", "thinking": "t", "signature": ""}],
            }
        ],
    ],
)
def test_what_the_caller_wrote_is_not_cleaned_up(messages):
    value = {**BODY, "messages": messages}
    assert again(value) == value


@case(63)
@pytest.mark.parametrize(
    "system", ["", "s", [], [{"type": "text", "text": "s", "cache_control": {"type": "ephemeral"}}]]
)
def test_system_prompts_keep_their_form(system):
    value = {**BODY, "system": system}
    assert again(value) == value


@case(4)
@pytest.mark.parametrize(
    "value",
    [
        {**BODY, "messages": [{"role": "system", "content": "s"}]},
        {**BODY, "system": "a", "messages": [{"role": "system", "content": "b"}]},
        {
            **BODY,
            "messages": [{"role": "user", "content": "u"}, {"role": "system", "content": "s"}],
        },
    ],
)
def test_system_turns_stay_where_they_were(value):
    assert again(value) == value


@case(53)
def test_nulls_are_left_out():
    assert again({**BODY, "system": None, "top_k": None, "tools": None}) == BODY


@case(35)
def test_an_empty_list_of_tools_is_left_out():
    assert again({**BODY, "tools": []}) == BODY


@case(64)
def test_schemas_keep_every_byte():
    schema = b'{ "type" : "object",\n "properties":{"b":{},"a":{}} }'
    text = b'{"model":"m","max_tokens":1,"messages":[],"tools":[{"name":"f","input_schema":%b}]}'
    encoded = native.encode(request_decode.decode(text % schema))
    assert schema in encoded.body


@case(33, 58)
@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (Generic("x", "other", Raw(b"{}")), "no 'x' content"),
        (ServerToolCall("i", "search", "{}", "other"), "does not run 'search'"),
        (ServerToolResult("i", "x", "other", Raw(b"{}")), "no 'x' content"),
        (Blob("audio", "audio/wav", "A"), "takes no audio"),
        (File("image", "f", "other"), "another provider"),
    ],
)
def test_what_another_hand_put_in_and_cannot_be_said_is_lost(part, reason):
    encoded = native.encode(replace(MINIMAL, messages=(Message("user", (Text("a"), part)),)))
    assert body(encoded)["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "a"}]}
    ]
    (loss,) = encoded.losses
    assert (loss.path, loss.kind) == ("/messages/0/parts/1", "content")
    assert reason in loss.reason


@case(58)
def test_another_providers_thinking_is_left_out():
    part = Reasoning("t", "s", origin="other")
    encoded = native.encode(replace(MINIMAL, messages=(Message("user", (Text("a"), part)),)))
    assert body(encoded)["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "a"}]}
    ]
    (loss,) = encoded.losses
    assert (loss.path, loss.kind) == ("/messages/0/parts/1", "tuning")


def test_losses_are_told_by_the_neutral_request():
    system = Message("system", (Text("s"),), bare=True)
    user = Message("user", (ToolResult("i", (Blob("audio", "audio/wav", "A"),)),))
    encoded = native.encode(replace(MINIMAL, messages=(system, user)))
    assert [loss.path for loss in encoded.losses] == ["/messages/1/parts/0/parts/0"]


def test_a_refusal_that_another_hand_put_in_is_a_text():
    request = replace(MINIMAL, messages=(Message("assistant", (Refusal("no"),)),))
    assert body(native.encode(request))["messages"] == [
        {"role": "assistant", "content": [{"type": "text", "text": "no"}]}
    ]


def test_a_tool_that_another_hand_put_in_and_cannot_be_said_is_lost():
    tools = (Tool("f"), GenericTool("grammar", "g", "other", Raw(b"{}")))
    encoded = native.encode(replace(MINIMAL, tools=tools))
    assert body(encoded)["tools"] == [{"name": "f", "input_schema": {"type": "object"}}]
    assert encoded.losses == (Loss("/tools/1", f"{NAME} has no tool 'g'", "content"),)


@case(20)
@pytest.mark.parametrize("call", [ToolCall("i", "f", "{"), ToolCall("i", "f", "x", custom=True)])
def test_arguments_that_are_no_object_are_refused(call):
    with pytest.raises(InvalidRequest) as caught:
        native.encode(replace(MINIMAL, messages=(Message("assistant", (call,)),)))
    assert caught.value.param == "messages[0]"


def test_a_developers_message_is_the_systems():
    developer = Message("developer", (Text("d"),), bare=True)
    encoded = body(native.encode(replace(MINIMAL, messages=(developer, *MINIMAL.messages))))
    assert encoded["system"] == "d"
    encoded = body(native.encode(replace(MINIMAL, messages=(*MINIMAL.messages, developer))))
    assert encoded["messages"] == [*BODY["messages"], {"role": "system", "content": "d"}]


@case(18)
def test_one_tool_at_a_time_needs_a_choice_to_say_so():
    request = replace(MINIMAL, tools=(Tool("f"),), parallel_tool_calls=False)
    assert body(native.encode(request))["tool_choice"] == {
        "type": "auto",
        "disable_parallel_tool_use": True,
    }
    without = replace(MINIMAL, parallel_tool_calls=False)
    assert "tool_choice" not in body(native.encode(without))


def test_what_another_hand_changed_is_said():
    request = replace(
        MINIMAL,
        stream=True,
        user="u",
        tools=(Tool("f"),),
        tool_choice=ToolChoice("named", ("f",)),
        reasoning=ReasoningOptions("enabled", "high", 2048),
        response_format=ResponseFormat("json_schema", schema=Raw(b"{}")),
    )
    assert body(native.encode(request)) == {
        **BODY,
        "stream": True,
        "metadata": {"user_id": "u"},
        "tools": [{"name": "f", "input_schema": {"type": "object"}}],
        "tool_choice": {"type": "tool", "name": "f"},
        "thinking": {"type": "enabled", "budget_tokens": 2048},
        "output_config": {"effort": "high", "format": {"type": "json_schema", "schema": {}}},
    }


def test_a_text_that_was_marked_later_is_a_block():
    request = request_decode.decode(msgspec.json.encode({**BODY, "system": "s"}))
    system, user = request.messages
    (text,) = system.parts
    assert isinstance(text, Text)
    cited = replace(system, parts=(text, Text("more")))
    assert body(native.encode(replace(request, messages=(cited, user))))["system"] == [
        {"type": "text", "text": "s"},
        {"type": "text", "text": "more"},
    ]


@pytest.mark.parametrize("field", ["metadata", "output_config"])
def test_an_object_of_unknown_fields_alone_comes_back(field):
    value = {**BODY, field: {"x": 1}}
    assert again(value) == value
