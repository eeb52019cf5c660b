import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import CacheControl, Extra, Text
from modelmux.ir.request import (
    GenericTool,
    Message,
    ReasoningOptions,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from modelmux.wire.openai_chat import request_decode
from modelmux.wire.openai_chat.schema import NAME
from tests.support.cases import case
from tests.unit.wire.openai_chat.chat import body, request, user


def refused(raw: bytes) -> InvalidRequest:
    with pytest.raises(InvalidRequest) as caught:
        request_decode.decode(raw)
    assert caught.value.message
    return caught.value


def test_the_least_request_has_defaults_for_all_the_rest() -> None:
    messages = (Message("user", (Text("hi"),), bare=True),)
    assert request() == Request("m", messages, include_usage=False, wire=NAME)


def test_sampling_is_read() -> None:
    fields = {
        "temperature": 0.5,
        "top_p": 1,
        "top_k": 40,
        "seed": 7,
        "stop": ["a", "b"],
        "presence_penalty": -1.5,
        "frequency_penalty": 2,
        "logit_bias": {"1": -100},
        "logprobs": True,
        "top_logprobs": 3,
    }
    bias = Raw(b'{"1":-100}')
    expected = Sampling(0.5, 1.0, 40, 7, ("a", "b"), -1.5, 2.0, bias, logprobs=True, top_logprobs=3)
    assert request(**fields).sampling == expected


@case(48)
def test_one_stop_string_is_a_list_of_one() -> None:
    given = request(stop="END")
    assert given.sampling.stop == ("END",)
    assert given.spelling == {"stop"}


@case(53)
def test_nulls_say_nothing() -> None:
    names = [field.name for field in msgspec.structs.fields(request_decode.schema.FullRequest)]
    nulls = dict.fromkeys(set(names) - {"model", "messages"})
    assert request(**nulls, unknown=None) == request()


@case(44)
@pytest.mark.parametrize(
    ("fields", "limit", "spelling"),
    [
        ({"max_tokens": 5}, 5, {"max_tokens"}),
        ({"max_completion_tokens": 6}, 6, set()),
        ({"max_tokens": 5, "max_completion_tokens": 6}, 6, set()),
    ],
)
def test_of_two_limits_the_newer_wins(
    fields: dict[str, int], limit: int, spelling: set[str]
) -> None:
    given = request(**fields)
    assert (given.max_tokens, given.spelling, given.extra) == (limit, spelling, None)


def test_what_is_asked_for_beside_the_answer_is_read() -> None:
    given = request(
        n=2,
        stream=True,
        stream_options={"include_usage": True},
        user="u",
        metadata={"a": "b"},
        parallel_tool_calls=False,
    )
    assert (given.choices, given.stream, given.include_usage) == (2, True, True)
    assert (given.user, given.metadata, given.parallel_tool_calls) == ("u", {"a": "b"}, False)


@case(34, 64)
def test_a_tool_keeps_its_schema_as_the_bytes_that_came() -> None:
    raw = b'{ "type":"object", "b":1,"a":2 }'
    tools = (
        b'[{"type":"function","function":{"name":"f","description":"d","strict":true,"parameters":'
    )
    given = body()[:-1] + b',"tools":' + tools + raw + b"}}]}"
    (tool,) = request_decode.decode(given).tools
    assert tool == Tool("f", "d", Raw(raw), strict=True)


def test_a_tool_may_leave_out_its_type() -> None:
    assert request(tools=[{"function": {"name": "f"}}]).tools == (Tool("f"),)


@case(63)
def test_a_tool_may_be_marked_and_have_unknown_fields() -> None:
    given = {
        "type": "function",
        "function": {"name": "f", "x": 1},
        "cache_control": {"type": "ephemeral"},
        "y": 2,
    }
    kept = Extra(NAME, {"/function/x": Raw(b"1"), "/y": Raw(b"2")}, "/tools/0")
    assert request(tools=[given]).tools == (Tool("f", cache_control=CacheControl(), extra=kept),)


@pytest.mark.parametrize(
    ("tool", "name"),
    [
        ({"type": "custom", "custom": {"name": "sh", "format": {"type": "text"}}}, "sh"),
        ({"type": "web_search", "search": {"depth": 2}}, "web_search"),
    ],
)
def test_a_tool_of_another_kind_is_kept_whole(tool: dict[str, object], name: str) -> None:
    raw = Raw(msgspec.json.encode(tool))
    assert request(tools=[{"function": {"name": "f"}}, tool]).tools[1] == GenericTool(
        str(tool["type"]), name, NAME, raw
    )


@case(35)
def test_no_tools_are_none() -> None:
    assert request(tools=[]).tools == ()


def function(name: str) -> dict[str, object]:
    return {"type": "function", "function": {"name": name}}


ODD = {"type": "custom", "custom": {"name": "g"}}


@case(14)
@pytest.mark.parametrize(
    ("given", "choice"),
    [
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("required")),
        (function("f"), ToolChoice("named", ("f",))),
        ({"type": "custom", "custom": {"name": "c"}}, ToolChoice("named", ("c",))),
        (
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "required", "tools": [function("f"), function("g")]},
            },
            ToolChoice("allowed", ("f", "g"), required=True),
        ),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [ODD]}},
            ToolChoice(
                "allowed",
                ("g",),
                extra=Extra(
                    NAME,
                    {"/allowed_tools/tools": Raw(msgspec.json.encode([ODD]))},
                    "/tool_choice",
                ),
            ),
        ),
        (
            {**function("f"), "x": 1},
            ToolChoice("named", ("f",), extra=Extra(NAME, {"/x": Raw(b"1")}, "/tool_choice")),
        ),
    ],
)
def test_every_choice_among_tools_is_read(given: object, choice: ToolChoice) -> None:
    assert request(tool_choice=given).tool_choice == choice


@case(14)
def test_mistrals_word_for_required_is_understood() -> None:
    given = request(tool_choice="any")
    assert given.tool_choice == ToolChoice("required")
    assert given.spelling == {"any"}


@case(13)
@pytest.mark.parametrize(
    ("function_call", "choice"),
    [
        (None, None),
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ({"name": "f"}, ToolChoice("named", ("f",))),
    ],
)
def test_functions_are_tools_of_which_one_is_called_at_a_time(
    function_call: object, choice: ToolChoice | None
) -> None:
    given = request(functions=[{"name": "f", "parameters": {}}], function_call=function_call)
    assert given.tools == (Tool("f", parameters=Raw(b"{}")),)
    assert (given.tool_choice, given.parallel_tool_calls) == (choice, False)
    assert given.spelling == {"functions"}


@case(13)
def test_functions_beside_tools_are_kept_and_not_read() -> None:
    given = request(tools=[function("f")], functions=[{"name": "g"}], function_call="auto")
    assert given.tools == (Tool("f"),)
    assert given.spelling == frozenset()
    kept = {"/functions": Raw(b'[{"name":"g"}]'), "/function_call": Raw(b'"auto"')}
    assert given.extra == Extra(NAME, kept)


@case(39, 40)
@pytest.mark.parametrize(
    ("given", "format_"),
    [
        ({"type": "text"}, ResponseFormat("text")),
        ({"type": "json_object"}, ResponseFormat("json_object")),
        ({"type": "json_schema"}, ResponseFormat("json_schema")),
        (
            {
                "type": "json_schema",
                "json_schema": {"name": "n", "description": "d", "schema": {}, "strict": True},
            },
            ResponseFormat("json_schema", "n", "d", Raw(b"{}"), strict=True),
        ),
        (
            {"type": "json_object", "schema": {"a": 1}},
            ResponseFormat(
                "json_object", extra=Extra(NAME, {"/schema": Raw(b'{"a":1}')}, "/response_format")
            ),
        ),
    ],
)
def test_every_format_of_an_answer_is_read(given: object, format_: ResponseFormat) -> None:
    assert request(response_format=given).response_format == format_


@case(51)
@pytest.mark.parametrize(
    ("fields", "options", "spelling"),
    [
        ({"reasoning_effort": "high"}, ReasoningOptions(effort="high"), set()),
        ({"reasoning_effort": "none"}, ReasoningOptions("disabled", "none"), set()),
        (
            {"reasoning": {"effort": "low", "max_tokens": 9, "enabled": True}},
            ReasoningOptions("enabled", "low", 9),
            {"reasoning"},
        ),
        ({"reasoning": {"enabled": False}}, ReasoningOptions("disabled"), {"reasoning"}),
        (
            {"reasoning": {"exclude": True}},
            ReasoningOptions(extra=Extra(NAME, {"/exclude": Raw(b"true")}, "/reasoning")),
            {"reasoning"},
        ),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 9}, "reasoning_effort": "max"},
            ReasoningOptions("enabled", "max", 9),
            {"thinking"},
        ),
    ],
)
def test_thinking_is_asked_for_in_many_ways(
    fields: dict[str, object], options: ReasoningOptions, spelling: set[str]
) -> None:
    given = request(**fields)
    assert (given.reasoning, given.spelling, given.extra) == (options, spelling, None)


def test_of_several_ways_to_ask_for_thinking_one_counts() -> None:
    given = request(
        reasoning={"effort": "low"}, reasoning_effort="high", thinking={"type": "disabled"}
    )
    assert given.reasoning == ReasoningOptions(effort="low")
    kept = {"/reasoning_effort": Raw(b'"high"'), "/thinking": Raw(b'{"type":"disabled"}')}
    assert given.extra == Extra(NAME, kept)


@case(54)
@pytest.mark.parametrize(
    ("name", "value", "is_content"),
    [
        ("store", True, False),
        ("service_tier", "flex", False),
        ("prompt_cache_key", "k", False),
        ("prompt_cache_options", {"mode": "explicit"}, False),
        ("prompt_cache_retention", "24h", False),
        ("safety_identifier", "h", False),
        ("verbosity", "low", False),
        ("prediction", {"type": "content", "content": "x"}, False),
        ("modalities", ["text"], False),
        ("modalities", ["text", "audio"], True),
        ("audio", {"voice": "alloy", "format": "wav"}, True),
        ("web_search_options", {}, True),
        ("moderation", {"model": "omni-moderation-latest"}, True),
        ("future", 1, False),
    ],
)
def test_what_only_this_wire_understands_is_kept(
    name: str, value: object, is_content: bool
) -> None:
    given = request(**{name: value}).extra
    assert given is not None
    assert given.fields == {f"/{name}": Raw(msgspec.json.encode(value))}
    assert given.content == ({f"/{name}"} if is_content else frozenset())


def test_options_of_a_stream_are_kept_but_for_usage() -> None:
    options = {"include_usage": False, "include_obfuscation": True, "x": 1}
    given = request(stream=True, stream_options=options)
    kept = {"/stream_options/x": Raw(b"1"), "/stream_options/include_obfuscation": Raw(b"true")}
    assert given.extra == Extra(NAME, kept)
    assert not given.include_usage


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b'{"model":"m"}', "messages"),
        (b'{"messages":[]}', "model"),
        (b'{"model":"m","messages":[]}', "messages"),
        (body(temperature="hot"), "temperature"),
        (body(max_tokens=1.5), "max_tokens"),
        (body(metadata={"a": 1}), "metadata[...]"),
        (body(tools=[{"type": "function"}]), "tools[0].function"),
        (body(tools=[{"type": "function", "function": {}}]), "tools[0].function.name"),
        (body(tools=[{"type": "custom", "custom": 5}]), "tools[0].custom"),
        (body(tool_choice="perhaps"), "tool_choice"),
        (body(tool_choice={"type": "function"}), "tool_choice"),
        (body(functions=[{"name": "f"}], function_call="perhaps"), "function_call"),
        (
            body(
                tool_choice={
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "auto", "tools": [5]},
                }
            ),
            "tool_choice.allowed_tools.tools",
        ),
        (body(response_format={"type": "grammar"}), "response_format.type"),
        (body(thinking={"type": "perhaps"}), "thinking.type"),
        (b"[]", None),
        (b"", None),
        (b"{", None),
    ],
)
def test_what_is_no_request_is_refused_with_the_field(raw: bytes, param: str | None) -> None:
    assert refused(raw).param == param


@case(114)
@pytest.mark.parametrize(
    "raw",
    [
        body()[:-1] + b',"x":"\\ud800"}',
        body(user("\x00"))[:-1] + b',"user":"\\ud83d"}',
        body()[:-1] + b',"temperature":NaN}',
        body()[:-1] + b',"temperature":1e999}',
        body()[:-1] + b',"x":"\xff"}',
        body()[:-1] + b',"tools":[{"function":{"name":"f","parameters":{"a":"\xed\xa0\x80"}}}]}',
        b'{"model":"m","messages":' + b"[" * 100_000,
    ],
)
def test_json_that_means_nothing_is_refused_and_is_no_crash(raw: bytes) -> None:
    refused(raw)


@case(114)
def test_of_a_key_that_comes_twice_the_last_counts() -> None:
    given = body(temperature=1)[:-1] + b',"temperature":2}'
    assert request_decode.decode(given).sampling.temperature == 2


@case(114)
def test_a_number_of_any_size_is_kept_where_nobody_reads_it() -> None:
    given = body()[:-1] + b',"x":123456789012345678901234567890}'
    decoded = request_decode.decode(given)
    assert decoded.extra == Extra(NAME, {"/x": Raw(b"123456789012345678901234567890")})
