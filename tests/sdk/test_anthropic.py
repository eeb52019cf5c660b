"""Anthropic's SDK, with an emulator of both APIs behind the gateway that shares no code with us."""

import anthropic
import msgspec
import pytest
from anthropic.types import Message, MessageParam
from pydantic import BaseModel

from tests.sdk.conftest import FEW, Behind, mocked, played
from tests.support import http1
from tests.support.aimock import Aimock, fixture
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, OPENAI, Dialect
from tests.support.sdks import Clients, Sdk

Anthropic = Sdk[anthropic.Anthropic]

HELLO: list[MessageParam] = [{"role": "user", "content": "hello"}]

WEATHER = {
    "name": "weather",
    "description": "The weather at a place.",
    "input_schema": {
        "type": "object",
        "properties": {"place": {"type": "string"}},
        "required": ["place"],
    },
}

TWO_CALLS = {
    "toolCalls": [
        {"name": "weather", "arguments": '{"place":"Paris"}', "id": "toolu_1"},
        {"name": "weather", "arguments": '{"place":"Rome"}', "id": "toolu_2"},
    ]
}

LONG = "The rain in Spain stays mainly in the plain, ☂."

USAGES = {
    "openai": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
    "anthropic": {"input_tokens": 11, "output_tokens": 5},
}


class Report(BaseModel):
    """What a structured answer holds."""

    place: str
    degrees: int
    rain: bool


REPORT = {"place": "Paris", "degrees": 11, "rain": True}


def heard(aimock: Aimock) -> dict[str, object]:
    """The last request as the emulator understood it, in OpenAI's shape."""
    return msgspec.json.decode(aimock.journal()[-1].body)


def said(message: dict[str, object]) -> str:
    """The text of a message, whether it is one string or a list of parts."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content)


def text_of(message: Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


@case(4, 6, 108)
def test_a_conversation(anthropic_sdk: Anthropic, upstream: Dialect, aimock: Aimock):
    aimock.add(fixture("And Rome", {"content": "Sun."}, match={"systemMessage": "Be brief."}))
    turns: list[MessageParam] = [
        {"role": "user", "content": "How is Paris?"},
        {"role": "assistant", "content": [{"type": "text", "text": "Rain."}]},
        {"role": "user", "content": [{"type": "text", "text": "And Rome, ☂ or ☀?"}]},
    ]
    model = mocked(upstream)
    message = anthropic_sdk.do(
        lambda client: client.messages.create(
            model=model, max_tokens=100, system="Be brief.", messages=turns
        )
    )
    assert text_of(message) == "Sun."
    assert (message.type, message.role) == ("message", "assistant")
    assert message.stop_reason == "end_turn"
    assert message.model == model
    assert message.id
    messages = heard(aimock)["messages"]
    assert [each["role"] for each in messages] == ["system", "user", "assistant", "user"]
    texts = ["Be brief.", "How is Paris?", "Rain.", "And Rome, ☂ or ☀?"]
    assert [said(each) for each in messages] == texts


@case(1, 14, 20)
def test_parallel_tool_calls_and_their_results(
    anthropic_sdk: Anthropic, upstream: Dialect, aimock: Aimock
):
    aimock.add(
        fixture("", {"content": "Rain and sun."}, match={"hasToolResult": True}),
        fixture("Paris and Rome", TWO_CALLS, match={"hasToolResult": False}),
    )
    turns: list[MessageParam] = [{"role": "user", "content": "Paris and Rome?"}]

    def ask() -> Message:
        return anthropic_sdk.do(
            lambda client: client.messages.create(
                model=mocked(upstream),
                max_tokens=100,
                messages=turns,
                tools=[WEATHER],
                tool_choice={"type": "auto"},
            )
        )

    first = ask()
    assert first.stop_reason == "tool_use"
    calls = [block for block in first.content if block.type == "tool_use"]
    assert [(call.id, call.name, call.input) for call in calls] == [
        ("toolu_1", "weather", {"place": "Paris"}),
        ("toolu_2", "weather", {"place": "Rome"}),
    ]
    turns.append({"role": "assistant", "content": first.content})
    results = [
        {"type": "tool_result", "tool_use_id": call.id, "content": result}
        for call, result in zip(calls, ["rain", "sun"], strict=True)
    ]
    turns.append({"role": "user", "content": results})
    assert text_of(ask()) == "Rain and sun."
    told = [each for each in heard(aimock)["messages"] if each["role"] == "tool"]
    assert [(each["tool_call_id"], said(each)) for each in told] == [
        ("toolu_1", "rain"),
        ("toolu_2", "sun"),
    ]


@case(21, 22, 97)
def test_streamed_parallel_tool_calls(anthropic_sdk: Anthropic, upstream: Dialect, aimock: Aimock):
    aimock.add(fixture("", TWO_CALLS, chunkSize=4))
    events, message = anthropic_sdk.final(
        lambda client: client.messages.stream(
            model=mocked(upstream), max_tokens=100, messages=HELLO, tools=[WEATHER]
        ),
        "get_final_message",
    )
    assert isinstance(message, Message)
    calls = [(block.id, block.name, block.input) for block in message.content]
    assert calls == [
        ("toolu_1", "weather", {"place": "Paris"}),
        ("toolu_2", "weather", {"place": "Rome"}),
    ]
    assert message.stop_reason == "tool_use"
    kinds = [event.type for event in events]
    assert kinds.count("content_block_start") == kinds.count("content_block_stop") == 2
    indexes = [event.index for event in events if event.type == "content_block_start"]
    assert indexes == [0, 1]


@case(39)
def test_structured_output(anthropic_sdk: Anthropic, upstream: Dialect, aimock: Aimock):
    aimock.add(fixture("", {"content": REPORT}))
    message = anthropic_sdk.do(
        lambda client: client.messages.parse(
            model=mocked(upstream), max_tokens=100, messages=HELLO, output_format=Report
        )
    )
    assert message.parsed_output == Report(**REPORT)


@case(81, 83)
def test_the_streaming_helper(anthropic_sdk: Anthropic, upstream: Dialect, aimock: Aimock):
    aimock.add(fixture("", {"content": LONG, "usage": USAGES[upstream.name]}, chunkSize=7))
    events, message = anthropic_sdk.final(
        lambda client: client.messages.stream(
            model=mocked(upstream), max_tokens=100, messages=HELLO
        ),
        "get_final_message",
    )
    assert isinstance(message, Message)
    assert text_of(message) == LONG
    assert message.stop_reason == "end_turn"
    assert message.model == mocked(upstream)
    assert (message.usage.input_tokens, message.usage.output_tokens) == (11, 5)
    kinds = [event.type for event in events]
    assert (kinds[0], kinds[-1]) == ("message_start", "message_stop")
    assert kinds.count("text") > 5


@case(97)
def test_a_plain_stream(anthropic_sdk: Anthropic, upstream: Dialect, aimock: Aimock):
    aimock.add(fixture("", {"content": LONG, "usage": USAGES[upstream.name]}, chunkSize=7))
    events = anthropic_sdk.all(
        lambda client: client.messages.create(
            model=mocked(upstream), max_tokens=100, messages=HELLO, stream=True
        )
    )
    kinds = [event.type for event in events]
    assert kinds[:2] == ["message_start", "content_block_start"]
    assert kinds[-3:] == ["content_block_stop", "message_delta", "message_stop"]
    assert set(kinds[2:-3]) == {"content_block_delta"}
    text = "".join(each.delta.text for each in events if each.type == "content_block_delta")
    assert text == LONG
    assert events[-2].usage.output_tokens == 5


@case(73)
def test_an_answer_that_was_cut_off_says_so(
    anthropic_sdk: Anthropic, upstream: Dialect, aimock: Aimock
):
    aimock.add(fixture("", {"content": "The rain in", "finishReason": "length"}))
    message = anthropic_sdk.do(
        lambda client: client.messages.create(model=mocked(upstream), max_tokens=3, messages=HELLO)
    )
    assert message.stop_reason == "max_tokens"
    sent = heard(aimock)
    assert 3 in {sent.get("max_tokens"), sent.get("max_completion_tokens")}


@case(110)
def test_tokens_are_counted(anthropic_sdk: Anthropic, upstream: Dialect, behind: Behind):
    behind.anthropic.play([http1.answer(200, {"input_tokens": 14})])
    counted = anthropic_sdk.do(
        lambda client: client.messages.count_tokens(
            model=played(upstream), system="Be brief.", messages=HELLO, tools=[WEATHER]
        )
    )
    if upstream is ANTHROPIC:
        assert counted.input_tokens == 14
        assert behind.anthropic.request.target == "/v1/messages/count_tokens"
    else:
        assert 20 < counted.input_tokens < 100, "an estimate"
        assert not behind.openai.requests


@case(109)
def test_models_are_listed_and_found(anthropic_sdk: Anthropic):
    models = anthropic_sdk.all(lambda client: client.models.list(limit=2))
    ids = [model.id for model in models]
    assert {OPENAI.model, ANTHROPIC.model, "modelmux/echo"} <= set(ids)
    assert len(ids) == len(set(ids)), "pages overlap"
    assert all(model.type == "model" and model.display_name for model in models)
    found = anthropic_sdk.do(lambda client: client.models.retrieve(OPENAI.model))
    assert found.id == OPENAI.model


@pytest.mark.parametrize("status", [400, 403, 404, 413, 422, 429, 500, 503, 529])
def test_an_upstreams_errors(
    anthropic_sdk: Anthropic, upstream: Dialect, aimock: Aimock, status: int
):
    aimock.fail_next(status, "scripted", type="some_error")
    errors = {
        400: anthropic.BadRequestError,
        403: anthropic.InternalServerError,  # of our own key: not the caller's to mend
        404: anthropic.NotFoundError,
        413: anthropic.RequestTooLargeError,
        422: anthropic.UnprocessableEntityError,
        429: anthropic.RateLimitError,
        500: anthropic.InternalServerError,
        503: anthropic.OverloadedError,
        529: anthropic.OverloadedError,
    }
    name = f"{upstream.name}-mock/unused-anthropic-{anthropic_sdk.way}-{status}"
    with pytest.raises(errors[status]) as caught:
        anthropic_sdk.do(
            lambda client: client.messages.create(model=name, max_tokens=9, messages=HELLO)
        )
    assert "scripted" in str(caught.value)


def test_the_gateways_own_errors(anthropic_sdk: Anthropic, clients: Clients):
    stranger = clients.of_anthropic(anthropic_sdk.way, "sk-caller-nobody")
    with pytest.raises(anthropic.AuthenticationError):
        stranger.do(lambda client: client.messages.create(model="m", max_tokens=9, messages=HELLO))
    with pytest.raises(anthropic.AuthenticationError):
        stranger.all(lambda client: client.models.list())
    limited = clients.of_anthropic(anthropic_sdk.way, FEW)
    with pytest.raises(anthropic.PermissionDeniedError):
        limited.do(
            lambda client: client.messages.create(
                model=mocked(ANTHROPIC), max_tokens=9, messages=HELLO
            )
        )
    with pytest.raises(anthropic.NotFoundError):
        anthropic_sdk.do(
            lambda client: client.messages.create(
                model="claude-haiku-4-6", max_tokens=9, messages=HELLO
            )
        )
    with pytest.raises(anthropic.BadRequestError) as wrong:
        anthropic_sdk.do(
            lambda client: client.messages.create(
                model=mocked(OPENAI),
                max_tokens=9,
                messages=[{"role": "wizard", "content": "hello"}],
            )
        )
    assert "messages[0].role" in str(wrong.value)
