"""Google's own SDK against the gateway, in front of emulators of several APIs."""

import asyncio
from collections.abc import Generator
from contextlib import closing

import pytest
from google import genai
from google.genai import errors, types

from tests.sdk.conftest import ALL, FEW, Behind, played
from tests.support import http1
from tests.support.aimock import Aimock, fixture
from tests.support.cases import case
from tests.support.dialects import OPENAI
from tests.support.upstream import Do

PLAYED = played(OPENAI)


@pytest.fixture(params=["v1beta", "v1"])
def client(request: pytest.FixtureRequest, behind: Behind) -> Generator[genai.Client, None, None]:
    options = types.HttpOptions(base_url=behind.gateway.base_url, api_version=request.param)
    with closing(genai.Client(api_key=ALL, http_options=options)) as made:
        yield made


@pytest.fixture(params=["openai", "anthropic", "gemini", "ollama"])
def model(request: pytest.FixtureRequest, behind: Behind) -> str:
    return behind.mocked[request.param]


def test_a_question_is_answered(client: genai.Client, model: str, aimock: Aimock) -> None:
    aimock.add(fixture("How are you", {"content": "Very well, thank you."}))
    answer = client.models.generate_content(
        model=model,
        contents="How are you?",
        config=types.GenerateContentConfig(system_instruction="Be short", temperature=0.5),
    )
    assert answer.text == "Very well, thank you."
    assert answer.candidates is not None
    assert answer.candidates[0].finish_reason == types.FinishReason.STOP
    assert answer.model_version in (model, None)  # aimock does not say it


def test_a_stream_is_read_piece_by_piece(client: genai.Client, model: str, aimock: Aimock) -> None:
    aimock.add(fixture("Count", {"content": "one two three four"}, chunkSize=4))
    chunks = list(client.models.generate_content_stream(model=model, contents="Count"))
    assert "".join(chunk.text or "" for chunk in chunks) == "one two three four"
    assert len(chunks) > 2
    last = chunks[-1].candidates
    assert last is not None
    assert last[0].finish_reason == types.FinishReason.STOP


@pytest.mark.filterwarnings("ignore:FUNCTION_CALL is not a valid FinishReason")  # aimock's own
@pytest.mark.parametrize("streamed", [False, True])
def test_tools_are_called_in_parallel_and_answered(
    client: genai.Client, model: str, aimock: Aimock, streamed: bool
) -> None:
    calls = [
        {"name": "get_weather", "arguments": '{"city":"Paris"}'},
        {"name": "get_weather", "arguments": '{"city":"Rome"}'},
    ]
    aimock.add(
        fixture("", {"content": "18 and 22."}, match={"hasToolResult": True}),
        fixture("Weather", {"toolCalls": calls}),
    )
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    declared = types.FunctionDeclaration(
        name="get_weather", description="Weather", parameters_json_schema=schema
    )
    config = types.GenerateContentConfig(tools=[types.Tool(function_declarations=[declared])])
    chat = client.chats.create(model=model, config=config)
    if streamed:
        parts = [
            part
            for chunk in chat.send_message_stream("Weather?")
            for candidate in chunk.candidates or ()
            for part in (candidate.content.parts if candidate.content else None) or ()
        ]
        asked = [part.function_call for part in parts if part.function_call]
    else:
        asked = chat.send_message("Weather?").function_calls or []
    assert [call.args for call in asked] == [{"city": "Paris"}, {"city": "Rome"}]
    answers = [
        types.Part(
            function_response=types.FunctionResponse(
                id=call.id, name=call.name, response={"result": n}
            )
        )
        for call, n in zip(asked, ("18", "22"), strict=True)
    ]
    assert chat.send_message(answers).text == "18 and 22."


def test_an_image_reaches_the_target(client: genai.Client, model: str, aimock: Aimock) -> None:
    aimock.add(fixture("What is it", {"content": "A dot."}))
    image = types.Part.from_bytes(data=b"\x89PNG\r\n\x1a\n", mime_type="image/png")
    answer = client.models.generate_content(model=model, contents=["What is it?", image])
    assert answer.text == "A dot."
    if model.startswith(("openai", "ollama")):  # of the others' images aimock keeps no record
        assert b"iVBORw0KGgo" in bytes(aimock.journal()[-1].body)


def test_a_structured_answer_is_parsed(client: genai.Client, model: str, aimock: Aimock) -> None:
    aimock.add(fixture("cookie", {"content": '{"name":"Oreo"}'}))
    schema = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
    config = types.GenerateContentConfig(
        response_mime_type="application/json", response_json_schema=schema
    )
    answer = client.models.generate_content(model=model, contents="A cookie", config=config)
    assert answer.text is not None
    assert answer.parsed == {"name": "Oreo"}


@case(110)
@pytest.mark.parametrize("type_", ["openai", "anthropic"])
def test_tokens_are_estimated_where_the_target_speaks_another_wire(
    client: genai.Client, behind: Behind, type_: str
) -> None:
    counted = client.models.count_tokens(model=behind.mocked[type_], contents="How long is this?")
    assert (counted.total_tokens or 0) > 0


@case(109)
def test_models_are_listed(client: genai.Client, behind: Behind) -> None:
    names = [model.name for model in client.models.list()]
    assert "models/gemini-2.5-flash" in names
    assert client.models.get(model="gemini-2.5-flash").input_token_limit == 1_048_576
    one = client.models.get(model=behind.mocked["gemini"])
    assert one.name == f"models/{behind.mocked['gemini']}"


@case(102)
def test_errors_are_the_sdk_s_own(client: genai.Client, behind: Behind, aimock: Aimock) -> None:
    with pytest.raises(errors.ClientError) as refused:
        client.models.generate_content(model="nobody-has-this", contents="Hi")
    assert (refused.value.code, refused.value.status) == (404, "NOT_FOUND")
    aimock.fail_next(429, "slow down", type="rate_limit_error")
    with pytest.raises(errors.ClientError) as limited:
        client.models.generate_content(model=behind.mocked["openai"], contents="Hi")
    assert (limited.value.code, limited.value.status) == (429, "RESOURCE_EXHAUSTED")


def test_a_key_s_rights_hold(behind: Behind) -> None:
    options = types.HttpOptions(base_url=behind.gateway.base_url)
    with closing(genai.Client(api_key=FEW, http_options=options)) as few:
        with pytest.raises(errors.ClientError) as refused:
            few.models.generate_content(model=behind.mocked["gemini"], contents="Hi")
        assert refused.value.code in (403, 404)


def test_the_async_client_streams_too(behind: Behind, aimock: Aimock) -> None:
    async def asked() -> str:
        options = types.HttpOptions(base_url=behind.gateway.base_url)
        async with genai.Client(api_key=ALL, http_options=options).aio as client:
            stream = await client.models.generate_content_stream(
                model=behind.mocked["anthropic"], contents="Count"
            )
            return "".join([chunk.text or "" async for chunk in stream])

    aimock.add(fixture("Count", {"content": "one two three four"}, chunkSize=4))
    assert asyncio.run(asked()) == "one two three four"


@case(92)
def test_a_stream_that_breaks_raises(client: genai.Client, behind: Behind) -> None:
    behind.openai.play([http1.stream_head(), *map(http1.chunk, OPENAI.frames()[:3]), Do.CLOSE])
    heard: list[str] = []
    with pytest.raises(errors.APIError):
        for chunk in client.models.generate_content_stream(model=PLAYED, contents="Hi"):
            heard.append(chunk.text or "")  # noqa: PERF401 # one by one: what came before it
    assert any(heard)
