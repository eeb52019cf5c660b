import asyncio

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import InvalidRequest, Unrepresentable
from modelmux.ir import events as ev
from modelmux.ir.request import Envelope
from modelmux.provider.echo import NAME, NOTHING_SAID, Echo
from modelmux.target.call import Call
from modelmux.target.reply import Reply
from modelmux.wire import anthropic_messages, openai_chat
from modelmux.wire.base import Operation, Wire

OPENAI = openai_chat.WIRE
ANTHROPIC = anthropic_messages.WIRE
NOW = 1_795_000_000.5


def call(
    *messages: object, wire: Wire = OPENAI, stream: bool = False, operation: Operation = "chat"
) -> Call:
    fields: dict[str, object] = {"model": NAME, "stream": stream, "messages": messages}
    if wire is ANTHROPIC and operation == "chat":
        fields["max_tokens"] = 100
    body = msgspec.json.encode(fields)
    return Call(wire, body, wire.envelope(body), operation=operation, id="c1")


def user(content: object) -> object:
    return {"role": "user", "content": content}


def send(asked: Call) -> Reply:
    return asyncio.run(Echo(lambda: NOW).send(asked))


def said(asked: Call) -> str:
    """The text of the whole answer."""

    async def run() -> str:
        reply = await Echo(lambda: NOW).send(asked)
        (part,) = (await reply.response()).parts
        return part.text  # type: ignore[union-attr]

    return asyncio.run(run())


def events(asked: Call) -> list[ev.Event]:
    async def run() -> list[ev.Event]:
        reply = await Echo(lambda: NOW).send(asked)
        return [event async for event in reply.events()]

    return asyncio.run(run())


def test_it_answers_with_the_callers_last_words():
    assert said(call(user("one"), {"role": "assistant", "content": "two"}, user("three"))) == (
        "three"
    )


def test_what_stands_in_other_roles_is_not_echoed():
    assert said(call(user("one"), {"role": "system", "content": "two"})) == "one"


def test_several_texts_of_a_message_are_lines():
    texts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    assert said(call(user(texts))) == "one\ntwo"


def test_a_caller_without_words_is_told_what_to_do():
    image = {"type": "image_url", "image_url": {"url": "https://example.invalid/x.png"}}
    assert said(call(user([image]))) == NOTHING_SAID


def test_an_older_text_is_echoed_where_the_last_message_has_none():
    image = {"type": "image_url", "image_url": {"url": "https://example.invalid/x.png"}}
    assert said(call(user("before"), user([image]))) == "before"


def test_the_answer_is_dated_and_says_which_model_was_asked_for():
    async def run() -> None:
        reply = await Echo(lambda: NOW).send(call(user("hi")))
        assert reply.target == NAME
        response = await reply.response()
        assert response.created_at_s == int(NOW)
        assert response.model == NAME
        assert response.id == "echo-c1"
        assert response.reason == "stop"
        assert response.usage.estimated
        assert response.usage.input_tokens > 0
        assert response.usage.output_tokens == 1

    asyncio.run(run())


@given(st.text(max_size=60))
def test_a_stream_says_the_same_word_by_word(text: str):
    got = events(call(user(text), stream=True))
    ev.check(got)
    assert ev.fold(got).parts == ev.fold(events(call(user(text)))).parts
    deltas = [event.text for event in got if isinstance(event, ev.PartDelta)]
    assert "".join(deltas) == text
    assert all(deltas)


def test_a_stream_has_one_piece_for_each_word():
    got = events(call(user("one two  three \n"), stream=True))
    assert [event.text for event in got if isinstance(event, ev.PartDelta)] == [
        "one",
        " two",
        "  three",
        " \n",
    ]


def test_it_counts_tokens_as_a_guess():
    asked = call(user("x" * 40), wire=ANTHROPIC, operation="count_tokens")

    async def run() -> bytes:
        reply = await Echo(lambda: NOW).send(asked)
        assert reply.losses
        return await reply.body(ANTHROPIC, asked.envelope)

    assert msgspec.json.decode(asyncio.run(run())) == {"input_tokens": 14}


def test_a_body_that_is_no_request_is_the_callers_mistake():
    with pytest.raises(InvalidRequest):
        send(call({"role": "nobody"}))


@pytest.mark.parametrize("wire", [OPENAI, ANTHROPIC], ids=lambda wire: wire.name)
@pytest.mark.parametrize("stream", [False, True])
def test_it_answers_every_wire(wire: Wire, stream: bool):
    asked = call(user("hello"), wire=wire, stream=stream)

    async def run() -> bytes:
        reply = await Echo(lambda: NOW).send(asked)
        if stream:
            return b"".join([piece async for piece in reply.stream(wire, asked.envelope)])
        return await reply.body(wire, asked.envelope)

    assert b"hello" in asyncio.run(run())


def test_it_has_no_other_operation_than_chat():
    body = b'{"model":"modelmux/echo","input":"x"}'
    asked = Call(OPENAI, body, Envelope(NAME), operation="embeddings")
    with pytest.raises(Unrepresentable, match="no embeddings"):
        send(asked)
