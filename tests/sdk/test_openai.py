"""OpenAI's SDK, with an emulator of both APIs behind the gateway that shares no code with us."""

import msgspec
import openai
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam
from pydantic import BaseModel

from tests.sdk.conftest import FEW, Behind, mocked
from tests.support.aimock import Aimock, fixture
from tests.support.cases import case
from tests.support.dialects import ANTHROPIC, OPENAI, Dialect
from tests.support.sdks import Clients, Sdk

OpenAI = Sdk[openai.OpenAI]

HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello"}]

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather at a place.",
        "parameters": {
            "type": "object",
            "properties": {"place": {"type": "string"}},
            "required": ["place"],
        },
    },
}

TWO_CALLS = {
    "toolCalls": [
        {"name": "weather", "arguments": '{"place":"Paris"}', "id": "call_1"},
        {"name": "weather", "arguments": '{"place":"Rome"}', "id": "call_2"},
    ]
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


@case(4, 108)
def test_a_conversation(openai_sdk: OpenAI, upstream: Dialect, aimock: Aimock):
    aimock.add(fixture("And Rome", {"content": "Sun."}, match={"systemMessage": "Be brief."}))
    turns: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "How is Paris?"},
        {"role": "assistant", "content": "Rain."},
        {"role": "user", "content": [{"type": "text", "text": "And Rome, ☂ or ☀?"}]},
    ]
    model = mocked(upstream)
    completion = openai_sdk.do(
        lambda client: client.chat.completions.create(model=model, messages=turns, max_tokens=100)
    )
    assert completion.choices[0].message.content == "Sun."
    assert completion.choices[0].message.role == "assistant"
    assert completion.choices[0].finish_reason == "stop"
    assert completion.object == "chat.completion"
    assert completion.model == model
    assert completion.id
    assert completion._request_id
    messages = heard(aimock)["messages"]
    assert [message["role"] for message in messages] == ["system", "user", "assistant", "user"]
    texts = ["Be brief.", "How is Paris?", "Rain.", "And Rome, ☂ or ☀?"]
    assert [said(message) for message in messages] == texts


@case(1, 14, 18, 20)
def test_parallel_tool_calls_and_their_results(
    openai_sdk: OpenAI, upstream: Dialect, aimock: Aimock
):
    aimock.add(
        fixture("", {"content": "Rain and sun."}, match={"hasToolResult": True}),
        fixture("Paris and Rome", TWO_CALLS, match={"hasToolResult": False}),
    )
    turns: list[ChatCompletionMessageParam] = [{"role": "user", "content": "Paris and Rome?"}]

    def ask() -> ChatCompletion:
        return openai_sdk.do(
            lambda client: client.chat.completions.create(
                model=mocked(upstream), messages=turns, tools=[WEATHER], tool_choice="auto"
            )
        )

    first = ask().choices[0]
    assert first.finish_reason == "tool_calls"
    calls = first.message.tool_calls
    assert [(call.id, call.type) for call in calls] == [
        ("call_1", "function"),
        ("call_2", "function"),
    ]
    assert [call.function.name for call in calls] == ["weather", "weather"]
    arguments = [msgspec.json.decode(call.function.arguments) for call in calls]
    assert arguments == [{"place": "Paris"}, {"place": "Rome"}]
    turns.append(first.message.model_dump(exclude_none=True))
    for call, result in zip(calls, ["rain", "sun"], strict=True):
        turns.append({"role": "tool", "tool_call_id": call.id, "content": result})
    assert ask().choices[0].message.content == "Rain and sun."
    results = [each for each in heard(aimock)["messages"] if each["role"] == "tool"]
    assert [(each["tool_call_id"], said(each)) for each in results] == [
        ("call_1", "rain"),
        ("call_2", "sun"),
    ]


@case(22, 23, 24)
def test_streamed_parallel_tool_calls(openai_sdk: OpenAI, upstream: Dialect, aimock: Aimock):
    aimock.add(fixture("", TWO_CALLS, chunkSize=4))
    chunks = openai_sdk.all(
        lambda client: client.chat.completions.create(
            model=mocked(upstream), messages=HELLO, tools=[WEATHER], stream=True
        )
    )
    pieces: dict[int, str] = {}
    names: dict[int, list[str]] = {}
    for chunk in chunks:
        for call in chunk.choices[0].delta.tool_calls or () if chunk.choices else ():
            pieces[call.index] = pieces.get(call.index, "") + (call.function.arguments or "")
            names.setdefault(call.index, []).extend(filter(None, (call.id, call.function.name)))
    assert names == {0: ["call_1", "weather"], 1: ["call_2", "weather"]}
    decoded = {index: msgspec.json.decode(text) for index, text in pieces.items()}
    assert decoded == {0: {"place": "Paris"}, 1: {"place": "Rome"}}
    reasons = [each.choices[0].finish_reason for each in chunks if each.choices]
    assert [reason for reason in reasons if reason] == ["tool_calls"]


@case(39)
def test_structured_output(openai_sdk: OpenAI, upstream: Dialect, aimock: Aimock):
    aimock.add(fixture("", {"content": REPORT}))
    completion = openai_sdk.do(
        lambda client: client.chat.completions.parse(
            model=mocked(upstream), messages=HELLO, response_format=Report
        )
    )
    assert completion.choices[0].message.parsed == Report(**REPORT)


@case(39)
def test_streamed_structured_output(openai_sdk: OpenAI, upstream: Dialect, aimock: Aimock):
    aimock.add(fixture("", {"content": REPORT}, chunkSize=5))
    _, completion = openai_sdk.final(
        lambda client: client.chat.completions.stream(
            model=mocked(upstream), messages=HELLO, response_format=Report
        ),
        "get_final_completion",
    )
    assert completion.choices[0].message.parsed == Report(**REPORT)


LONG = "The rain in Spain stays mainly in the plain, ☂."


@case(79, 96)
@pytest.mark.parametrize("include_usage", [True, False, None])
def test_a_stream_has_usage_where_it_was_asked_for(
    openai_sdk: OpenAI, upstream: Dialect, aimock: Aimock, include_usage: bool | None
):
    aimock.add(fixture("", {"content": LONG, "usage": USAGES[upstream.name]}, chunkSize=7))
    options = openai.omit if include_usage is None else {"include_usage": include_usage}
    chunks = openai_sdk.all(
        lambda client: client.chat.completions.create(
            model=mocked(upstream), messages=HELLO, stream=True, stream_options=options
        )
    )
    with_choices = [chunk for chunk in chunks if chunk.choices]
    assert "".join(each.choices[0].delta.content or "" for each in with_choices) == LONG
    assert len(with_choices) > 5
    roles = [each.choices[0].delta.role for each in with_choices]
    assert roles == ["assistant", *[None] * (len(roles) - 1)]
    assert len({chunk.id for chunk in chunks}) == 1
    assert {chunk.model for chunk in chunks} == {mocked(upstream)}
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    if include_usage:
        (usage,) = usages
        assert chunks[-1].usage is usage
        assert chunks[-1].choices == []
        assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (11, 5, 16)
    else:
        assert usages == []
        assert len(with_choices) == len(chunks)


USAGES = {
    "openai": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
    "anthropic": {"input_tokens": 11, "output_tokens": 5},
}


def test_the_streaming_helper(openai_sdk: OpenAI, upstream: Dialect, aimock: Aimock):
    aimock.add(fixture("", {"content": LONG}, chunkSize=7))
    events, completion = openai_sdk.final(
        lambda client: client.chat.completions.stream(model=mocked(upstream), messages=HELLO),
        "get_final_completion",
    )
    assert completion.choices[0].message.content == LONG
    assert completion.choices[0].finish_reason == "stop"
    kinds = [event.type for event in events]
    assert kinds.count("content.done") == 1
    assert kinds.count("content.delta") > 3


@case(73)
def test_an_answer_that_was_cut_off_says_so(openai_sdk: OpenAI, upstream: Dialect, aimock: Aimock):
    # In the emulator's words, whatever the API: OpenAI's.
    aimock.add(fixture("", {"content": "The rain in", "finishReason": "length"}))
    completion = openai_sdk.do(
        lambda client: client.chat.completions.create(
            model=mocked(upstream), messages=HELLO, max_completion_tokens=3
        )
    )
    assert completion.choices[0].finish_reason == "length"
    sent = heard(aimock)
    assert 3 in {sent.get("max_tokens"), sent.get("max_completion_tokens")}


@case(109)
def test_models_are_listed_and_found(openai_sdk: OpenAI, behind: Behind, clients: Clients):
    models = openai_sdk.all(lambda client: client.models.list())
    ids = {model.id for model in models}
    assert {OPENAI.model, ANTHROPIC.model, "modelmux/echo"} <= ids
    assert all(model.object == "model" and model.created > 0 for model in models)
    found = openai_sdk.do(lambda client: client.models.retrieve(ANTHROPIC.model))
    assert found.id == ANTHROPIC.model


@pytest.mark.parametrize("status", [400, 403, 404, 422, 429, 500, 503])
def test_an_upstreams_errors(openai_sdk: OpenAI, upstream: Dialect, aimock: Aimock, status: int):
    aimock.fail_next(status, "scripted", type="some_error")
    errors = {
        400: openai.BadRequestError,
        403: openai.InternalServerError,  # of our own key: not the caller's to mend
        404: openai.NotFoundError,
        422: openai.UnprocessableEntityError,
        429: openai.RateLimitError,
        500: openai.InternalServerError,
        503: openai.InternalServerError,
    }
    name = f"{upstream.name}-mock/unused-openai-{openai_sdk.way}-{status}"
    with pytest.raises(errors[status]) as caught:
        openai_sdk.do(lambda client: client.chat.completions.create(model=name, messages=HELLO))
    assert "scripted" in caught.value.message
    assert caught.value.request_id
    assert caught.value.type


def test_the_gateways_own_errors(openai_sdk: OpenAI, clients: Clients):
    stranger = clients.of_openai(openai_sdk.way, "sk-caller-nobody")
    with pytest.raises(openai.AuthenticationError) as unknown:
        stranger.do(lambda client: client.chat.completions.create(model="m", messages=HELLO))
    assert unknown.value.code == "invalid_api_key"
    with pytest.raises(openai.AuthenticationError):
        stranger.all(lambda client: client.models.list())
    limited = clients.of_openai(openai_sdk.way, FEW)
    with pytest.raises(openai.PermissionDeniedError):
        limited.do(
            lambda client: client.chat.completions.create(model=mocked(ANTHROPIC), messages=HELLO)
        )
    with pytest.raises(openai.NotFoundError) as missing:
        openai_sdk.do(
            lambda client: client.chat.completions.create(model="gpt-4.1-minni", messages=HELLO)
        )
    assert missing.value.code == "model_not_found"
    assert missing.value.param == "model"
    with pytest.raises(openai.BadRequestError) as wrong:
        openai_sdk.do(
            lambda client: client.chat.completions.create(
                model=mocked(ANTHROPIC), messages=[{"role": "wizard", "content": "hello"}]
            )
        )
    assert wrong.value.param == "messages[0].role"
