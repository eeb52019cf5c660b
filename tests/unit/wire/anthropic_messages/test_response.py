import msgspec
import pytest
from anthropic.types import Message as SdkMessage
from anthropic.types.beta import BetaMessage
from msgspec import Raw

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import (
    Blob,
    Citation,
    Extra,
    File,
    Generic,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.request import Envelope
from modelmux.ir.response import Response, Summary, Usage
from modelmux.wire.anthropic_messages import response as responses
from modelmux.wire.anthropic_messages.schema import NAME
from tests.support.cases import case
from tests.support.goldens import goldens

OWN = [golden for golden in goldens("response.json") if golden.wire_name == NAME]
FOREIGN = [golden for golden in goldens("response.json") if golden.wire_name != NAME]
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [{"type": "text", "text": "hi"}],
    "stop_reason": "end_turn",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
USAGE = Usage(3, 2, extra=Extra(NAME, {}))


def decode(**fields: object) -> Response:
    return responses.decode(msgspec.json.encode({**MESSAGE, **fields}))


def encode(*parts, reason="stop", **fields: object) -> dict[str, object]:
    response = Response("id", "their-name", parts, reason, **fields)
    body = responses.encode(response, Envelope("the-asked-name"))
    SdkMessage.model_validate_json(body)
    return msgspec.json.decode(body)


def test_an_answer_is_read():
    assert decode() == Response("msg_1", "claude", (Text("hi"),), "stop", USAGE)


@case(48, 73)
def test_why_an_answer_ended_is_read():
    stopped = decode(stop_reason="stop_sequence", stop_sequence="END")
    assert (stopped.reason, stopped.stop_sequence, stopped.extra) == ("stop", "END", None)


@case(54, 73)
def test_what_has_no_neutral_word_is_kept():
    response = decode(
        stop_reason="pause_turn",
        container={"id": "c"},
        stop_details=None,
        context_management={"applied_edits": []},
        x=1,
        usage={**MESSAGE["usage"], "service_tier": "batch", "y": 2},
    )
    assert response.extra == Extra(
        NAME,
        {
            "/x": Raw(b"1"),
            "/container": Raw(b'{"id":"c"}'),
            "/stop_details": Raw(b"null"),
            "/context_management": Raw(b'{"applied_edits":[]}'),
            "/stop_reason": Raw(b'"pause_turn"'),
        },
    )
    assert response.usage.extra == Extra(NAME, {"/service_tier": Raw(b'"batch"'), "/y": Raw(b"2")})


@case(78)
def test_citations_say_which_part_of_the_whole_answer_they_support():
    cited = {"type": "web_search_result_location", "url": "u", "cited_text": "c"}
    response = decode(
        content=[
            {"type": "text", "text": "So "},
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "it is", "citations": [cited, cited]},
            {"type": "text", "text": "."},
        ]
    )
    (text,) = [part for part in response.parts if isinstance(part, Text) and part.citations]
    raw = Raw(msgspec.json.encode(cited))
    assert text.citations == (Citation("u", None, "c", 3, 8, NAME, raw),) * 2


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"", None),
        (b"[]", None),
        (b'{"type":"error","error":{"type":"api_error","message":"m"}}', "error"),
        (msgspec.json.encode({**MESSAGE, "content": "hi"}), "content"),
        (msgspec.json.encode({**MESSAGE, "content": [{"type": "text"}]}), "content[0].text"),
        (msgspec.json.encode({**MESSAGE, "usage": {"input_tokens": "3"}}), "usage.input_tokens"),
    ],
)
def test_what_is_no_answer_is_a_violation(body, param):
    with pytest.raises(ProtocolViolation) as caught:
        responses.decode(body)
    assert param is None or caught.value.param is not None


@pytest.mark.parametrize(
    "golden", [golden for golden in OWN if golden.case != "unknown-fields"], ids=str
)
def test_the_sdk_reads_what_is_written(golden):
    body = responses.encode(responses.decode(golden.read()), Envelope(""))
    BetaMessage.model_validate_json(body)


@pytest.mark.parametrize("golden", FOREIGN, ids=str)
def test_the_sdk_reads_every_answer_of_another_wire(golden):
    response = golden.wire.decode_response(golden.read())
    read = SdkMessage.model_validate_json(responses.encode(response, Envelope("asked")))
    assert read.model == "asked"
    calls = [part.name for part in response.parts if isinstance(part, ToolCall)]
    assert [block.name for block in read.content if block.type == "tool_use"] == calls


def test_an_answer_of_another_wire_is_written():
    assert encode(Text("hi"), usage=Usage(10, 5, 4)) == {
        "id": "id",
        "type": "message",
        "role": "assistant",
        "model": "the-asked-name",
        "content": [{"type": "text", "text": "hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 6,
            "output_tokens": 5,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 4,
        },
    }


@case(108)
def test_the_model_has_the_name_that_was_asked_for():
    response = Response("id", "their-name", (), "stop")
    for asked, said in (("asked", "asked"), ("", "their-name")):
        body = msgspec.json.decode(responses.encode(response, Envelope(asked)))
        assert body["model"] == said


@case(48, 73)
@pytest.mark.parametrize(
    ("part", "reason", "sequence", "said"),
    [
        (Text("a"), "stop", None, "end_turn"),
        (Text("a"), "stop", "END", "stop_sequence"),
        (Text("a"), "length", None, "max_tokens"),
        (Text("a"), "content_filter", None, "refusal"),
        (ToolCall("i", "f"), "tool_call", None, "tool_use"),
        (ToolCall("i", "f"), "stop", None, "tool_use"),
        (Refusal("no"), "stop", None, "refusal"),
    ],
)
def test_why_an_answer_ended_is_said(part, reason, sequence, said):
    body = encode(part, reason=reason, stop_sequence=sequence)
    assert (body["stop_reason"], body["stop_sequence"]) == (said, sequence)


@case(20, 22, 31, 33, 58, 76)
@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Refusal("no"), {"type": "text", "text": "no"}),
        (
            ToolCall("i", "f", '{"a":'),
            {"type": "tool_use", "id": "i", "name": "f", "input": {"invalid_json": '{"a":'}},
        ),
        (
            ToolCall("i", "f", "x", custom=True),
            {"type": "tool_use", "id": "i", "name": "f", "input": {"input": "x"}},
        ),
        (
            Reasoning("t", "s", origin=NAME),
            {"type": "thinking", "thinking": "t", "signature": "s"},
        ),
        (
            Reasoning("t", "theirs", origin="other"),
            {"type": "thinking", "thinking": "t", "signature": "modelmux/other:s:theirs"},
        ),
        (
            Reasoning("t", encrypted="theirs", origin="other"),
            {"type": "thinking", "thinking": "t", "signature": "modelmux/other:e:theirs"},
        ),
        (
            Reasoning(encrypted="theirs", origin="other"),
            {"type": "redacted_thinking", "data": "modelmux/other:e:theirs"},
        ),
        (Reasoning(origin="other"), None),
        (
            Reasoning(encrypted="o", origin=NAME),
            {"type": "redacted_thinking", "data": "o"},
        ),
        (ServerToolCall("i", "search", origin="other"), None),
        (ServerToolResult("i", "x", "other", Raw(b"{}")), None),
        (Generic("x", "other", Raw(b"{}")), None),
        (ToolResult("i"), None),
        (Blob("image", "image/png", "A"), {"type": "text", "text": "[image: image/png]"}),
        (Uri("image", "https://x"), {"type": "text", "text": "[image: https://x]"}),
        (File("document", "f", "other"), {"type": "text", "text": "[document: file]"}),
    ],
)
def test_parts_of_another_wire_are_said_or_left_out(part, block):
    assert encode(part)["content"] == ([] if block is None else [block])


@case(78)
def test_citations_of_another_wire_are_of_web_pages():
    cited = (Citation("https://x", "t", None, 0, 1), Citation(title="nowhere"))
    (block,) = encode(Text("a", cited))["content"]
    assert block["citations"] == [
        {
            "type": "web_search_result_location",
            "url": "https://x",
            "title": "t",
            "cited_text": "",
            "encrypted_index": "",
        }
    ]


def test_a_summary_says_what_is_known_of_an_answer():
    body = msgspec.json.encode({**MESSAGE, "stop_reason": "max_tokens", "content": []})
    summary = responses.summarise(body)
    assert (summary.usage, summary.reason, summary.failure) == (USAGE, "length", None)


def test_a_summary_keeps_counts_of_a_later_version():
    usage = {"input_tokens": 3, "output_tokens": 2, "x": 1}
    body = msgspec.json.encode({**MESSAGE, "usage": usage})
    assert responses.summarise(body).usage == responses.decode(body).usage


@case(107)
def test_an_error_under_status_200_is_a_failure():
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"busy"}}'
    failure = responses.summarise(body).failure
    assert failure is not None
    assert (failure.kind, failure.status) == ("overloaded", 529)


@case(110)
def test_a_number_of_tokens_is_an_answer_that_used_nothing():
    assert responses.summarise(b'{"input_tokens":2095}') == Summary()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"x":1}', b'{"content":[],"usage":7}'])
def test_there_is_no_summary_of_what_is_no_answer(body):
    with pytest.raises(ProtocolViolation):
        responses.summarise(body)


@case(108)
@pytest.mark.parametrize("golden", OWN, ids=str)
def test_renaming_changes_the_model_and_nothing_else(golden):
    body = golden.read()
    renamed = msgspec.json.decode(responses.rename(body, "asked"))
    assert renamed == msgspec.json.decode(body) | {"model": "asked"}


def test_an_answer_without_a_name_has_none_to_change():
    assert responses.rename(b'{"type":"error"}', "asked") == b'{"type":"error"}'


@pytest.mark.parametrize("body", [b"", b"{", b"\xff"])
def test_what_is_no_json_cannot_be_renamed(body):
    with pytest.raises(ProtocolViolation):
        responses.rename(body, "asked")
