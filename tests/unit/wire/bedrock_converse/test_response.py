import msgspec
import pytest
from msgspec import Raw

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
)
from modelmux.ir.response import Response
from modelmux.wire.bedrock_converse import response as responses
from tests.support import amazon
from tests.support.cases import case
from tests.support.goldens import ROOT, Golden, goldens


@pytest.mark.parametrize("golden", goldens("response.json"), ids=str)
def test_amazons_sdk_reads_what_every_answer_becomes(golden: Golden):
    answer = golden.wire.decode_response(golden.read())
    read = amazon.parsed(responses.encode(answer))
    assert read["output"]["message"]["role"] == "assistant"
    assert read["usage"]["outputTokens"] == answer.usage.output_tokens
    calls = [part.name for part in answer.parts if isinstance(part, ToolCall)]
    blocks = read["output"]["message"]["content"]
    assert [
        b["toolUse"]["name"] for b in blocks if "type" not in b.get("toolUse", {"type": 1})
    ] == calls


@case(78)
def test_a_cited_text_knows_its_place_in_the_answer():
    found = responses.decode((ROOT / "bedrock.converse/citations/response.json").read_bytes())
    first = found.parts[0]
    assert isinstance(first, Text)
    assert [(c.start_index, c.end_index) for c in first.citations] == [(0, 10), (0, 10)]
    assert first.citations[1].url == "https://example.com/news"


def test_it_has_neither_id_nor_model():
    found = responses.decode((ROOT / "bedrock.converse/minimal/response.json").read_bytes())
    assert (found.id, found.model) == ("", "")


@pytest.mark.parametrize(
    ("part", "said"),
    [
        (Refusal("no"), {"text": "no"}),
        (
            Blob("image", "image/bmp", "eA=="),
            {"image": {"format": "bmp", "source": {"bytes": "eA=="}}},
        ),
        (File("image", "f", "o"), {"text": "[image]"}),
        (Reasoning(encrypted="x", origin="another"), None),
        (Generic("x", "another", Raw(b"{}")), None),
        (ServerToolCall("s", "n"), None),
    ],
)
def test_parts_of_other_wires_are_said_as_far_as_they_go(part: Part, said: object):
    assert responses.answer_block(part) == said


@case(74)
def test_an_answer_that_calls_a_tool_says_so():
    body = responses.encode(Response("i", "m", (ToolCall("t", "f", "{}"),), "stop"))
    assert msgspec.json.decode(body)["stopReason"] == "tool_use"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"output":5,"stopReason":5}', b"<html>"])
def test_what_is_no_answer_is_a_violation(body: bytes):
    with pytest.raises(ProtocolViolation):
        responses.summarise(body)


@case(94)
def test_an_error_in_a_200_is_a_failure():
    summary = responses.summarise(b'{"__type":"ThrottlingException","message":"slow"}')
    assert summary.failure is not None
    assert (summary.failure.kind, summary.failure.status) == ("rate_limit", 429)
