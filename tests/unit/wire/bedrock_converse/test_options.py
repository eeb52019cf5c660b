from typing import Any

import pytest
from msgspec import Raw

from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Loss, ReasoningOptions, Request, Sampling
from modelmux.wire.bedrock_converse import options
from modelmux.wire.bedrock_converse.options import Said
from tests.support.cases import case


def said(profile: Profile = UNKNOWN, **fields: Any) -> tuple[Said, list[str]]:
    losses: list[Loss] = []
    found = options.said(Request("m", (), **fields), profile, losses)
    return found, [loss.path for loss in losses]


def test_nothing_is_said_where_nothing_was():
    assert said() == (Said({}, {}), [])


@case(44)
def test_a_limit_is_said_and_kept_to_what_the_model_writes():
    assert said(max_tokens=5)[0].inference == {"maxTokens": 5}
    found, losses = said(Profile(max_output_tokens=4), max_tokens=5)
    assert (found.inference, losses) == ({"maxTokens": 4}, ["/max_tokens"])


@case(47)
def test_a_temperature_above_1_is_1_and_named():
    found, losses = said(sampling=Sampling(1.5, 0.5))
    assert found.inference == {"temperature": 1.0, "topP": 0.5}
    assert losses == ["/sampling/temperature"]


@case(48)
def test_stop_sequences_of_white_space_are_left_out():
    found, losses = said(sampling=Sampling(stop=("END", " ")))
    assert found.inference == {"stopSequences": ["END"]}
    assert losses == ["/sampling/stop"]


def test_a_model_that_takes_no_stop_sequences_loses_them_as_content():
    losses: list[Loss] = []
    request = Request("m", (), sampling=Sampling(stop=("END",)))
    options.said(request, Profile(refuses=frozenset({"stop"})), losses)
    assert [(loss.path, loss.kind) for loss in losses] == [("/sampling/stop", "content")]


@case(50, 52)
def test_what_has_no_word_is_named():
    sampling = Sampling(None, None, 5, 7, (), 0.1, 0.1, Raw(b'{"1":2}'), True, 3)
    _, losses = said(sampling=sampling, user="u", metadata={"a": "b"})
    assert losses == [
        *(
            f"/sampling/{name}"
            for name in (
                "top_k",
                "seed",
                "presence_penalty",
                "frequency_penalty",
                "logit_bias",
                "logprobs",
                "top_logprobs",
            )
        ),
        "/metadata/a",
        "/user",
    ]


@case(45, 51)
@pytest.mark.parametrize(
    ("profile", "asked", "expected"),
    [
        (UNKNOWN, ReasoningOptions(effort="high"), Said({}, {}, "high")),
        (UNKNOWN, ReasoningOptions("enabled"), Said({}, {}, "medium")),
        (Profile(reasoning="effort"), ReasoningOptions(effort="low"), Said({}, {}, "low")),
        (
            Profile(reasoning="budget"),
            ReasoningOptions(effort="low"),
            Said({}, {"thinking": {"type": "enabled", "budget_tokens": 2048}}, None, True),
        ),
        (
            Profile(reasoning="budget"),
            ReasoningOptions("enabled", None, 10),
            Said({}, {"thinking": {"type": "enabled", "budget_tokens": 1024}}, None, True),
        ),
        (
            Profile(reasoning="adaptive"),
            ReasoningOptions(effort="max"),
            Said({}, {"thinking": {"type": "adaptive"}}, "max", True),
        ),
        (Profile(reasoning="none"), ReasoningOptions(), Said({}, {})),
    ],
)
def test_thinking_is_said_as_the_model_is_told(
    profile: Profile, asked: ReasoningOptions, expected: Said
):
    assert said(profile, reasoning=asked)[0] == expected


@case(45)
def test_the_limit_is_raised_over_the_budget():
    found, losses = said(
        Profile(reasoning="budget"),
        max_tokens=1000,
        reasoning=ReasoningOptions("enabled", None, 2000),
    )
    assert found.inference == {"maxTokens": 3000}
    assert losses == ["/max_tokens"]


@case(46)
def test_sampling_is_left_out_while_thinking():
    found, losses = said(
        Profile(reasoning="budget"),
        sampling=Sampling(0.5, 1.0),
        reasoning=ReasoningOptions("enabled"),
    )
    assert found.inference == {}
    assert losses == ["/sampling/temperature"]


@pytest.mark.parametrize(
    ("profile", "asked", "losses"),
    [
        (UNKNOWN, ReasoningOptions("disabled"), ["/reasoning"]),
        (Profile(reasoning="budget"), ReasoningOptions("disabled"), []),
        (Profile(reasoning="none"), ReasoningOptions(effort="low"), ["/reasoning"]),
        (
            Profile(reasoning="effort"),
            ReasoningOptions(None, "low", 5),
            ["/reasoning/budget_tokens"],
        ),
    ],
)
def test_what_cannot_be_told_of_thinking_is_named(
    profile: Profile, asked: ReasoningOptions, losses: list[str]
):
    assert said(profile, reasoning=asked)[1] == losses


def test_temperature_or_top_p_and_not_both():
    found, losses = said(Profile(temperature_or_top_p=True), sampling=Sampling(0.5, 0.5))
    assert found.inference == {"temperature": 0.5}
    assert losses == ["/sampling/top_p"]
