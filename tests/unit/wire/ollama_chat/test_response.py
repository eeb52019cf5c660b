import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import Blob, Generic, Reasoning, Refusal, Text, ToolCall, Uri
from modelmux.ir.request import Envelope
from modelmux.ir.response import Response, Usage
from modelmux.wire.ollama_chat import response as responses
from tests.support.cases import case

RESPONSE = Response(
    "r",
    "m",
    (
        Reasoning("hm", "s", origin="anthropic.messages"),
        Text("a"),
        Refusal("b"),
        ToolCall("toolu_1", "f", "not json"),
        ToolCall("toolu_2", "f", ""),
        Blob("image", "image/png", "eA=="),
        Uri("image", "https://x/a"),
        Generic("x", "anthropic.messages", Raw(b"{}")),
    ),
    "tool_call",
    Usage(3, 4),
    created_at_s=1_700_000_000,
)


def test_an_answer_of_another_wire_is_one_message() -> None:
    assert msgspec.json.decode(responses.encode_chat(RESPONSE, Envelope("asked"))) == {
        "model": "asked",
        "created_at": "2023-11-14T22:13:20Z",
        "message": {
            "role": "assistant",
            "content": "ab[image: https://x/a]",
            "thinking": "hm",
            "tool_calls": [
                {"id": "toolu_1", "function": {"name": "f", "arguments": {"input": "not json"}}},
                {"id": "toolu_2", "function": {"name": "f", "arguments": {}}},
            ],
            "images": ["eA=="],
        },
        "done": True,
        "done_reason": "stop",
        "prompt_eval_count": 3,
        "eval_count": 4,
    }


def test_a_generated_answer_is_text_and_thinking() -> None:
    said = msgspec.json.decode(responses.encode_generate(RESPONSE, Envelope("asked")))
    assert (said["response"], said["thinking"]) == ("ab[image: https://x/a]", "hm")
    assert "message" not in said


@case(26, 74)
def test_calls_get_ids_that_differ_from_those_of_other_answers() -> None:
    def ids(created_at: str) -> list[str]:
        call = {"function": {"name": "f", "arguments": {}}}
        message = {"role": "assistant", "content": "", "tool_calls": [call, call]}
        body = msgspec.json.encode({"created_at": created_at, "message": message, "done": True})
        response = responses.decode_chat(body)
        assert response.reason == "tool_call"
        assert responses.summarise(body).reason == "tool_call"
        return [part.id for part in response.parts if isinstance(part, ToolCall)]

    assert len({*ids("2026-11-20T09:15:30.1Z"), *ids("2026-11-20T09:15:30.2Z")}) == 4


@pytest.mark.parametrize("decode", [responses.decode_chat, responses.decode_generate])
def test_what_is_no_answer_is_refused(decode: object) -> None:
    for body in (b"{}", b"[]", b"<html>", b'{"error":"boom"}', b'{"done":true}'):
        with pytest.raises(ProtocolViolation):
            decode(body)  # type: ignore[operator]
    with pytest.raises(ProtocolViolation):
        responses.summarise(b"{}")
    with pytest.raises(ProtocolViolation):
        responses.rename(b"[", "m")


def test_an_error_in_a_200_is_a_failure() -> None:
    failure = responses.summarise(b'{"error":"boom"}').failure
    assert failure is not None
    assert failure.message == "boom"


def test_an_answer_is_under_the_name_that_was_asked_for() -> None:
    body = b'{"model":"qwen3","response":"x"}'
    assert responses.rename(body, "fast") == b'{"model":"fast","response":"x"}'
    assert responses.rename(b'{"response":"x"}', "fast") == b'{"response":"x"}'
