"""Ollama's own library against the gateway, in front of emulators of several APIs."""

from collections.abc import Generator

import ollama
import pytest

from tests.sdk.conftest import ALL, Behind
from tests.support.aimock import Aimock, fixture
from tests.support.cases import case

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


@pytest.fixture
def client(behind: Behind) -> Generator[ollama.Client, None, None]:
    headers = {"authorization": f"Bearer {ALL}"}
    with ollama.Client(behind.gateway.base_url, headers=headers) as made:
        yield made


@pytest.fixture(params=["openai", "anthropic", "gemini", "ollama"])
def model(request: pytest.FixtureRequest, behind: Behind) -> str:
    return behind.mocked[request.param]


def test_a_question_is_answered(client: ollama.Client, model: str, aimock: Aimock) -> None:
    aimock.add(fixture("How are you", {"content": "Very well, thank you."}))
    messages = [
        {"role": "system", "content": "Be short"},
        {"role": "user", "content": "How are you?"},
    ]
    answer = client.chat(model, messages, options={"temperature": 0.5})
    assert answer.message.content == "Very well, thank you."
    assert (answer.done, answer.done_reason, answer.model) == (True, "stop", model)


def test_a_stream_is_read_line_by_line(client: ollama.Client, model: str, aimock: Aimock) -> None:
    aimock.add(fixture("Count", {"content": "one two three four"}, chunkSize=4))
    messages = [{"role": "user", "content": "Count"}]
    lines = list(client.chat(model, messages, stream=True))
    assert "".join(line.message.content or "" for line in lines) == "one two three four"
    assert len(lines) > 2
    assert [line.done for line in lines] == [False] * (len(lines) - 1) + [True]


@pytest.mark.parametrize("stream", [False, True])
def test_tools_are_called_in_parallel_and_answered(
    client: ollama.Client, model: str, aimock: Aimock, stream: bool
) -> None:
    calls = [
        {"name": "get_weather", "arguments": '{"city":"Paris"}'},
        {"name": "get_weather", "arguments": '{"city":"Rome"}'},
    ]
    aimock.add(
        fixture("", {"content": "18 and 22."}, match={"hasToolResult": True}),
        fixture("Weather", {"toolCalls": calls}),
    )
    history: list[object] = [{"role": "user", "content": "Weather?"}]
    if stream:
        lines = list(client.chat(model, history, tools=[TOOL], stream=True))  # type: ignore[arg-type]
        asked = [call for line in lines for call in line.message.tool_calls or ()]
        history.append({"role": "assistant", "content": "", "tool_calls": asked})
    else:
        answer = client.chat(model, history, tools=[TOOL])  # type: ignore[arg-type]
        asked = list(answer.message.tool_calls or ())
        history.append(answer.message)
    assert [dict(call.function.arguments) for call in asked] == [
        {"city": "Paris"},
        {"city": "Rome"},
    ]
    named = {"role": "tool", "tool_name": "get_weather"}
    history += [{**named, "content": content} for content in ("18", "22")]
    last = client.chat(model, history, tools=[TOOL])  # type: ignore[arg-type]
    assert last.message.content == "18 and 22."


def test_an_image_reaches_the_target(client: ollama.Client, model: str, aimock: Aimock) -> None:
    aimock.add(fixture("What is it", {"content": "A dot."}))
    image = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNk+A8AAQUBAScY42YAAAAASUVORK5CYII="  # noqa: E501
    messages = [{"role": "user", "content": "What is it?", "images": [image]}]
    assert client.chat(model, messages).message.content == "A dot."
    if model.startswith("openai"):  # of the others' images aimock keeps no record
        assert b"iVBORw0KGgo" in bytes(aimock.journal()[-1].body)


def test_a_structured_answer_has_its_form(
    client: ollama.Client, model: str, aimock: Aimock
) -> None:
    aimock.add(fixture("cookie", {"content": '{"name":"Oreo"}'}))
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    answer = client.chat(model, [{"role": "user", "content": "A cookie"}], format=schema)
    assert answer.message.content == '{"name":"Oreo"}'


@pytest.mark.parametrize("stream", [False, True])
def test_a_prompt_is_generated_for(
    client: ollama.Client, model: str, aimock: Aimock, stream: bool
) -> None:
    aimock.add(fixture("How are you", {"content": "Very well."}))
    if stream:
        lines = list(client.generate(model, "How are you?", system="Be short", stream=True))
        assert "".join(line.response or "" for line in lines) == "Very well."
        assert lines[-1].done
    else:
        answer = client.generate(model, "How are you?", system="Be short")
        assert answer.response == "Very well."


@case(109)
def test_models_are_listed_and_shown(client: ollama.Client) -> None:
    assert "gemini-2.5-flash" in [model.model for model in client.list().models]
    shown = client.show("gemini-2.5-flash")
    assert shown.capabilities == ["completion", "tools"]
    assert shown.modelinfo["modelmux.context_length"] == 1_048_576  # type: ignore[index]
    assert list(client.ps().models) == []


@case(102)
def test_errors_are_the_library_s_own(
    client: ollama.Client, behind: Behind, aimock: Aimock
) -> None:
    with pytest.raises(ollama.ResponseError) as refused:
        client.chat("nobody-has-this", [{"role": "user", "content": "Hi"}])
    assert refused.value.status_code == 404
    assert "nobody-has-this" in refused.value.error
    aimock.fail_next(429, "slow down", type="rate_limit_error")
    with pytest.raises(ollama.ResponseError) as limited:
        client.chat(behind.mocked["openai"], [{"role": "user", "content": "Hi"}])
    assert limited.value.status_code == 429
