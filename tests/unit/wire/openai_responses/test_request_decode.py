import pytest

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Text
from modelmux.ir.request import Message, ReasoningOptions, Sampling
from modelmux.wire import extra
from modelmux.wire.openai_responses import request_decode
from tests.support.cases import case
from tests.unit.wire.openai_responses.bodies import raw, request, user


def losses(**fields: object) -> list[tuple[str, str]]:
    """What of a request another wire would not hear."""
    kept = request(user(), **fields).extra
    return [(loss.path, loss.kind) for loss in extra.losses(kept, "other")]


def test_a_string_is_what_the_user_says():
    found = request_decode.decode(b'{"model":"m","input":"hi"}')
    assert found.messages == (Message("user", (Text("hi"),), bare=True),)


@case(4)
def test_instructions_come_first():
    found = request(user(), instructions="Be brief.")
    assert found.messages[0] == Message("system", (Text("Be brief."),), bare=True)


@case(44)
def test_settings_have_neutral_words():
    found = request(
        user(),
        temperature=0.5,
        top_p=0.9,
        max_output_tokens=9,
        parallel_tool_calls=False,
        user="u",
        metadata={"a": "b"},
        stream=True,
        include=["message.output_text.logprobs"],
        top_logprobs=2,
    )
    assert found.sampling == Sampling(0.5, 0.9, logprobs=True, top_logprobs=2)
    assert (found.max_tokens, found.parallel_tool_calls, found.user) == (9, False, "u")
    assert found.metadata == {"a": "b"}
    assert found.stream


@case(51)
@pytest.mark.parametrize(
    ("given", "mode", "effort"), [("high", None, "high"), ("none", "disabled", "none")]
)
def test_how_much_to_think(given: str, mode: str | None, effort: str):
    assert request(user(), reasoning={"effort": given}).reasoning == ReasoningOptions(mode, effort)


def test_how_much_of_it_is_told_is_nobody_elses_loss():
    options = request(user(), reasoning={"summary": "auto", "mode": "pro"}).reasoning
    assert options is not None
    assert [loss.path for loss in extra.losses(options.extra, "other")] == ["/reasoning/mode"]


@case(39, 40)
@pytest.mark.parametrize("kind", ["text", "json_object", "json_schema"])
def test_the_form_of_the_answer(kind: str):
    form = {"type": kind, "name": "n", "schema": {"type": "object"}, "strict": True}
    found = request(user(), text={"format": form}).response_format
    assert found is not None
    assert (found.type, found.name, found.strict) == (kind, "n", True)


@case(54)
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"store": True}, []),
        ({"store": False, "include": ["reasoning.encrypted_content"]}, []),
        ({"truncation": "disabled", "background": False, "service_tier": "auto"}, []),
        ({"truncation": "auto"}, [("/truncation", "tuning")]),
        ({"include": ["file_search_call.results"]}, [("/include", "tuning")]),
        ({"include": 5}, [("/include", "tuning")]),
        ({"background": True}, [("/background", "content")]),
        ({"previous_response_id": "resp_1"}, [("/previous_response_id", "content")]),
        ({"conversation": "conv_1"}, [("/conversation", "content")]),
        ({"prompt": {"id": "p"}}, [("/prompt", "content")]),
        ({"prompt_cache_key": "k"}, [("/prompt_cache_key", "tuning")]),
        ({"text": {"verbosity": "low"}}, [("/text/verbosity", "tuning")]),
        ({"future": {"x": 1}, "nothing": None}, [("/future", "tuning")]),
    ],
)
def test_what_only_this_api_knows_is_a_loss_by_how_much_it_matters(
    fields: dict[str, object], expected: list[tuple[str, str]]
):
    assert losses(**fields) == expected


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b'{"model":"m"}', "input"),
        (b'{"model":"m","input":[]}', "input"),
        (b'{"model":"m","input":"x","text":{"format":{"type":"xml"}}}', "text.format.type"),
        (b'{"model":"m","input":"x","temperature":"hot"}', "temperature"),
        (b'{"input":"x"}', "model"),
        (b'{"model":"m","input":"\xff"}', None),
        (b"[]", None),
    ],
)
def test_what_is_no_request_is_refused_with_the_field(body: bytes, param: str | None):
    with pytest.raises(InvalidRequest) as caught:
        request_decode.decode(body)
    assert caught.value.param == param


def test_what_the_provider_keeps_may_be_all_there_is():
    body = b'{"model":"m","previous_response_id":"resp_1"}'
    assert request_decode.decode(body).messages == ()


def test_a_note_of_a_reasoning_setting_is_kept_as_it_came():
    options = request(user(), reasoning={"summary": "detailed", "later": 1}).reasoning
    assert options is not None
    assert options.extra is not None
    assert options.extra.fields == {"summary": raw("detailed"), "/later": raw(1)}
