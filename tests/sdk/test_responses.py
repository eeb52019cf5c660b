"""OpenAI's SDK on Responses and completions, with targets of their own kind and of others."""

from collections.abc import Generator
from contextlib import closing

import msgspec
import openai
import pytest
from openai.types.responses import (
    Response,
    ResponseCompletedEvent,
    ResponseCreatedEvent,
    ResponseFunctionToolCall,
    ResponseStreamEvent,
)
from pydantic import BaseModel

from tests.support import gateway
from tests.support.aimock import Aimock, fixture
from tests.support.cases import case
from tests.support.gateway import Gateway
from tests.support.sdks import Clients, Sdk, Way

OpenAI = Sdk[openai.OpenAI]

KINDS = {"openai": "gpt-4.1", "anthropic": "claude-haiku-4-5", "openai_compatible": "any-model"}

PROVIDER = """
[[providers]]
name = "{name}"
type = "{name}"
base_url = "{base_url}"
api_key = "sk-upstream-0"
models = ["{model}"]
"""

WEATHER = {
    "type": "function",
    "name": "weather",
    "description": "The weather at a place.",
    "strict": False,
    "parameters": {
        "type": "object",
        "properties": {"place": {"type": "string"}},
        "required": ["place"],
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


@pytest.fixture(scope="session")
def served(
    tmp_path_factory: pytest.TempPathFactory, running_aimock: Aimock
) -> Generator[Gateway, None, None]:
    config = '[server]\nlog_format = "json"\nenable_retries = false\n'

    for name, model in KINDS.items():
        config += PROVIDER.format(name=name, base_url=running_aimock.base_url, model=model)
    with gateway.running(config, tmp_path_factory.mktemp("responses")) as running:
        yield running


@pytest.fixture(scope="session")
def made(served: Gateway) -> Generator[Clients, None, None]:
    with closing(Clients(served, "unused")) as clients:
        yield clients


@pytest.fixture(params=[Way("sync", "tcp"), Way("async", "tcp")], ids=str)
def sdk(request: pytest.FixtureRequest, made: Clients) -> OpenAI:
    return made.of_openai(request.param)


@pytest.fixture(params=KINDS)
def model(request: pytest.FixtureRequest) -> str:
    return f"{request.param}/{KINDS[request.param]}"


def heard(aimock: Aimock) -> dict[str, object]:
    """The last request as the emulator understood it, in chat's shape."""
    return msgspec.json.decode(aimock.journal()[-1].body)


def of_type(events: list[ResponseStreamEvent], type_: str) -> list[ResponseStreamEvent]:
    return [event for event in events if event.type == type_]


@case(4, 108)
def test_a_conversation(sdk: OpenAI, model: str, aimock: Aimock):
    aimock.add(fixture("And Rome", {"content": "Sun."}, match={"systemMessage": "Be brief."}))
    answer = sdk.do(
        lambda client: client.responses.create(
            model=model,
            instructions="Be brief.",
            input=[
                {"role": "user", "content": "How is Paris?"},
                {"role": "assistant", "content": "Rain."},
                {"role": "user", "content": [{"type": "input_text", "text": "And Rome, ☂?"}]},
            ],
            max_output_tokens=100,
        )
    )
    assert answer.output_text == "Sun."
    assert answer.status == "completed"
    assert answer.object == "response"
    assert answer.model == model
    assert answer.id.startswith("resp")
    messages = heard(aimock)["messages"]
    assert [each["role"] for each in messages] == ["system", "user", "assistant", "user"]


@case(91, 96)
def test_a_streamed_answer_has_all_events_in_their_order(sdk: OpenAI, model: str, aimock: Aimock):
    aimock.add(fixture("", {"content": "One, two, three."}, chunkSize=5))
    events = sdk.all(
        lambda client: client.responses.create(model=model, input="Count.", stream=True)
    )
    if not model.startswith("openai/"):  # the emulator, whose bytes pass, does not number
        assert [event.sequence_number for event in events] == list(range(len(events)))
    kinds = [event.type for event in events if event.type != "response.output_text.delta"]
    assert kinds == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    deltas = of_type(events, "response.output_text.delta")
    assert "".join(event.delta for event in deltas) == "One, two, three."
    assert len(deltas) > 1
    first, last = events[0], events[-1]
    assert isinstance(first, ResponseCreatedEvent)
    assert isinstance(last, ResponseCompletedEvent)
    assert first.response.id == last.response.id
    assert last.response.output_text == "One, two, three."
    assert last.response.model == model


@case(1, 14, 18, 20)
def test_parallel_tool_calls_and_their_results(sdk: OpenAI, model: str, aimock: Aimock):
    aimock.add(
        fixture("", {"content": "Rain and sun."}, match={"hasToolResult": True}),
        fixture("Paris and Rome", TWO_CALLS, match={"hasToolResult": False}),
    )
    turns: list[object] = [{"role": "user", "content": "Paris and Rome?"}]

    def ask() -> Response:
        return sdk.do(
            lambda client: client.responses.create(
                model=model, input=turns, tools=[WEATHER], tool_choice="auto"
            )
        )

    first = ask()
    calls = [item for item in first.output if isinstance(item, ResponseFunctionToolCall)]
    assert [(call.call_id, call.name) for call in calls] == [
        ("call_1", "weather"),
        ("call_2", "weather"),
    ]
    arguments = [msgspec.json.decode(call.arguments) for call in calls]
    assert arguments == [{"place": "Paris"}, {"place": "Rome"}]
    turns += [item.model_dump(exclude_none=True) for item in first.output]
    turns += [
        {"type": "function_call_output", "call_id": call.call_id, "output": result}
        for call, result in zip(calls, ["rain", "sun"], strict=True)
    ]
    assert ask().output_text == "Rain and sun."
    results = [each for each in heard(aimock)["messages"] if each["role"] == "tool"]
    assert [each["tool_call_id"] for each in results] == ["call_1", "call_2"]


@case(22, 23, 24)
def test_streamed_parallel_tool_calls(sdk: OpenAI, model: str, aimock: Aimock):
    aimock.add(fixture("", TWO_CALLS, chunkSize=4))
    events, last = sdk.final(
        lambda client: client.responses.stream(model=model, input="Go.", tools=[WEATHER]),
        "get_final_response",
    )
    calls = [item for item in last.output if isinstance(item, ResponseFunctionToolCall)]
    assert [(call.call_id, call.name) for call in calls] == [
        ("call_1", "weather"),
        ("call_2", "weather"),
    ]
    done = of_type(events, "response.function_call_arguments.done")
    assert [msgspec.json.decode(each.arguments)["place"] for each in done] == ["Paris", "Rome"]


@case(39)
def test_a_structured_answer(sdk: OpenAI, model: str, aimock: Aimock):
    report = {"place": "Paris", "degrees": 11}
    aimock.add(fixture("", {"content": report}))
    answer = sdk.do(
        lambda client: client.responses.parse(model=model, input="Report.", text_format=Report)
    )
    assert answer.output_parsed == Report(place="Paris", degrees=11)


@case(67)
def test_an_image_by_value(sdk: OpenAI, model: str, aimock: Aimock):
    aimock.add(fixture("", {"content": "A dot."}))
    pixel = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    content = [
        {"type": "input_text", "text": "What is it?"},
        {"type": "input_image", "detail": "auto", "image_url": f"{pixel}+M9QDwADhgGAWjR9awAAAABJ"},
    ]
    answer = sdk.do(
        lambda client: client.responses.create(
            model=model, input=[{"role": "user", "content": content}]
        )
    )
    assert answer.output_text == "A dot."


@case(102)
def test_an_error_of_the_target_is_the_sdks_own(sdk: OpenAI, model: str, aimock: Aimock):
    error = {"error": {"message": "odd", "type": "invalid_request_error"}, "status": 400}
    aimock.add(fixture("", error))
    with pytest.raises(openai.BadRequestError, match="odd"):
        sdk.do(lambda client: client.responses.create(model=model, input="x"))


def test_a_legacy_completion(sdk: OpenAI, model: str, aimock: Aimock):
    if model.startswith("openai/"):
        model = f"anthropic/{KINDS['anthropic']}"  # the emulator itself has no such path
    aimock.add(fixture("Say", {"content": "this is a test"}))
    answer = sdk.do(lambda client: client.completions.create(model=model, prompt="Say", n=1))
    assert answer.choices[0].text == "this is a test"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.object == "text_completion"
    chunks = sdk.all(
        lambda client: client.completions.create(model=model, prompt="Say", stream=True)
    )
    assert "".join(chunk.choices[0].text for chunk in chunks) == "this is a test"
    assert chunks[-1].choices[0].finish_reason == "stop"
