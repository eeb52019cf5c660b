import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import ReasoningOptions, Request, ResponseFormat, Sampling, Tool
from tests.support import foreign
from tests.support.cases import case
from tests.unit.wire.gemini import translate

SCHEMA = Raw(
    b'{"type":"object","properties":{"a":{"type":["string","null"],"pattern":"x","not":{}}}}'
)


def asked(**changes: object) -> Request:
    return replace(foreign.request(foreign.user()), **changes)


def config(request: Request, profile: Profile = UNKNOWN) -> object:
    return translate.body(request, profile).get("generationConfig")


@case(44, 48, 50)
def test_sampling_has_its_words() -> None:
    sampling = Sampling(
        0.5, 0.9, 40, 7, ("a", "b"), 0.1, 0.2, Raw(b'{"1":2}'), logprobs=True, top_logprobs=3
    )
    request = asked(sampling=sampling, max_tokens=100)
    assert config(request) == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 40,
        "seed": 7,
        "presencePenalty": 0.1,
        "frequencyPenalty": 0.2,
        "responseLogprobs": True,
        "logprobs": 3,
        "stopSequences": ["a", "b"],
        "maxOutputTokens": 100,
    }
    assert translate.lost(request) == ["/sampling/logit_bias"]


@case(48)
def test_more_stop_sequences_than_there_may_be_are_declared() -> None:
    request = asked(sampling=Sampling(stop=tuple("abcdefg")))
    assert config(request) == {"stopSequences": list("abcde")}
    assert translate.lost(request) == ["/sampling/stop/5", "/sampling/stop/6"]


def test_what_the_model_refuses_is_left_out() -> None:
    profile = Profile(refuses=frozenset({"temperature"}), max_output_tokens=50)
    request = asked(sampling=Sampling(0.5), max_tokens=100)
    assert config(request, profile) == {"maxOutputTokens": 50}
    assert set(translate.lost(request, profile)) == {"/sampling/temperature", "/max_tokens"}


@case(45, 51)
@pytest.mark.parametrize(
    ("options", "style", "expected"),
    [
        (ReasoningOptions(effort="low"), "effort", {"thinkingLevel": "LOW"}),
        (ReasoningOptions(effort="max"), "effort", {"thinkingLevel": "HIGH"}),
        (ReasoningOptions(effort="low"), "budget", {"thinkingBudget": 1024}),
        (ReasoningOptions("enabled", budget_tokens=2000), "budget", {"thinkingBudget": 2000}),
        (ReasoningOptions("adaptive"), "budget", {"thinkingBudget": -1}),
        (ReasoningOptions(effort="odd"), "budget", {"thinkingBudget": -1}),
        (ReasoningOptions("enabled", budget_tokens=2000), "effort", {}),
        (ReasoningOptions("enabled", budget_tokens=2000), None, {"thinkingBudget": 2000}),
        (ReasoningOptions(effort="high"), None, {"thinkingLevel": "HIGH"}),
        (ReasoningOptions(effort="odd"), "effort", {}),
    ],
)
def test_thinking_is_asked_for_as_the_model_is_told(
    options: ReasoningOptions, style: object, expected: dict[str, object]
) -> None:
    got = config(asked(reasoning=options), Profile(reasoning=style))  # type: ignore[arg-type]
    assert got == {"thinkingConfig": {"includeThoughts": True, **expected}}


@case(51)
@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (Profile(reasoning="budget"), {"thinkingBudget": 0}),
        (Profile(reasoning="effort"), {"thinkingLevel": "MINIMAL"}),
        (Profile(reasoning="budget", thinks_always=True), {"thinkingBudget": 128}),
        (Profile(reasoning="effort", thinks_always=True), {"thinkingLevel": "LOW"}),
        (Profile(reasoning="none"), None),
    ],
)
def test_a_model_is_kept_from_thinking_as_far_as_it_can_be(
    profile: Profile, expected: object
) -> None:
    request = asked(reasoning=ReasoningOptions(effort="none"))
    got = config(request, profile)
    assert got == (expected and {"thinkingConfig": expected})
    assert translate.lost(request, profile) == (["/reasoning"] if profile.thinks_always else [])


def test_options_that_say_nothing_are_nothing() -> None:
    assert config(asked(reasoning=ReasoningOptions())) is None
    thinking = asked(reasoning=ReasoningOptions(effort="low"))
    assert translate.lost(thinking, Profile(reasoning="none")) == ["/reasoning"]


@case(39, 40)
def test_the_answer_s_form_is_native() -> None:
    form = ResponseFormat("json_schema", "x", "of it", SCHEMA)
    got = config(asked(response_format=form))
    assert got == {
        "responseMimeType": "application/json",
        "responseJsonSchema": {
            "type": "object",
            "properties": {"a": {"type": ["string", "null"], "pattern": "x", "not": {}}},
        },
    }
    assert translate.lost(asked(response_format=form)) == ["/response_format/description"]
    json = asked(response_format=ResponseFormat("json_object"))
    assert config(json) == {"responseMimeType": "application/json"}
    assert config(asked(response_format=ResponseFormat("text"))) is None


@case(37)
def test_the_form_is_narrowed_for_older_models() -> None:
    request = asked(response_format=ResponseFormat("json_schema", schema=SCHEMA))
    old = Profile(json_schema=False)
    assert config(request, old) == {
        "responseMimeType": "application/json",
        "responseSchema": {
            "type": "object",
            "properties": {"a": {"type": "string", "nullable": True, "pattern": "x"}},
        },
    }
    assert translate.lost(request, old) == ["/response_format/schema"]


@case(41, 42)
@pytest.mark.parametrize("form", ["json_schema", "json_object"])
def test_beside_tools_older_models_are_asked_in_words(form: str) -> None:
    request = asked(
        tools=(Tool("f"),),
        response_format=ResponseFormat(form, schema=SCHEMA),  # type: ignore[arg-type]
    )
    encoded = translate.encoded(request, Profile(format_with_tools=False))
    assert encoded.restore is not None
    assert encoded.restore.fenced_json
    assert b"JSON" in encoded.body
    assert b"responseMimeType" not in encoded.body


@case(18, 52)
def test_what_has_no_word_is_declared() -> None:
    request = asked(tools=(Tool("f"),), parallel_tool_calls=False, user="u", metadata={"a/b": "c"})
    assert translate.lost(request) == ["/parallel_tool_calls", "/user", "/metadata/a~1b"]
