import pytest
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Blob, Reasoning, Text
from modelmux.ir.profile import Profile
from modelmux.ir.request import (
    Message,
    ReasoningOptions,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
)
from tests.support import foreign
from tests.support.cases import case
from tests.unit.wire.openai_completions.bodies import encoded, lost, request


def asked(**fields: object) -> Request:
    return replace(foreign.request(foreign.user()), **fields)


def test_one_text_is_the_prompt():
    assert encoded(asked())["prompt"] == "hi"
    assert lost(asked()) == []


def test_a_conversation_is_told_in_words():
    given = foreign.request(
        foreign.plain("system", "Be brief."), foreign.user("q"), foreign.assistant("a"),
        foreign.user("r"),
    )  # fmt: skip
    assert encoded(given)["prompt"] == (
        "System: Be brief.\n\nUser: q\n\nAssistant: a\n\nUser: r\n\nAssistant:"
    )
    assert lost(given) == [("/messages", "tuning")]
    begun = foreign.request(foreign.user("q"), foreign.assistant("It is"))
    assert encoded(begun)["prompt"] == "User: q\n\nAssistant: It is"


@case(41, 71)
def test_what_is_no_text_is_a_loss_of_content():
    given = replace(
        foreign.request(
            Message("user", (Text("a"), Blob("image", "image/png", "A")), name="ann"),
            foreign.said("assistant", Reasoning("t"), Text("b")),
        ),
        tools=(Tool("f"),),
        response_format=ResponseFormat("json_object"),
        reasoning=ReasoningOptions(effort="low"),
        metadata={"a": "b"},
        choices=2,
    )
    assert dict(lost(given)) == {
        "/messages": "tuning",
        "/messages/0/name": "tuning",
        "/messages/0/parts/1": "content",
        "/messages/1/parts/0": "tuning",
        "/tools": "content",
        "/response_format": "content",
        "/reasoning": "tuning",
        "/metadata": "tuning",
        "/choices": "content",
    }


@case(48, 50)
def test_sampling_is_what_the_api_and_the_model_take():
    stop = ("a", "b", "c", "d", "e")
    sampling = Sampling(0.5, 0.9, 5, 7, stop, 0.1, 0.2, Raw(b"{}"), True, 2)
    given = asked(sampling=sampling, max_tokens=9)
    said = encoded(given)
    assert (said["temperature"], said["seed"], said["logprobs"]) == (0.5, 7, 2)
    assert (said["stop"], said["max_tokens"]) == (["a", "b", "c", "d"], 9)
    assert [path for path, _ in lost(given)] == [
        "/sampling/top_k",
        "/sampling/logit_bias",
        "/sampling/stop/4",
    ]
    refusing = Profile(refuses=frozenset({"temperature"}))
    assert "temperature" not in encoded(asked(sampling=Sampling(0.5)), refusing)


def test_nothing_to_go_on_with_is_refused():
    with pytest.raises(InvalidRequest, match="some text"):
        encoded(foreign.request(foreign.user("")))


@case(79)
def test_usage_is_always_asked_for():
    assert encoded(asked(stream=True))["stream_options"] == {"include_usage": True}
    assert "stream_options" not in encoded(asked(stream=True), Profile(stream_usage=False))


def test_a_request_of_this_wire_goes_back_as_it_came():
    said = encoded(request(["p"], stop="x", n=1, stream=False, echo=False, logit_bias={"1": 2}))
    assert said == {
        "model": "m",
        "prompt": ["p"],
        "stop": "x",
        "n": 1,
        "stream": False,
        "echo": False,
        "logit_bias": {"1": 2},
    }
