import msgspec
import pytest
from openai.types import Completion

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import Reasoning, Refusal, Text, ToolCall
from modelmux.ir.request import Envelope
from modelmux.ir.response import Response, Usage
from modelmux.wire.openai_completions import response
from tests.support.cases import case


def test_an_answer_is_its_text():
    given = Response(
        "x",
        "real",
        (Reasoning("t"), Text("a"), ToolCall("c", "f"), Refusal("b")),
        "length",
        Usage(3, 2),
        created_at_s=7,
    )
    body = response.encode(given, Envelope("asked"))
    told = Completion.model_validate_json(body)
    assert (told.choices[0].text, told.choices[0].finish_reason) == ("ab", "length")
    assert told.model == "asked"
    assert told.usage is not None
    assert told.usage.total_tokens == 5
    again = response.decode(body)
    assert (again.parts, again.reason, again.usage) == ((Text("ab"),), "length", Usage(3, 2))


@case(73)
def test_calls_that_cannot_be_told_are_no_reason_to_end():
    given = Response("x", "real", (ToolCall("c", "f"),), "stop")
    assert b'"finish_reason":"stop"' in response.encode(given, Envelope("asked"))


@case(92)
@pytest.mark.parametrize(
    "body",
    [
        b'{"error":{"message":"boom"}}',
        b'{"object":"error","message":"boom"}',
        b'{"choices":[]}',
        b'{"choices":5}',
        b"[",
    ],
)
def test_what_is_no_answer_is_the_targets_fault(body: bytes):
    with pytest.raises(ProtocolViolation):
        response.decode(body)


def test_a_summary_says_what_failed():
    assert response.summarise(b'{"error":{"message":"boom"}}').failure is not None
    for body in (b"{}", b"["):
        with pytest.raises(ProtocolViolation):
            response.summarise(body)


def test_other_choices_come_back_on_this_wire():
    body = msgspec.json.encode(
        {
            "id": "x",
            "object": "text_completion",
            "created": 7,
            "model": "m",
            "choices": [
                {"text": "a", "index": 0, "logprobs": None, "finish_reason": "stop"},
                {"text": "b", "index": 1, "odd": 1, "finish_reason": "stop"},
            ],
        }
    )
    assert response.encode(response.decode(body), Envelope("")) == body
