import msgspec
import pytest
from msgspec import Raw, Struct
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Blob, Extra, Generic, Text, Uri
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import (
    Message,
    ReasoningOptions,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from modelmux.ir.restore import Restore
from modelmux.wire.openai_chat import request_encode
from modelmux.wire.openai_chat.schema import NAME
from tests.support import foreign
from tests.support.cases import case
from tests.support.foreign import plain
from tests.unit.wire.openai_chat.chat import again, paths, request

REQUEST = foreign.request(foreign.user())


class Said(Struct):
    body: dict[str, object]
    losses: list[tuple[str, str]]
    restore: Restore | None


def said(profile: Profile = UNKNOWN, request: Request = REQUEST, **fields: object) -> Said:
    result = request_encode.encode(replace(request, **fields), profile)
    return Said(msgspec.json.decode(result.body), paths(result), result.restore)


def test_the_least_request_says_the_least() -> None:
    out = said()
    assert out.body == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert out.losses == []
    assert out.restore is None


@case(8)
def test_a_system_message_alone_is_a_request_here() -> None:
    out = said(request=foreign.request(plain("system", "x")))
    assert out.body["messages"] == [{"role": "system", "content": "x"}]


def test_sampling_is_said() -> None:
    sampling = Sampling(
        0.5, 0.9, seed=7, presence_penalty=0.1, frequency_penalty=0.2, logprobs=True, top_logprobs=3
    )
    out = said(sampling=sampling)
    expected = {
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 7,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "logprobs": True,
        "top_logprobs": 3,
    }
    assert {name: out.body.get(name) for name in expected} == expected
    assert out.losses == []


@case(47)
def test_a_temperature_of_two_is_in_range_here() -> None:
    assert said(sampling=Sampling(2.0)).body["temperature"] == 2.0


@case(50)
def test_sampling_that_only_another_wire_understands_is_lost() -> None:
    out = said(sampling=Sampling(top_k=40, logit_bias=Raw(b"{}")))
    assert out.losses == [("/sampling/top_k", "tuning"), ("/sampling/logit_bias", "tuning")]
    assert out.body.keys() == {"model", "messages"}


@case(48)
def test_more_stop_sequences_than_the_api_takes_are_lost() -> None:
    out = said(sampling=Sampling(stop=("a", "b", "c", "d", "e")))
    assert out.body["stop"] == ["a", "b", "c", "d"]
    assert out.losses == [("/sampling/stop/4", "tuning")]


@case(50)
def test_what_a_model_refuses_is_left_out() -> None:
    profile = Profile(refuses=frozenset({"temperature", "stop", "seed"}))
    out = said(profile, sampling=Sampling(1, 0.5, stop=("a",)))
    assert out.losses == [("/sampling/temperature", "tuning"), ("/sampling/stop", "tuning")]
    assert out.body["top_p"] == 0.5


@case(47)
def test_a_model_that_takes_one_of_two_gets_the_temperature() -> None:
    profile = Profile(temperature_or_top_p=True)
    out = said(profile, sampling=Sampling(1.0, 0.5))
    assert (out.body["temperature"], out.losses) == (1.0, [("/sampling/top_p", "tuning")])
    assert said(profile, sampling=Sampling(None, 0.5)).body["top_p"] == 0.5


@case(44)
@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
def test_a_limit_goes_in_the_field_that_the_model_takes(field: str) -> None:
    assert said(Profile(max_tokens_field=field), max_tokens=9).body[field] == 9


@case(44)
def test_the_callers_own_field_is_kept_unless_the_model_refuses_it() -> None:
    assert again(max_tokens=9)["max_tokens"] == 9
    strict = Profile(max_tokens_field="max_tokens")
    assert said(strict, request(max_completion_tokens=9)).body["max_tokens"] == 9


def test_a_limit_above_the_models_own_is_lowered() -> None:
    out = said(Profile(max_output_tokens=100), max_tokens=500)
    assert (out.body["max_completion_tokens"], out.losses) == (100, [("/max_tokens", "tuning")])
    assert said(Profile(max_output_tokens=100), request(max_tokens=500)).losses == []


@case(43)
def test_without_a_limit_none_is_made_up() -> None:
    assert "max_completion_tokens" not in said(Profile(max_output_tokens=100)).body


@case(79)
def test_a_stream_is_asked_for_usage_where_the_server_knows_the_word() -> None:
    out = said(stream=True, include_usage=False).body
    assert (out["stream"], out["stream_options"]) == (True, {"include_usage": True})
    assert "stream_options" not in said(Profile(stream_usage=False), stream=True).body
    assert again(stream=True)["stream_options"] == {"include_usage": True}


@case(52)
def test_the_user_is_said_and_other_metadata_is_not() -> None:
    out = said(user="u1", metadata={"a": "b"})
    assert out.body["user"] == "u1"
    assert "metadata" not in out.body
    assert out.losses == [("/metadata", "tuning")]


@case(49)
def test_several_choices_for_a_wire_that_has_one_are_a_loss_of_content() -> None:
    out = said(choices=2)
    assert "n" not in out.body
    assert out.losses == [("/choices", "content")]
    assert again(n=2)["n"] == 2


@case(10)
def test_an_answer_that_was_begun_is_refused_where_the_model_does_not_go_on() -> None:
    begun = foreign.request(foreign.user(), plain("assistant", "Once upon "))
    assert said(request=begun).body["messages"][1]["content"] == "Once upon "
    with pytest.raises(InvalidRequest, match="does not continue"):
        request_encode.encode(begun, Profile(prefill=False))


def test_a_request_without_messages_is_refused() -> None:
    with pytest.raises(InvalidRequest):
        request_encode.encode(foreign.request())


@case(51)
@pytest.mark.parametrize(
    ("options", "profile", "effort", "losses"),
    [
        (ReasoningOptions(effort="xhigh"), UNKNOWN, "xhigh", []),
        (ReasoningOptions("adaptive", "low"), UNKNOWN, "low", []),
        (ReasoningOptions("adaptive"), UNKNOWN, None, []),
        (ReasoningOptions("enabled"), UNKNOWN, "medium", []),
        (
            ReasoningOptions("enabled", budget_tokens=1024),
            UNKNOWN,
            "low",
            ["/reasoning/budget_tokens"],
        ),
        (
            ReasoningOptions("enabled", budget_tokens=8192),
            UNKNOWN,
            "medium",
            ["/reasoning/budget_tokens"],
        ),
        (
            ReasoningOptions("enabled", budget_tokens=32000),
            UNKNOWN,
            "high",
            ["/reasoning/budget_tokens"],
        ),
        (ReasoningOptions("disabled"), UNKNOWN, None, ["/reasoning/mode"]),
        (ReasoningOptions("disabled"), Profile(reasoning="effort"), "none", []),
        (ReasoningOptions("disabled"), Profile(reasoning="none"), None, []),
        (
            ReasoningOptions("enabled", budget_tokens=1024),
            Profile(reasoning="none"),
            None,
            ["/reasoning"],
        ),
        (
            ReasoningOptions(effort="low", extra=Extra("other", {"/x": Raw(b"1")}, "/thinking")),
            UNKNOWN,
            "low",
            ["/thinking/x"],
        ),
    ],
)
def test_thinking_is_said_as_an_effort(
    options: ReasoningOptions, profile: Profile, effort: str | None, losses: list[str]
) -> None:
    out = said(profile, reasoning=options)
    assert out.body.get("reasoning_effort") == effort
    assert out.losses == [(path, "tuning") for path in losses]


SCHEMA = Raw(b'{"type":"object","properties":{"a":{"type":"string"}}}')
FORMAT = ResponseFormat("json_schema", schema=SCHEMA)


@case(39)
def test_a_schema_for_the_answer_is_said() -> None:
    out = said(response_format=replace(FORMAT, strict=True)).body["response_format"]
    schema = msgspec.json.decode(SCHEMA)
    expected = {"name": "answer", "schema": schema, "strict": True}
    assert out == {"type": "json_schema", "json_schema": expected}


@case(54)
def test_fields_of_another_wires_format_are_lost() -> None:
    kept = Extra("other", {"/x": Raw(b"1")}, "/output_config/format")
    assert said(response_format=replace(FORMAT, extra=kept)).losses == [
        ("/output_config/format/x", "tuning")
    ]


@case(40)
def test_json_mode_says_json_where_the_caller_did_not() -> None:
    wanted = ResponseFormat("json_object")
    out = said(response_format=wanted).body
    assert "JSON" in out["messages"][0]["content"]
    assert out["response_format"] == {"type": "json_object"}
    asked = foreign.request(plain("user", "as json please"))
    assert len(said(request=asked, response_format=wanted).body["messages"]) == 1


def test_plain_text_needs_no_format() -> None:
    assert "response_format" not in said(response_format=ResponseFormat("text")).body


TOOL = Profile(structured_output="tool")


def tool_names(out: Said) -> list[str]:
    return [tool["function"]["name"] for tool in out.body["tools"]]


@case(39)
def test_a_model_without_formats_answers_by_a_forced_tool() -> None:
    out = said(TOOL, response_format=FORMAT)
    assert "response_format" not in out.body
    assert tool_names(out) == ["structured_answer"]
    assert out.body["tools"][0]["function"]["parameters"] == msgspec.json.decode(SCHEMA)
    assert out.body["tool_choice"]["function"]["name"] == "structured_answer"
    assert out.restore == Restore("structured_answer")
    assert out.losses == []


@case(41)
@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, "required"),
        (ToolChoice("auto"), "required"),
        (ToolChoice("required"), "required"),
        (
            ToolChoice("none"),
            "named",
        ),
    ],
)
def test_a_structured_answer_and_tools_go_together(
    choice: ToolChoice | None, expected: str
) -> None:
    taken = Tool("structured_answer")
    out = said(TOOL, response_format=FORMAT, tools=(taken,), tool_choice=choice)
    name = out.restore.format_tool if out.restore else None
    assert tool_names(out) == ["structured_answer", name]
    named = {"type": "function", "function": {"name": name}}
    assert out.body["tool_choice"] == (named if expected == "named" else expected)


@case(41)
def test_a_structured_answer_is_one_of_the_allowed_tools() -> None:
    choice = ToolChoice("allowed", ("f",))
    out = said(TOOL, response_format=FORMAT, tools=(Tool("f"), Tool("g")), tool_choice=choice)
    allowed = out.body["tool_choice"]["allowed_tools"]
    assert allowed["mode"] == "required"
    assert [tool["function"]["name"] for tool in allowed["tools"]] == ["f", "structured_answer"]


@case(41)
def test_a_structured_answer_gives_way_to_a_tool_that_was_asked_for() -> None:
    choice = ToolChoice("named", ("f",))
    out = said(TOOL, response_format=FORMAT, tools=(Tool("f"),), tool_choice=choice)
    assert tool_names(out) == ["f"]
    assert "response_format" not in out.body
    assert out.losses == [("/response_format", "content")]


def test_tools_for_a_model_that_calls_none_are_a_loss_of_content() -> None:
    out = said(Profile(tools=False), tools=(Tool("f"),), tool_choice=ToolChoice("auto"))
    assert out.body.keys() == {"model", "messages"}
    assert out.losses == [("/tools", "content")]


@case(29)
def test_names_that_had_to_be_replaced_are_put_right_in_the_answer() -> None:
    out = said(tools=(Tool("a.b"), Tool("c")), tool_choice=ToolChoice("named", ("a.b",)))
    assert tool_names(out) == ["a_b", "c"]
    assert out.restore == Restore(tool_names={"a_b": "a.b"})


@case(54)
def test_fields_that_only_the_callers_wire_knows_are_lost() -> None:
    kept = Extra(
        "other", {"/container": Raw(b'"c"'), "/x": Raw(b"1")}, "", frozenset({"/container"})
    )
    assert said(extra=kept).losses == [("/container", "content"), ("/x", "tuning")]


def test_images_for_a_model_that_sees_none_are_lost() -> None:
    blind = Profile(input_modalities=frozenset())
    message = Message("user", (Text("hi"), Uri("image", "https://a.example")))
    out = said(blind, foreign.request(message))
    assert out.losses == [("/messages/0/parts/1", "content")]
    same = replace(foreign.request(message), wire=NAME)
    assert said(blind, same).losses == []


@case(64)
def test_the_same_request_is_the_same_bytes() -> None:
    first = request_encode.encode(replace(REQUEST, tools=(Tool("a.b", parameters=SCHEMA),)))
    second = request_encode.encode(replace(REQUEST, tools=(Tool("a.b", parameters=SCHEMA),)))
    assert first.body == second.body


@pytest.mark.parametrize(
    "fields",
    [
        {"stop": "a"},
        {"stop": ["a", "b", "c", "d", "e"]},
        {"n": 1},
        {"stream": False},
        {"top_k": 5, "logit_bias": {"1": 2}},
        {"tool_choice": "any", "tools": [{"type": "function", "function": {"name": "a.b"}}]},
        {"parallel_tool_calls": True},
        {"function_call": "none"},
        {"functions": [{"name": "f", "x": 1}], "function_call": {"name": "f"}},
        {
            "tools": [
                {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
            ]
        },
        {"reasoning": {"enabled": True, "x": 1}, "reasoning_effort": "low"},
        {"reasoning": {"effort": "low", "max_tokens": 5}},
        {"thinking": {"type": "enabled", "budget_tokens": 5, "x": 1}, "reasoning_effort": "low"},
        {"thinking": {"type": "adaptive"}},
        {"reasoning_effort": "none"},
        {"response_format": {"type": "json_schema", "json_schema": {"schema": {}}}},
        {"metadata": {"a": "b"}, "store": True, "user": "u"},
        {"modalities": ["text"], "x": {"y": [1.5]}},
    ],
)
@case(35, 54, 64)
def test_a_request_of_this_wire_goes_back_as_it_came(fields: dict[str, object]) -> None:
    out = again(**fields)
    assert out.pop("model")
    assert out.pop("messages")
    assert out == fields


@case(50)
def test_what_a_model_refuses_is_left_out_of_its_own_wires_requests_too() -> None:
    profile = Profile(refuses=frozenset({"temperature"}), temperature_or_top_p=True)
    out = said(profile, request(temperature=1, top_p=0.5))
    assert out.losses == [("/sampling/temperature", "tuning")]
    assert out.body["top_p"] == 0.5


def test_a_part_that_nobody_knows_goes_on_on_its_own_wire() -> None:
    message = Message("user", (Text("a"), Generic("x", NAME, Raw(b'{"type":"x"}'))))
    out = said(request=replace(foreign.request(message), wire=NAME))
    assert out.body["messages"][0]["content"][1] == {"type": "x"}


@case(31)
def test_media_without_a_place_are_losses() -> None:
    message = Message("user", (Text("a"), Blob("video", "video/mp4", "AAAA")))
    assert said(request=foreign.request(message)).losses == [("/messages/0/parts/1", "content")]
