import msgspec
import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Loss, ReasoningOptions, ResponseFormat, Sampling
from modelmux.wire.ollama_chat import schema, settings
from modelmux.wire.ollama_chat.schema import CHAT
from tests.support import foreign
from tests.support.cases import case


def decode(**said: object) -> settings.Decoded:
    body = msgspec.convert({"model": "m", **said}, schema.Settings)
    return settings.decode(body, set(), {})


def translated(profile: Profile = UNKNOWN, **changes: object) -> tuple[settings.Body, list[str]]:
    losses: list[Loss] = []
    request = replace(foreign.request(foreign.user()), **changes)
    said = settings.translated(request, profile, CHAT, losses)
    return said, [loss.path for loss in losses]


@case(51)
@pytest.mark.parametrize(
    ("think", "expected"),
    [
        (True, ReasoningOptions("enabled")),
        (False, ReasoningOptions("disabled")),
        ("high", ReasoningOptions("enabled", "high")),
        (None, None),
    ],
)
def test_thinking_is_neutral(think: object, expected: object) -> None:
    assert decode(think=think).reasoning == expected


@case(51)
@pytest.mark.parametrize(
    ("options", "think", "lost"),
    [
        (ReasoningOptions("enabled"), True, []),
        (ReasoningOptions("disabled"), False, []),
        (ReasoningOptions(effort="none"), False, []),
        (ReasoningOptions(effort="low"), "low", []),
        (ReasoningOptions(effort="xhigh"), "high", ["/reasoning/effort"]),
        (ReasoningOptions(effort="odd"), True, ["/reasoning/effort"]),
        (ReasoningOptions("enabled", budget_tokens=9), True, ["/reasoning/budget_tokens"]),
    ],
)
def test_thinking_is_asked_for(options: ReasoningOptions, think: object, lost: object) -> None:
    assert translated(reasoning=options) == ({"stream": False, "think": think}, lost)


def test_thinking_that_is_not_asked_for_or_cannot_be() -> None:
    assert translated(reasoning=ReasoningOptions()) == ({"stream": False}, [])
    none = Profile(reasoning="none")
    assert translated(none, reasoning=ReasoningOptions(effort="low"))[1] == ["/reasoning"]


@case(39, 40)
def test_the_form_of_the_answer_goes_both_ways() -> None:
    schema_ = Raw(b'{"type":"object"}')
    assert settings.decode(
        schema.Settings("m", format=schema_), set(), {}
    ).response_format == ResponseFormat("json_schema", schema=schema_)
    assert settings.decode(
        schema.Settings("m", format=Raw(b'"json"')), set(), {}
    ).response_format == ResponseFormat("json_object")
    assert (
        settings.decode(schema.Settings("m", format=Raw(b'""')), set(), {}).response_format is None
    )
    for odd in (b'"yaml"', b"7"):
        with pytest.raises(InvalidRequest, match="format"):
            settings.decode(schema.Settings("m", format=Raw(odd)), set(), {})
    form = ResponseFormat("json_schema", "x", "of it", schema_)
    said, lost = translated(response_format=form)
    assert (said["format"], lost) == (schema_, ["/response_format/description"])
    assert translated(response_format=ResponseFormat("json_object"))[0]["format"] == "json"


@case(44, 48, 50, 52)
def test_sampling_has_its_words() -> None:
    sampling = Sampling(0.5, 0.9, 40, 7, ("a",), 0.1, 0.2, Raw(b'{"1":2}'), True, 3)
    said, lost = translated(
        sampling=sampling, max_tokens=9, user="u", metadata={"a": "b"}, stream=True
    )
    assert said == {
        "stream": True,
        "options": {
            "temperature": 0.5,
            "top_p": 0.9,
            "top_k": 40,
            "seed": 7,
            "num_predict": 9,
            "stop": ["a"],
            "presence_penalty": 0.1,
            "frequency_penalty": 0.2,
        },
        "logprobs": True,
        "top_logprobs": 3,
    }
    assert lost == ["/sampling/logit_bias", "/user", "/metadata/a"]


def test_what_the_model_refuses_is_left_out() -> None:
    refusing = Profile(refuses=frozenset({"temperature"}))
    assert translated(refusing, sampling=Sampling(0.5)) == (
        {"stream": False},
        ["/sampling/temperature"],
    )


def test_an_answer_without_end_has_no_limit() -> None:
    rest: dict[str, Raw] = {}
    body = msgspec.convert({"model": "m", "options": {"num_predict": -1}}, schema.Settings)
    assert settings.decode(body, set(), rest).max_tokens is None
    assert rest == {"/options/num_predict": Raw(b"-1")}


def test_unknown_fields_are_told_apart_by_message() -> None:
    rest, inner = settings.split({"/a": Raw(b"1"), "/messages/2/b": Raw(b"2")}, "messages")
    assert (list(rest), list(inner)) == (["/a"], [2])
    assert settings.kept({}, CHAT, frozenset()) is None
