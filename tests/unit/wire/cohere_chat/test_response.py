import msgspec
import pytest
from cohere.v2.types.v2chat_response import V2ChatResponse
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import (
    Blob,
    File,
    Generic,
    Part,
    Reasoning,
    Refusal,
    ServerToolCall,
    Text,
    ToolCall,
    Uri,
)
from modelmux.ir.response import Response, Usage
from modelmux.wire.cohere_chat import content
from modelmux.wire.cohere_chat import response as responses
from modelmux.wire.cohere_chat.schema import NAME
from tests.support.cases import case
from tests.support.goldens import ROOT, Golden, goldens


@pytest.mark.parametrize("golden", goldens("response.json"), ids=str)
def test_coheres_sdk_reads_what_every_answer_becomes(golden: Golden):
    answer = golden.wire.decode_response(golden.read())
    if golden.wire_name == NAME:  # what its own SDK does not know yet stays
        answer = replace(answer, parts=tuple(p for p in answer.parts if type(p) is not Generic))
    read = V2ChatResponse.model_validate_json(responses.encode(answer))
    assert read.finish_reason
    calls = [part.name for part in answer.parts if isinstance(part, ToolCall)]
    assert [call.function.name for call in read.message.tool_calls or () if call.function] == calls


def pieces(*parts: Part) -> object:
    body = msgspec.json.decode(responses.encode(Response("i", "m", parts, "stop", Usage(1, 1))))
    return body["message"].get("content")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Text("a"), {"type": "text", "text": "a"}),
        (Refusal("no"), {"type": "text", "text": "no"}),
        (Reasoning("so", origin="another"), {"type": "thinking", "thinking": "so"}),
        (Blob("image", "image/png", "aGk="), {"type": "text", "text": "[image: image/png]"}),
        (Uri("image", "https://x"), {"type": "text", "text": "[image: https://x]"}),
        (File("document", "f", "another"), {"type": "text", "text": "[document: file]"}),
        (Generic("later", NAME, Raw(b'{"type":"later"}')), {"type": "later"}),
    ],
)
def test_pieces_of_answers(part: Part, said: object):
    assert pieces(part) == [said]


@pytest.mark.parametrize(
    "part",
    [
        Reasoning(encrypted="x", origin="another"),
        Generic("later", "another", Raw(b"{}")),
        ServerToolCall("s1", "web_search", "{}", "another", Raw(b"{}")),
    ],
)
def test_what_the_api_has_no_word_for_is_left_out(part: Part):
    assert pieces(part) is None


def test_a_plan_stands_before_its_calls():
    found = responses.decode((ROOT / "cohere.chat/tools/response.json").read_bytes())
    assert found.reason == "tool_call"
    assert found.parts[0] == content.plan("I will ask for both.")
    assert [part.name for part in found.parts[1:] if isinstance(part, ToolCall)] == [
        "get_weather",
        "get_time",
    ]


@case(78)
def test_cited_texts_know_by_what():
    found = responses.decode((ROOT / "cohere.chat/citations/response.json").read_bytes())
    (text,) = found.parts
    assert isinstance(text, Text)
    assert text.citations[0].url == "https://example.com/w"


def test_citations_of_thinking_stay_with_the_answer():
    body = b'{"id":"i","finish_reason":"COMPLETE","message":{"role":"assistant","content":[{"type":"text","text":"a"}],"citations":[{"type":"PLAN"}]}}'  # noqa: E501
    found = responses.decode(body)
    assert found.parts == (Text("a"),)
    assert msgspec.json.decode(responses.encode(found))["message"]["citations"] == [
        {"type": "PLAN"}
    ]


@case(94)
def test_an_error_with_a_success_is_a_failure():
    found = responses.summarise(b'{"message":"no such luck"}')
    assert found.failure is not None
    assert found.failure.message == "no such luck"
    with pytest.raises(ProtocolViolation):
        responses.decode(b'{"message":"no such luck"}')


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b"<html>"])
def test_what_is_no_answer_is_not_taken_for_one(body: bytes):
    with pytest.raises(ProtocolViolation):
        responses.summarise(body)
    with pytest.raises(ProtocolViolation):
        responses.decode(body)
