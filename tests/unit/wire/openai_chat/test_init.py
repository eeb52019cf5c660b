import httpx2
import msgspec
import openai
import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from modelmux.ir import events as ev
from modelmux.ir.parts import Citation, Part, Reasoning, Refusal, Text, ToolCall
from modelmux.ir.request import Envelope
from modelmux.ir.response import Response, Usage
from modelmux.wire.base import Wire
from modelmux.wire.openai_chat import NAME, WIRE, OpenAIChat
from tests.support.cases import case
from tests.support.goldens import Golden, goldens
from tests.unit.wire.openai_chat.chat import ENVELOPE, answer, body, chunk, frames

ANSWERS: list[tuple[Part, ...]] = [
    (),
    (Text("It is "), Text("so.", (Citation("https://a.example", "A", wire="other"),))),
    (Reasoning("why", "sig", origin="anthropic.messages"), Text("so")),
    (Reasoning("why", origin=NAME), Text("so")),
    (Refusal("no"),),
    (Text("so"), ToolCall("c1", "f", '{"a":1}'), ToolCall("c2", "g", "")),
    (ToolCall("c1", "f", '{"a":1}'),),
]
answers = pytest.mark.parametrize("parts", ANSWERS)


def whole(parts: tuple[Part, ...]) -> Response:
    reason = "tool_call" if any(isinstance(part, ToolCall) for part in parts) else "stop"
    return Response("r1", "real", parts, reason, Usage(10, 5, 3, 2), created_at_s=7)


def test_the_wire_is_a_wire() -> None:
    wire: Wire = WIRE
    assert isinstance(wire, OpenAIChat)
    assert wire.name == NAME == "openai.chat"


def test_every_operation_is_there() -> None:
    given = body(stream=True)
    envelope = WIRE.envelope(given)
    request = WIRE.decode_request(WIRE.readdress(given, envelope, "real", ask_usage=True))
    assert (request.model, request.include_usage) == ("real", True)
    assert WIRE.decode_request(WIRE.encode_request(request).body) == request
    whole_answer = answer({"role": "assistant", "content": "a"})
    assert WIRE.decode_response(WIRE.rename(whole_answer, "asked")).model == "asked"
    assert WIRE.summarise(whole_answer).reason == "stop"
    failure = WIRE.decode_error(404, b'{"error":{"message":"m"}}')
    assert WIRE.decode_error(404, WIRE.encode_error(failure)) == failure
    assert WIRE.relay(envelope, None).feed(chunk({"content": "a"})) == chunk({"content": "a"})


@answers
@case(79, 96, 102)
def test_the_official_sdk_reads_our_answers(parts: tuple[Part, ...]) -> None:
    raw = WIRE.encode_response(whole(parts), Envelope("asked"))
    read = ChatCompletion.model_validate_json(raw, strict=True)
    assert read.model == "asked"
    assert read.usage is not None
    assert read.usage.total_tokens == 15
    calls = read.choices[0].message.tool_calls or []
    assert len(calls) == sum(isinstance(part, ToolCall) for part in parts)


@answers
@case(21, 22, 79, 91, 96)
def test_the_official_sdk_collects_our_streams_to_the_same_answer(parts: tuple[Part, ...]) -> None:
    encoder = WIRE.encoder(ENVELOPE)
    sent = b"".join(encoder.encode(event) for event in ev.unfold(whole(parts)))
    state = ChatCompletionStreamState()
    for value in frames(sent)[:-1]:
        ChatCompletionChunk.model_validate_json(msgspec.json.encode(value), strict=True)
        state.handle_chunk(ChatCompletionChunk.model_validate(value))
    streamed = state.get_final_completion()
    read = ChatCompletion.model_validate_json(WIRE.encode_response(whole(parts), ENVELOPE))
    assert streamed.usage == read.usage
    one, other = streamed.choices[0], read.choices[0]
    assert one.finish_reason == other.finish_reason
    assert (one.message.content or "") == (other.message.content or "")
    assert one.message.refusal == other.message.refusal
    assert [call.function.arguments for call in one.message.tool_calls or []] == [
        call.function.arguments for call in other.message.tool_calls or []
    ]


@pytest.mark.parametrize(
    "golden",
    [golden for golden in goldens("response.json") if golden.wire_name == NAME],
    ids=str,
)
def test_the_official_sdk_reads_our_goldens(golden: Golden) -> None:
    ChatCompletion.model_validate_json(golden.read())


@case(102)
def test_the_official_sdk_reads_our_errors() -> None:
    failure = WIRE.decode_error(
        429, b'{"error":{"message":"slow down","code":"rate_limit_exceeded"}}'
    )
    error = openai.APIError(
        "429",
        httpx2.Request("POST", "http://127.0.0.1"),
        body=msgspec.json.decode(WIRE.encode_error(failure))["error"],
    )
    assert (error.code, error.type) == ("rate_limit_exceeded", "rate_limit_error")
