import anthropic
import httpx2
import openai
import pytest

from tests.support.dialects import (
    ANTHROPIC,
    DIALECTS,
    INPUT_TOKENS,
    OPENAI,
    OUTPUT_TOKENS,
    TEXT,
    WORDS,
    Dialect,
    events,
)


def answering(body: bytes, status: int = 200) -> dict[str, object]:
    """Options of an SDK's client that is answered so."""
    kind = "application/json" if body.startswith(b"{") else "text/event-stream"
    headers = {"content-type": kind}
    transport = httpx2.MockTransport(
        lambda _: httpx2.Response(status, content=body, headers=headers)
    )
    return {"api_key": "k", "max_retries": 0, "http_client": httpx2.Client(transport=transport)}


def test_openais_sdk_reads_the_answer_and_the_stream():
    asked = OPENAI.ask("m")
    with openai.OpenAI(**answering(OPENAI.answer())) as client:
        whole = client.chat.completions.create(**asked)
    with openai.OpenAI(**answering(b"".join(OPENAI.frames()))) as client:
        chunks = list(client.chat.completions.create(**asked, stream=True))
    assert whole.choices[0].message.content == TEXT
    deltas = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    assert [delta for delta in deltas if delta] == list(WORDS)
    for usage in (whole.usage, chunks[-1].usage):
        assert (usage.prompt_tokens, usage.completion_tokens) == (INPUT_TOKENS, OUTPUT_TOKENS)


def test_anthropics_sdk_reads_the_answer_and_the_stream():
    asked = ANTHROPIC.ask("m")
    with anthropic.Anthropic(**answering(ANTHROPIC.answer())) as client:
        whole = client.messages.create(**asked)
    options = answering(b"".join(ANTHROPIC.frames()))
    with anthropic.Anthropic(**options) as client, client.messages.stream(**asked) as stream:
        streamed = stream.get_final_message()
    for message in (whole, streamed):
        assert message.content[0].text == TEXT
        assert message.usage.input_tokens + message.usage.cache_read_input_tokens == INPUT_TOKENS
        assert message.usage.output_tokens == OUTPUT_TOKENS


def test_the_sdks_read_errors():
    with (
        openai.OpenAI(**answering(OPENAI.error("some_error", "no"), 400)) as client,
        pytest.raises(openai.BadRequestError, match="no") as told,
    ):
        client.chat.completions.create(**OPENAI.ask("m"))
    assert told.value.type == "some_error"
    body = ANTHROPIC.error("some_error", "no")
    with (
        anthropic.Anthropic(**answering(body, 400)) as client,
        pytest.raises(anthropic.BadRequestError, match="no"),
    ):
        client.messages.create(**ANTHROPIC.ask("m"))


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_what_is_written_can_be_read(dialect: Dialect):
    stream = b"".join(dialect.frames())
    assert dialect.text_of(dialect.answer()) == TEXT
    assert dialect.text_of_stream(stream) == TEXT
    assert dialect.told_in_stream(stream) is None
    assert stream.endswith(dialect.end)
    error = dialect.error_frame("some_error", "no")
    assert dialect.told_in_stream(stream + error)[::2] == ("some_error", "no")
    assert dialect.told(dialect.error("some_error", "no")).message == "no"


def test_an_event_that_is_not_whole_is_none():
    assert events(b": hi\n\nevent: a\ndata: 1\n\ndata: 2\n\ndata: 3") == [(b"a", b"1"), (b"", b"2")]
