import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Extra
from modelmux.ir.profile import Profile
from modelmux.ir.request import ReasoningOptions, Request, ResponseFormat, Sampling, Tool
from modelmux.wire.openai_responses import request_encode
from tests.support import foreign
from tests.support.cases import case
from tests.unit.wire.openai_responses.bodies import again, encoded, lost, request, user

THINKS = Profile(reasoning="effort")


def asked(**fields: object) -> Request:
    return replace(foreign.request(foreign.user()), **fields)


@case(4)
def test_the_first_system_text_is_the_instructions():
    system, late = foreign.plain("system", "s"), foreign.plain("system", "late")
    said = encoded(foreign.request(system, foreign.user(), late))
    assert said["instructions"] == "s"
    assert [item["role"] for item in said["input"]] == ["user", "system"]


@case(8)
def test_a_system_text_alone_is_input():
    said = encoded(foreign.request(foreign.plain("system", "s")))
    assert "instructions" not in said
    assert said["input"] == [{"role": "system", "content": "s"}]


def test_nothing_is_kept_by_the_provider():
    assert encoded(asked())["store"] is False


@case(66)
@pytest.mark.parametrize(
    ("profile", "reasoning", "include"),
    [
        (THINKS, None, ["reasoning.encrypted_content"]),
        (Profile(), ReasoningOptions(effort="low"), ["reasoning.encrypted_content"]),
        (Profile(), None, None),
        (Profile(reasoning="none"), ReasoningOptions(effort="low"), None),
    ],
)
def test_reasoning_is_asked_for_in_a_form_that_can_come_back(
    profile: Profile, reasoning: ReasoningOptions | None, include: object
):
    assert encoded(asked(reasoning=reasoning), profile).get("include") == include


@case(43, 44)
@pytest.mark.parametrize(
    ("limit", "said", "paths"),
    [(None, None, []), (100, 100, []), (5, 16, ["/max_tokens"]), (900, 500, ["/max_tokens"])],
)
def test_the_answers_length_is_what_the_api_and_the_model_take(
    limit: int | None, said: int | None, paths: list[str]
):
    profile = Profile(max_output_tokens=500)
    given = asked(max_tokens=limit)
    assert encoded(given, profile).get("max_output_tokens") == said
    assert [path for path, _ in lost(given, profile)] == paths


@case(48, 50, 54)
def test_what_the_api_has_no_word_for_is_named():
    sampling = Sampling(0.5, 0.9, 5, 7, ("x",), 0.1, 0.2, Raw(b"{}"), True, 2)
    given = asked(sampling=sampling, metadata={"a": "b"}, choices=2)
    said = encoded(given)
    assert (said["temperature"], said["top_p"], said["top_logprobs"]) == (0.5, 0.9, 2)
    assert said["include"] == ["message.output_text.logprobs"]
    assert dict(lost(given)) == {
        "/choices": "content",
        "/metadata": "tuning",
        "/sampling/top_k": "tuning",
        "/sampling/seed": "tuning",
        "/sampling/presence_penalty": "tuning",
        "/sampling/frequency_penalty": "tuning",
        "/sampling/logit_bias": "tuning",
        "/sampling/stop": "tuning",
    }


@case(46)
def test_what_the_model_refuses_is_left_out():
    profile = Profile(refuses=frozenset({"temperature", "logprobs"}))
    given = asked(sampling=Sampling(0.5, logprobs=True))
    assert "temperature" not in encoded(given, profile)
    assert [path for path, _ in lost(given, profile)] == [
        "/sampling/temperature",
        "/sampling/logprobs",
    ]
    beside = asked(sampling=Sampling(0.5, 0.9))
    assert "top_p" not in encoded(beside, Profile(temperature_or_top_p=True))


@case(45, 51)
@pytest.mark.parametrize(
    ("options", "profile", "said", "paths"),
    [
        (ReasoningOptions(effort="high"), THINKS, {"effort": "high"}, []),
        (
            ReasoningOptions("enabled", budget_tokens=2000),
            THINKS,
            {"effort": "low", "summary": "auto"},
            ["/reasoning/budget_tokens"],
        ),
        (ReasoningOptions("adaptive"), THINKS, {"summary": "auto"}, []),
        (ReasoningOptions("enabled"), THINKS, {"effort": "medium", "summary": "auto"}, []),
        (ReasoningOptions("disabled"), THINKS, {"effort": "none"}, []),
        (ReasoningOptions("disabled"), Profile(), None, ["/reasoning/mode"]),
        (ReasoningOptions(effort="low"), Profile(reasoning="none"), None, ["/reasoning"]),
        (ReasoningOptions(), THINKS, None, []),
    ],
)
def test_how_much_to_think(
    options: ReasoningOptions, profile: Profile, said: object, paths: list[str]
):
    given = asked(reasoning=options)
    assert encoded(given, profile).get("reasoning") == said
    assert [path for path, _ in lost(given, profile)] == paths


@case(39)
def test_a_schema_has_a_name():
    wanted = ResponseFormat("json_schema", schema=Raw(b"{}"), strict=True)
    form = encoded(asked(response_format=wanted))["text"]["format"]
    assert form == {"type": "json_schema", "name": "answer", "schema": {}, "strict": True}
    assert "text" not in encoded(asked(response_format=ResponseFormat("text")))


@case(40)
def test_the_input_says_json_where_the_api_wants_it_to():
    wanted = ResponseFormat("json_object")
    silent = encoded(asked(response_format=wanted))["input"]
    assert silent[-1]["content"] == "Answer with a JSON object."
    system = foreign.plain("system", "Say JSON.")  # instructions are no part of the input
    both = replace(foreign.request(system, foreign.user()), response_format=wanted)
    assert len(encoded(both)["input"]) == 2
    spoken = replace(foreign.request(foreign.user("in json")), response_format=wanted)
    assert len(encoded(spoken)["input"]) == 1


def test_tools_of_a_model_that_calls_none_are_a_loss_of_content():
    assert lost(asked(tools=(Tool("f"),)), Profile(tools=False)) == [("/tools", "content")]


@case(8, 10)
def test_what_the_target_would_refuse_is_refused():
    with pytest.raises(InvalidRequest, match="at least one"):
        request_encode.encode(foreign.request())
    begun = foreign.request(foreign.user(), foreign.assistant())
    with pytest.raises(InvalidRequest, match="does not continue"):
        request_encode.encode(begun, Profile(prefill=False))


@case(29)
def test_changed_names_are_put_right_in_the_answer():
    restore = request_encode.encode(asked(tools=(Tool("a.b"),))).restore
    assert restore is not None
    assert restore.tool_names == {"a_b": "a.b"}


def test_fields_of_another_wire_are_lost():
    assert lost(asked(extra=Extra("other", {"/x": Raw(b"1")}))) == [("/x", "tuning")]


def test_a_request_of_this_wire_is_not_cleaned_up():
    said = again({"role": "assistant", "content": ""}, user(""), include=["x"], stream=False)
    assert [item["content"] for item in said["input"]] == ["", ""]
    assert (said["include"], said["stream"]) == (["x"], False)


def test_but_the_model_is_not_told_what_it_refuses():
    given = request(user(), temperature=0.5)
    profile = Profile(refuses=frozenset({"temperature"}))
    assert "temperature" not in encoded(given, profile)
    assert lost(given, profile) == [("/sampling/temperature", "tuning")]
