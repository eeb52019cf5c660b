import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import CacheControl, Extra, Text
from modelmux.ir.request import (
    Envelope,
    GenericTool,
    Message,
    ReasoningOptions,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from modelmux.wire.anthropic_messages import request_decode
from modelmux.wire.anthropic_messages.schema import NAME
from tests.support.cases import case

MINIMAL = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "hi"}]}


def decode(**fields: object) -> Request:
    return request_decode.decode(msgspec.json.encode({**MINIMAL, **fields}))


def kept(request: Request) -> dict[str, bytes]:
    assert request.extra is not None
    return {pointer: bytes(raw) for pointer, raw in request.extra.fields.items()}


def test_the_least_that_a_request_says():
    assert decode() == Request(
        "m", (Message("user", (Text("hi"),), bare=True),), max_tokens=9, wire=NAME
    )


def test_what_routing_needs_is_read_without_the_rest():
    assert request_decode.envelope(b'{"model":"m","stream":true,"messages":7}') == Envelope(
        "m", True
    )


def test_an_envelope_is_read_from_a_valid_body_only():
    assert request_decode.envelope(b'{"model":"m","stream":null,"x":[]}') == Envelope("m")
    with pytest.raises(InvalidRequest) as caught:
        request_decode.envelope(b'{"stream":true}')
    assert caught.value.param == "model"


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"messages": [], "model": "m"}, "max_tokens"),
        ({"messages": [], "model": "m", "max_tokens": None}, "max_tokens"),
        ({"messages": [], "max_tokens": 1}, "model"),
        ({"model": "m", "max_tokens": 1}, "messages"),
        ({**MINIMAL, "max_tokens": "many"}, "max_tokens"),
        ({**MINIMAL, "temperature": "hot"}, "temperature"),
        ({**MINIMAL, "messages": [{"role": "robot", "content": ""}]}, "messages[0].role"),
        ({**MINIMAL, "messages": [{"role": "user"}]}, "messages[0].content"),
        ({**MINIMAL, "messages": [{"role": "user", "content": 1}]}, "messages[0].content"),
        (
            {**MINIMAL, "messages": [{"role": "user", "content": [{"type": "text"}]}]},
            "messages[0].content[0].text",
        ),
        ({**MINIMAL, "system": [{"type": "text"}]}, "system[0].text"),
        ({**MINIMAL, "tools": ["f"]}, "tools[0]"),
        ({**MINIMAL, "tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({**MINIMAL, "tools": [{"input_schema": {}}]}, "tools[0].name"),
        ({**MINIMAL, "tool_choice": {"type": "tool"}}, "tool_choice.name"),
        ({**MINIMAL, "tool_choice": "auto"}, "tool_choice"),
        ({**MINIMAL, "thinking": {"budget_tokens": 1}}, "thinking.type"),
        (
            {**MINIMAL, "output_config": {"format": {"type": "json_schema"}}},
            "output_config.format.schema",
        ),
        ({**MINIMAL, "metadata": {"user_id": 7}}, "metadata.user_id"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_bad_request_is_refused_in_the_callers_own_words(body, param):
    with pytest.raises(InvalidRequest) as caught:
        request_decode.decode(msgspec.json.encode(body))
    assert caught.value.param == param
    assert caught.value.message.startswith(param)


@case(114)
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"model":"\xff"}', b'{"model":"\\ud800"}', b'{"model":NaN}'],
)
def test_a_body_that_is_no_json_object_is_refused(body):
    with pytest.raises(InvalidRequest):
        request_decode.decode(body)
    with pytest.raises(InvalidRequest):
        request_decode.envelope(body)


@case(110)
def test_a_count_of_tokens_needs_no_max_tokens():
    body = msgspec.json.encode({"model": "m", "messages": []})
    assert request_decode.decode_count(body) == Request("m", (), wire=NAME)


def test_system_prompts_stand_where_the_caller_put_them():
    request = decode(
        system=[{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}],
        messages=[
            {"role": "user", "content": "b"},
            {"role": "system", "content": "c"},
        ],
    )
    assert request.messages == (
        Message("system", (Text("a", cache_control=CacheControl()),)),
        Message("user", (Text("b"),), bare=True),
        Message("system", (Text("c"),), bare=True),
    )
    assert decode(system="s").messages[0] == Message("system", (Text("s"),), bare=True)


@case(53)
def test_null_is_the_same_as_nothing():
    nothing = {
        "system": None,
        "stream": None,
        "temperature": None,
        "top_p": None,
        "top_k": None,
        "stop_sequences": None,
        "tools": None,
        "tool_choice": None,
        "thinking": None,
        "output_config": None,
        "output_format": None,
        "metadata": None,
    }
    assert decode(**nothing) == decode()


def test_sampling_and_limits():
    request = decode(
        temperature=0.5, top_p=0.9, top_k=5, stop_sequences=["a", "b"], max_tokens=0, stream=True
    )
    assert request.sampling == Sampling(0.5, 0.9, 5, stop=("a", "b"))
    assert (request.max_tokens, request.stream) == (0, True)


@case(52)
def test_the_user_is_the_metadatas():
    assert decode(metadata={"user_id": "u"}).user == "u"


@case(14, 18)
@pytest.mark.parametrize(
    ("said", "choice", "parallel"),
    [
        ({"type": "auto"}, ToolChoice("auto"), None),
        ({"type": "none"}, ToolChoice("none"), None),
        ({"type": "any"}, ToolChoice("required"), None),
        ({"type": "tool", "name": "f"}, ToolChoice("named", ("f",)), None),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice("auto"), False),
        ({"type": "any", "disable_parallel_tool_use": False}, ToolChoice("required"), True),
    ],
)
def test_the_choice_among_tools(said, choice, parallel):
    request = decode(tool_choice=said)
    assert (request.tool_choice, request.parallel_tool_calls) == (choice, parallel)


def test_tools_are_the_callers_or_the_providers():
    mine = {"name": "f", "description": "d", "input_schema": {"type": "object"}, "strict": True}
    theirs = {"type": "web_search_20260318", "name": "web_search", "max_uses": 5}
    toolset = {"type": "mcp_toolset", "mcp_server_name": "s"}
    request = decode(tools=[mine, theirs, toolset])
    assert request.tools == (
        Tool("f", "d", Raw(b'{"type":"object"}'), True),
        GenericTool("web_search_20260318", "web_search", NAME, Raw(msgspec.json.encode(theirs))),
        GenericTool("mcp_toolset", "", NAME, Raw(msgspec.json.encode(toolset))),
    )


@case(54, 63)
def test_what_a_tool_says_beyond_the_neutral_words_is_kept():
    (tool,) = decode(
        tools=[
            {
                "name": "f",
                "input_schema": {},
                "cache_control": {"type": "ephemeral", "ttl": "1h"},
                "defer_loading": True,
                "input_examples": [{}],
            }
        ]
    ).tools
    assert isinstance(tool, Tool)
    assert tool.cache_control == CacheControl("1h")
    assert tool.extra == Extra(
        NAME,
        {"/defer_loading": Raw(b"true"), "/input_examples": Raw(b"[{}]")},
        "/tools/0",
        frozenset({"/input_examples"}),
    )


@case(45, 51)
@pytest.mark.parametrize(
    ("thinking", "config", "expected"),
    [
        ({"type": "enabled", "budget_tokens": 2000}, None, ReasoningOptions("enabled", None, 2000)),
        ({"type": "disabled"}, None, ReasoningOptions("disabled")),
        ({"type": "adaptive"}, {"effort": "max"}, ReasoningOptions("adaptive", "max")),
        (None, {"effort": "low"}, ReasoningOptions(None, "low")),
        (None, {}, None),
    ],
)
def test_thinking(thinking, config, expected):
    assert decode(thinking=thinking, output_config=config).reasoning == expected


@case(39)
@pytest.mark.parametrize("place", ["output_config", "output_format"])
def test_the_form_of_the_answer(place):
    form = {"type": "json_schema", "schema": {"type": "object"}}
    request = decode(**{place: {"format": form} if place == "output_config" else form})
    assert request.response_format == ResponseFormat(
        "json_schema", schema=Raw(b'{"type":"object"}')
    )


@case(39)
def test_of_two_forms_of_the_answer_the_newer_counts():
    older, newer = ({"type": "json_schema", "schema": {"title": name}} for name in ("a", "b"))
    request = decode(output_format=older, output_config={"format": newer})
    assert request.response_format == ResponseFormat("json_schema", schema=Raw(b'{"title":"b"}'))
    assert kept(request) == {"/output_format": msgspec.json.encode(older)}


@case(54)
def test_unknown_fields_are_kept_by_where_they_were():
    request = decode(
        service_tier="auto",
        messages=[{"role": "user", "content": "hi", "x": 1}, {"role": "user", "content": []}],
        metadata={"user_id": "u", "y": 2},
        tool_choice={"type": "auto", "z": 3},
        thinking={"type": "adaptive", "display": "omitted"},
        output_config={"task_budget": {"total": 4}, "format": {"type": "x-json", "v": 5}},
    )
    assert kept(request) == {
        "/service_tier": b'"auto"',
        "/metadata/y": b"2",
        "/tool_choice/z": b"3",
        "/thinking/display": b'"omitted"',
        "/output_config/task_budget": b'{"total":4}',
        "/output_config/format": b'{"type":"x-json","v":5}',
        "/output_config/format/v": b"5",
    }
    assert request.messages[0].extra == Extra(NAME, {"/x": Raw(b"1")}, "/messages/0")
    assert request.messages[1].extra is None


@case(54)
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("thinking", {"type": "between_tools"}),
        ("tool_choice", {"type": "of a later version"}),
        ("output_format", {"type": "of a later version"}),
    ],
)
def test_what_has_no_neutral_word_is_kept_whole(field, value):
    request = decode(**{field: value})
    assert kept(request) == {f"/{field}": msgspec.json.encode(value)}
    assert (request.reasoning, request.tool_choice, request.response_format) == (None, None, None)


@case(54)
def test_fields_that_say_something_to_the_model_are_told_apart_from_tuning():
    request = decode(container="c", mcp_servers=[], thread={}, service_tier="auto", speed="fast")
    assert request.extra is not None
    assert request.extra.content == {"/container", "/mcp_servers", "/thread"}


def test_spellings_that_mean_nothing_are_remembered():
    request = decode(
        stream=False,
        messages=[{"role": "system", "content": "s"}],
        tools=[
            {"name": "f", "input_schema": {}},
            {"type": "custom", "name": "g", "input_schema": {}},
        ],
        output_format={"type": "json_schema", "schema": {}},
    )
    assert request.spelling == {"/stream", "/messages/0", "/tools/1/type", "/output_format"}
