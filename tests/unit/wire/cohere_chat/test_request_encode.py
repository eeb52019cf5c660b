from typing import Any

import cohere
import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest, Unrepresentable
from modelmux.ir.parts import CacheControl, Text
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import (
    Encoded,
    GenericTool,
    Message,
    ReasoningOptions,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from modelmux.wire.cohere_chat import request_encode
from tests.support.cases import case
from tests.support.goldens import Golden, goldens

HELLO = Message("user", (Text("Hi"),))
OBJECT = Raw(b'{"type":"object","properties":{}}')
WEATHER, TIME = Tool("weather", "The weather.", OBJECT), Tool("time")
SCHEMA = Raw(b'{"type":"object","properties":{"a":{"type":"string"}}}')


def encoded(profile: Profile = UNKNOWN, **more: Any) -> Encoded:
    return request_encode.encode(Request("m", (HELLO,), wire="another", **more), profile)


def body(profile: Profile = UNKNOWN, **more: Any) -> dict[str, Any]:
    found = msgspec.json.decode(encoded(profile, **more).body)
    assert isinstance(found, dict)
    return found


def lost(profile: Profile = UNKNOWN, **more: Any) -> list[str]:
    """Paths of losses, content marked by !."""
    losses = encoded(profile, **more).losses
    return [loss.path + "!" * (loss.kind == "content") for loss in losses]


@pytest.mark.parametrize("golden", goldens("request.json"), ids=str)
def test_coheres_sdk_has_a_word_for_all_that_every_request_becomes(golden: Golden):
    request = golden.wire.decode_request(golden.read())
    try:
        found = msgspec.json.decode(request_encode.encode(request, UNKNOWN).body)
    except (InvalidRequest, Unrepresentable):
        return
    if golden.wire_name != "cohere.chat":
        known = set(cohere.ClientV2.chat.__annotations__) | {"stream"}
        assert set(found) <= known
    assert found["messages"]
    assert all(m["role"] != "tool" or m["tool_call_id"] for m in found["messages"])


def test_the_least():
    assert body() == {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
    assert body(stream=True)["stream"] is True


def test_sampling_has_names_of_its_own():
    sampling = Sampling(0.5, 0.9, 40, 7, ("END",), 0.1, 0.2)
    assert body(max_tokens=9, sampling=sampling) == body() | {
        "max_tokens": 9,
        "temperature": 0.5,
        "p": 0.9,
        "k": 40,
        "seed": 7,
        "stop_sequences": ["END"],
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
    }
    assert "logprobs" not in body(sampling=Sampling(logprobs=False))


@case(47)
def test_what_is_out_of_range_is_brought_into_it():
    sampling = Sampling(1.5, stop=tuple("abcdef"), presence_penalty=-1.0, frequency_penalty=2.0)
    found = body(Profile(max_output_tokens=5), max_tokens=9, sampling=sampling)
    assert (found["max_tokens"], found["temperature"]) == (5, 1)
    assert (found["presence_penalty"], found["frequency_penalty"]) == (0, 1)
    assert found["stop_sequences"] == list("abcde")
    assert lost(Profile(max_output_tokens=5), max_tokens=9, sampling=sampling) == [
        "/max_tokens",
        "/sampling/stop",
        "/sampling/presence_penalty",
        "/sampling/frequency_penalty",
        "/sampling/temperature",
    ]


@case(50)
def test_what_there_is_no_word_for():
    sampling = Sampling(logit_bias=Raw(b'{"1":2}'), top_logprobs=2)
    assert lost(
        sampling=sampling,
        user="u",
        metadata={"a": "b"},
        parallel_tool_calls=False,
        tools=(WEATHER,),
    ) == [
        "/sampling/logit_bias",
        "/sampling/top_logprobs",
        "/user",
        "/metadata/a",
        "/parallel_tool_calls",
    ]
    assert lost(parallel_tool_calls=False, sampling=Sampling(logit_bias=Raw(b"{}"))) == []


def test_several_answers_are_refused():
    with pytest.raises(Unrepresentable, match="gives one answer"):
        encoded(choices=2)


@case(51)
@pytest.mark.parametrize(
    ("options", "said", "losses"),
    [
        (ReasoningOptions(), None, []),
        (ReasoningOptions("disabled"), {"type": "disabled"}, []),
        (ReasoningOptions(None, "none"), {"type": "disabled"}, []),
        (ReasoningOptions("enabled", None, 99), {"type": "enabled", "token_budget": 99}, []),
        (ReasoningOptions("enabled"), {"type": "enabled"}, []),
        (
            ReasoningOptions(None, "low"),
            {"type": "enabled", "token_budget": 2048},
            ["/reasoning/effort"],
        ),
    ],
)
def test_thinking_is_told_as_a_budget(
    options: ReasoningOptions, said: dict[str, Any] | None, losses: list[str]
):
    assert body(reasoning=options).get("thinking") == said
    assert lost(reasoning=options) == losses


def test_models_that_do_not_think_are_not_told_to():
    profile = Profile(reasoning="none")
    assert "thinking" not in body(profile, reasoning=ReasoningOptions("enabled"))
    assert lost(profile, reasoning=ReasoningOptions("enabled")) == ["/reasoning"]
    assert lost(profile, reasoning=ReasoningOptions("disabled")) == []


def test_forms_of_the_answer():
    form = ResponseFormat("json_schema", schema=SCHEMA)
    assert body(response_format=ResponseFormat("text")) == body()
    assert body(response_format=ResponseFormat("json_object"))["response_format"] == {
        "type": "json_object"
    }
    assert body(response_format=form)["response_format"] == {
        "type": "json_object",
        "json_schema": msgspec.json.decode(SCHEMA),
    }


@case(41, 42)
def test_beside_tools_a_form_is_asked_for_in_words():
    for form in (ResponseFormat("json_object"), ResponseFormat("json_schema", schema=SCHEMA)):
        found = encoded(tools=(WEATHER,), response_format=form)
        said = msgspec.json.decode(found.body)
        assert "response_format" not in said
        assert said["messages"][0]["role"] == "system"
        assert said["messages"][0]["content"].startswith(request_encode.JSON_ONLY)
        assert found.restore is not None
        assert found.restore.fenced_json
    bad = ResponseFormat("json_schema", schema=Raw(b'"\xff"'))
    with pytest.raises(InvalidRequest, match="schema"):
        encoded(tools=(WEATHER,), response_format=bad)


def test_tools_have_a_schema():
    assert body(tools=(WEATHER, TIME))["tools"] == [
        {
            "type": "function",
            "function": {
                "name": "weather",
                "description": "The weather.",
                "parameters": {"type": "object", "properties": {}},
            },
        },
        {
            "type": "function",
            "function": {"name": "time", "parameters": {"type": "object", "properties": {}}},
        },
    ]
    untyped = Tool("f", parameters=Raw(b'{"properties":{}}'))
    (tool,) = body(tools=(untyped,))["tools"]
    assert tool["function"]["parameters"] == {"type": "object", "properties": {}}
    with pytest.raises(InvalidRequest, match=r"tools\[0\].parameters"):
        encoded(tools=(Tool("f", parameters=Raw(b"1")),))


@case(29)
def test_names_of_tools_are_made_to_fit():
    found = encoded(tools=(Tool("my.tool"),))
    (tool,) = msgspec.json.decode(found.body)["tools"]
    assert tool["function"]["name"] != "my.tool"
    assert found.restore is not None


def test_all_tools_are_strict_or_none():
    strict = Tool("weather", None, OBJECT, strict=True)
    assert body(tools=(strict,))["strict_tools"] is True
    assert "strict_tools" not in body(tools=(strict, TIME))
    assert lost(tools=(strict, TIME)) == ["/tools/strict"]


@case(14)
@pytest.mark.parametrize(
    ("choice", "word", "offered"),
    [
        (None, None, ["weather", "time"]),
        (ToolChoice("auto"), None, ["weather", "time"]),
        (ToolChoice("none"), "NONE", ["weather", "time"]),
        (ToolChoice("required"), "REQUIRED", ["weather", "time"]),
        (ToolChoice("named", ("time",)), "REQUIRED", ["time"]),
        (ToolChoice("allowed", ("time",)), None, ["time"]),
        (ToolChoice("allowed", ("time",), required=True), "REQUIRED", ["time"]),
    ],
)
def test_the_choice_among_tools(choice: ToolChoice | None, word: str | None, offered: list[str]):
    found = body(tools=(WEATHER, TIME), tool_choice=choice)
    assert found.get("tool_choice") == word
    assert [tool["function"]["name"] for tool in found["tools"]] == offered


def test_a_tool_that_there_is_not_cannot_be_chosen():
    with pytest.raises(InvalidRequest, match="no tool is named 'x'"):
        encoded(tools=(WEATHER,), tool_choice=ToolChoice("named", ("x",)))
    assert "tool_choice" not in body(tool_choice=ToolChoice("required"))


def test_tools_that_cannot_be_told():
    server = GenericTool("web_search", "web_search", "another", Raw(b"{}"))
    assert lost(tools=(server,), tool_choice=ToolChoice("required")) == ["/tools/0!"]
    assert "tool_choice" not in body(tools=(server,), tool_choice=ToolChoice("required"))
    marked = Tool("f", cache_control=CacheControl())
    assert lost(tools=(marked,)) == ["/tools/0/cache_control"]
    blind = Profile(tools=False)
    assert lost(blind, tools=(WEATHER,)) == ["/tools!"]
    assert "tools" not in body(blind, tools=(WEATHER,))
