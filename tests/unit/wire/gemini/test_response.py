import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import (
    Blob,
    Citation,
    File,
    Generic,
    Part,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
)
from modelmux.ir.request import Envelope
from modelmux.ir.response import Response, Usage
from modelmux.wire.gemini import response as responses
from tests.support.cases import case

Body = dict[str, object]


def answer(*parts: object, finish: str | None = "STOP", **more: object) -> bytes:
    candidate = {"content": {"parts": list(parts), "role": "model"}, "finishReason": finish}
    return msgspec.json.encode({"candidates": [candidate], "responseId": "r", **more})


def said(*parts: Part, **changes: object) -> Body:
    made = Response("r", "m", parts, "stop", Usage(1, 2))
    return msgspec.json.decode(
        responses.encode(msgspec.structs.replace(made, **changes), Envelope("asked")), type=Body
    )


@case(26, 74)
def test_calls_get_ids_and_the_answer_ends_for_them() -> None:
    call = {"functionCall": {"name": "f", "args": {}}}
    response = responses.decode(answer(call, call))
    assert [part.id for part in response.parts] == ["gem_r_0", "gem_r_1"]  # type: ignore[union-attr]
    assert response.reason == "tool_call"
    assert responses.summarise(answer(call)).reason == "tool_call"


@case(75)
def test_a_blocked_prompt_is_an_empty_answer() -> None:
    body = b'{"promptFeedback":{"blockReason":"SAFETY"},"usageMetadata":{"promptTokenCount":2}}'
    response = responses.decode(body)
    assert (response.parts, response.reason) == ((), "content_filter")
    assert responses.summarise(body).reason == "content_filter"


@case(78)
def test_grounding_is_citations_of_the_text() -> None:
    grounding = {
        "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
        "groundingSupports": [{"segment": {"endIndex": 2}, "groundingChunkIndices": [0]}],
    }
    body = msgspec.json.encode(
        {
            "candidates": [
                {
                    "content": {"parts": [{"text": "abc"}, {"functionCall": {"name": "f"}}]},
                    "groundingMetadata": grounding,
                }
            ]
        }
    )
    text = responses.decode(body).parts[0]
    assert isinstance(text, Text)
    assert text.citations == (Citation("https://a", "A", None, 0, 2, "gemini"),)


@case(99)
def test_a_list_of_pieces_is_joined() -> None:
    body = b"[" + answer({"text": "a"}, finish=None) + b"," + answer({"text": "b"}) + b"]"
    assert responses.decode(body).parts == (Text("ab"),)
    assert responses.summarise(body).reason == "stop"
    with pytest.raises(ProtocolViolation, match="ended before"):
        responses.decode(b"[" + answer({"text": "a"}, finish=None) + b"]")


@case(106)
@pytest.mark.parametrize("wrap", [b"%b", b"[%b]"])
def test_an_error_in_a_200_is_a_failure(wrap: bytes) -> None:
    body = wrap % b'{"error":{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED"}}'
    failure = responses.summarise(body).failure
    assert failure is not None
    assert failure.kind == "rate_limit"
    with pytest.raises(ProtocolViolation, match="quota"):
        responses.decode(body)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"<html>", b'{"candidates":7}', b"[7]"])
def test_what_is_no_answer_is_refused(body: bytes) -> None:
    for read in (responses.decode, responses.summarise):
        with pytest.raises(ProtocolViolation):
            read(body)


def test_a_count_of_tokens_is_no_failure() -> None:
    assert responses.summarise(b'{"totalTokens":3}').failure is None


def test_an_answer_is_under_the_name_that_was_asked_for() -> None:
    body = answer({"text": "a"}, modelVersion="gemini-2.5-flash-001")
    assert msgspec.json.decode(responses.rename(body, "fast"))["modelVersion"] == "fast"
    assert responses.rename(answer(), "fast") == answer()
    listed = msgspec.json.decode(responses.rename(b"[" + body + b"]", "fast"))
    assert listed[0]["modelVersion"] == "fast"
    for bad in (b"[", b"x"):
        with pytest.raises(ProtocolViolation):
            responses.rename(bad, "fast")


def test_an_answer_of_another_wire_is_said_whole() -> None:
    body = said(
        Reasoning("hm", "c2ln", origin="anthropic.messages"),
        Text("a", (Citation("https://a", start_index=0, end_index=1),)),
        Refusal("no"),
        ToolCall("toolu_1", "f", "not json"),
        Blob("image", "image/png", "eA=="),
        File("image", "f", "openai.chat"),
        ServerToolCall("1", "web_search", "{}", "anthropic.messages"),
        ServerToolResult("1", "x", "anthropic.messages", Raw(b"{}")),
        Generic("x", "anthropic.messages", Raw(b"{}")),
        ToolResult("1"),
        Reasoning("", encrypted=None, origin="openai.chat"),
    )
    candidate = body["candidates"][0]  # type: ignore[index]
    assert [list(part) for part in candidate["content"]["parts"]] == [
        ["text", "thought", "thoughtSignature"],
        ["text"],
        ["text"],
        ["functionCall"],
        ["inlineData"],
        ["text"],
    ]
    assert candidate["citationMetadata"]["citations"][0]["uri"] == "https://a"
    assert candidate["index"] == 0
    assert body["modelVersion"] == "asked"
    assert body["usageMetadata"]["totalTokenCount"] == 3  # type: ignore[index]


def test_a_whole_answer_to_a_stream_as_an_array_is_one() -> None:
    envelope = Envelope("m", stream=True, spelling=frozenset({responses.AS_ARRAY}))
    body = responses.encode(Response("r", "m", (Text("a"),), "stop"), envelope)
    assert len(msgspec.json.decode(body)) == 1
