import msgspec
import pytest

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import Part, Reasoning, Refusal, Text, ToolCall
from modelmux.ir.request import Envelope
from modelmux.ir.response import FinishReason, Response, Usage
from modelmux.wire.openai_responses import response
from tests.support.cases import case
from tests.unit.wire.openai_responses.bodies import CALL, message, whole

COMPUTER = {"type": "computer_call", "id": "cu", "call_id": "c", "action": {}}


def decode(*output: object, **fields: object) -> Response:
    return response.decode(msgspec.json.encode(whole(*output, **fields)))


def encode(
    *parts: Part, reason: FinishReason = "stop", envelope: Envelope | None = None, id: str = "x-1"
) -> dict[str, object]:
    given = Response(id, "real", parts, reason, Usage(3, 2, 1), created_at_s=7)
    return msgspec.json.decode(response.encode(given, envelope or Envelope("asked")))


def test_an_answer_is_its_parts():
    found = decode(message("a", "b"), {**CALL, "id": "fc"})
    assert (found.id, found.model, found.created_at_s) == ("resp_1", "real", 7)
    assert [type(part) for part in found.parts] == [Text, Text, ToolCall]
    assert found.usage == Usage(3, 2)


@case(73, 84)
@pytest.mark.parametrize(
    ("output", "fields", "reason"),
    [
        ([message("a")], {}, "stop"),
        ([CALL], {}, "tool_call"),
        ([COMPUTER], {}, "tool_call"),
        (
            [message("a")],
            {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}},
            "length",
        ),
        (
            [],
            {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}},
            "content_filter",
        ),
    ],
)
def test_why_it_ended(output: list[object], fields: dict[str, object], reason: str):
    found = decode(*output, **fields)
    assert found.reason == reason
    body = msgspec.json.encode(whole(*output, **fields))
    assert response.summarise(body).reason == reason


@case(92)
@pytest.mark.parametrize(
    "fields",
    [
        {"error": {"code": "server_error", "message": "boom"}, "status": "failed"},
        {"status": "failed"},
        {"status": "cancelled"},
        {"object": "error", "message": "boom"},
        {"output": None},
        {"status": "in_progress"},
        {"output": [{"role": "user", "content": "x"}]},
        {"output": [{"type": "function_call"}]},
        {"output": 5},
    ],
)
def test_what_is_no_answer_is_the_targets_fault(fields: dict[str, object]):
    with pytest.raises(ProtocolViolation):
        decode(**fields)


def test_an_answer_that_is_under_way_is_no_failure():
    found = response.summarise(msgspec.json.encode(whole(status="queued", usage=None)))
    assert (found.reason, found.failure) == (None, None)
    with pytest.raises(ProtocolViolation):
        response.summarise(b'{"id":"x"}')


@case(108)
def test_an_answer_of_another_wire_says_all_that_sdks_expect():
    body = b'{"model":"asked","input":"x","temperature":0.5,"tools":[{"type":"web_search"}]}'
    told = encode(Text("a"), envelope=Envelope("asked", echo=body))
    assert told["id"] == "resp_x-1"
    assert (told["object"], told["model"], told["status"]) == ("response", "asked", "completed")
    assert (told["temperature"], told["tools"]) == (0.5, [{"type": "web_search"}])
    assert told["parallel_tool_calls"] is True
    assert told["usage"]["input_tokens_details"]["cached_tokens"] == 1
    assert told["output"][0]["content"][0]["text"] == "a"


def test_the_gateway_may_give_the_answer_a_name():
    given = Envelope("asked", answer_id="resp_ours")
    assert encode(envelope=given)["id"] == "resp_ours"
    assert encode(envelope=given, id="resp_theirs")["id"] == "resp_theirs"


@case(73, 76)
def test_endings_are_said_in_the_apis_words():
    told = encode(Refusal("no"), reason="length")
    assert told["status"] == "incomplete"
    assert told["incomplete_details"] == {"reason": "max_output_tokens"}
    assert told["output"][0]["content"] == [{"type": "refusal", "refusal": "no"}]


@case(55)
def test_reasoning_of_another_wire_can_come_back():
    (item,) = encode(Reasoning("t", "sig", origin="anthropic.messages"))["output"]
    assert item["summary"] == [{"type": "summary_text", "text": "t"}]
    assert item["encrypted_content"] == "modelmux/anthropic.messages:s:sig"


def test_another_name_is_all_that_changes():
    body = b'{ "model" : "real", "output": [] }'
    assert response.rename(body, "asked") == b'{ "model" : "asked", "output": [] }'
    assert response.rename(b"{}", "asked") == b"{}"
    assert response.rename(b"[", "asked") == b"["
