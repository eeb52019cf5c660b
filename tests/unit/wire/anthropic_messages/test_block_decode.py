import base64

import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.parts import (
    Blob,
    CacheControl,
    Citation,
    Extra,
    File,
    Generic,
    Reasoning,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.wire.anthropic_messages import block_decode
from modelmux.wire.anthropic_messages.block_decode import Reader
from modelmux.wire.anthropic_messages.schema import NAME
from tests.support.cases import case

EPHEMERAL = {"type": "ephemeral"}


def part(block: object, error: type = InvalidRequest) -> object:
    return Reader(error).part(Raw(msgspec.json.encode(block)), "/content", 3)


def extra(**fields: bytes) -> Extra:
    return Extra(NAME, {f"/{name}": Raw(raw) for name, raw in fields.items()}, "/content/3")


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({"type": "text", "text": "a"}, Text("a")),
        ({"type": "text", "text": "a", "citations": None}, Text("a")),
        (
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            Text("a", cache_control=CacheControl("1h")),
        ),
        (
            {"type": "thinking", "thinking": "t", "signature": "s"},
            Reasoning("t", "s", origin=NAME),
        ),
        ({"type": "thinking", "thinking": "t", "signature": ""}, Reasoning("t", origin=NAME)),
        (
            {"type": "redacted_thinking", "data": "opaque"},
            Reasoning(encrypted="opaque", origin=NAME),
        ),
        (
            {"type": "thinking", "thinking": "t", "signature": "modelmux/other:s:x"},
            Reasoning("t", "x", origin="other"),
        ),
        (
            {"type": "redacted_thinking", "data": "modelmux/other:e:x"},
            Reasoning(encrypted="x", origin="other"),
        ),
        (
            {"type": "tool_use", "id": "i", "name": "f", "input": {"a": 1}},
            ToolCall("i", "f", '{"a":1}'),
        ),
        (
            {"type": "tool_use", "id": "i", "name": "f", "input": {}, "caller": {"type": "direct"}},
            ToolCall("i", "f", "{}", extra=extra(caller=b'{"type":"direct"}')),
        ),
        (
            {"type": "server_tool_use", "id": "i", "name": "web_search", "input": {"q": "x"}},
            ServerToolCall("i", "web_search", '{"q":"x"}', NAME),
        ),
        (
            {"type": "mcp_tool_use", "id": "i", "name": "f", "server_name": "s", "input": {}},
            ServerToolCall("i", "f", "{}", NAME, extra(server_name=b'"s"', type=b'"mcp_tool_use"')),
        ),
        ({"type": "tool_result", "tool_use_id": "i"}, ToolResult("i")),
        (
            {"type": "tool_result", "tool_use_id": "i", "content": "ok", "is_error": False},
            ToolResult("i", (Text("ok"),), is_error=False, bare=True),
        ),
        (
            {
                "type": "tool_result",
                "tool_use_id": "i",
                "content": [{"type": "text", "text": "a", "x": 1}],
                "is_error": True,
                "cache_control": EPHEMERAL,
            },
            ToolResult(
                "i",
                (Text("a", extra=Extra(NAME, {"/x": Raw(b"1")}, "/content/3/content/0")),),
                is_error=True,
                cache_control=CacheControl(),
            ),
        ),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_blocks_become_parts(block, expected):
    assert part(block) == expected


@case(31, 67, 69)
@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A"}},
            Blob("image", "image/png", "A"),
        ),
        ({"type": "image", "source": {"type": "url", "url": "u"}}, Uri("image", "u")),
        (
            {"type": "image", "source": {"type": "file", "file_id": "f"}},
            File("image", "f", NAME),
        ),
        (
            {
                "type": "document",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "A"},
                "title": "t",
            },
            Blob("document", "application/pdf", "A", "t"),
        ),
        (
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "grün"},
            },
            Blob("document", "text/plain", base64.b64encode("grün".encode()).decode()),
        ),
        (
            {"type": "document", "source": {"type": "url", "url": "u"}},
            Uri("document", "u", "application/pdf"),
        ),
        (
            {"type": "document", "source": {"type": "file", "file_id": "f"}, "title": "t"},
            File("document", "f", NAME, None, "t"),
        ),
    ],
)
def test_media_come_by_value_by_address_and_by_file(block, expected):
    assert part(block) == expected
    result = part({"type": "tool_result", "tool_use_id": "i", "content": [block]})
    assert isinstance(result, ToolResult)
    assert result.parts == (expected,)


@pytest.mark.parametrize(
    "block",
    [
        {"type": "search_result", "source": "s", "title": "t", "content": []},
        {"type": "container_upload", "file_id": "f"},
        {"type": "tool_reference", "tool_name": "f"},
        {"type": "compaction", "content": None},
        {"type": "of a later version", "x": {"y": 1}},
        {"type": "document", "source": {"type": "content", "content": "text"}},
        {"type": "image", "source": {"type": "of a later version"}},
    ],
    ids=lambda block: block["type"],
)
def test_blocks_without_a_neutral_word_are_kept_whole(block):
    raw = Raw(msgspec.json.encode(block))
    assert part(block) == Generic(block["type"], NAME, raw)
    result = part({"type": "tool_result", "tool_use_id": "i", "content": [block]})
    assert isinstance(result, ToolResult)
    assert result.parts == (Generic(block["type"], NAME, raw),)


@case(33)
@pytest.mark.parametrize("kind", ["web_search_tool_result", "mcp_tool_result", "new_tool_result"])
def test_results_of_the_providers_tools_are_kept_whole(kind):
    block = {"type": kind, "tool_use_id": "i", "content": [{"x": 1}]}
    assert part(block) == ServerToolResult("i", kind, NAME, Raw(msgspec.json.encode(block)))


def test_a_block_that_has_no_business_in_a_tool_result_is_kept_whole():
    inner = {"type": "tool_use", "id": "i", "name": "f", "input": {}}
    result = part({"type": "tool_result", "tool_use_id": "i", "content": [inner]})
    assert isinstance(result, ToolResult)
    assert result.parts == (Generic("tool_use", NAME, Raw(msgspec.json.encode(inner))),)


@case(54, 63)
def test_unknown_fields_are_kept_where_they_were():
    block = {
        "type": "image",
        "source": {"type": "url", "url": "u", "x": 1},
        "cache_control": {"type": "ephemeral", "scope": "all"},
        "transformations": {},
    }
    assert part(block) == Uri(
        "image",
        "u",
        cache_control=CacheControl(),
        extra=Extra(
            NAME,
            {
                "/source/x": Raw(b"1"),
                "/cache_control/scope": Raw(b'"all"'),
                "/transformations": Raw(b"{}"),
            },
            "/content/3",
        ),
    )


@case(54)
def test_fields_that_say_something_to_the_model_are_told_apart_from_tuning():
    block = {
        "type": "document",
        "source": {"type": "url", "url": "u"},
        "context": "trust it",
        "citations": {"enabled": True},
        "x": 1,
    }
    document = part(block)
    assert isinstance(document, Uri)
    assert document.extra is not None
    assert document.extra.content == {"/context", "/citations"}


def test_a_cache_marker_of_a_later_kind_is_kept():
    marked = part({"type": "text", "text": "a", "cache_control": {"type": "forever"}})
    assert marked == Text(
        "a", cache_control=CacheControl(extra=Extra(NAME, {"/type": Raw(b'"forever"')}))
    )


@case(78)
@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            {"type": "char_location", "cited_text": "c", "document_title": "t"},
            Citation(title="t", cited_text="c"),
        ),
        (
            {"type": "web_search_result_location", "cited_text": "c", "title": "t", "url": "u"},
            Citation("u", "t", "c"),
        ),
        (
            {"type": "search_result_location", "cited_text": "c", "source": "https://x"},
            Citation("https://x", None, "c"),
        ),
        ({"type": "search_result_location", "source": "shelf 3"}, Citation()),
        ({"type": "of a later version", "url": 7}, Citation()),
    ],
)
def test_citations_have_neutral_words_and_are_kept_whole(found, expected):
    raw = Raw(msgspec.json.encode(found))
    got = block_decode.citation(raw)
    assert (got.wire, got.raw) == (NAME, raw)
    assert (got.url, got.title, got.cited_text) == (
        expected.url,
        expected.title,
        expected.cited_text,
    )
    assert part({"type": "text", "text": "a", "citations": [found]}) == Text("a", (got,))


@pytest.mark.parametrize(
    ("block", "param"),
    [
        ({}, "content[3].type"),
        ({"type": 1}, "content[3].type"),
        ({"type": "text"}, "content[3].text"),
        ({"type": "text", "text": 1}, "content[3].text"),
        ({"type": "image"}, "content[3].source"),
        ({"type": "image", "source": {"type": "url"}}, "content[3].source.url"),
        ({"type": "tool_use", "id": "i", "name": "f", "input": "x"}, "content[3].input"),
        ({"type": "server_tool_use", "id": "i", "name": "f", "input": []}, "content[3].input"),
        ({"type": "web_search_tool_result"}, "content[3].tool_use_id"),
        (
            {"type": "tool_result", "tool_use_id": "i", "content": [{"type": "text"}]},
            "content[3].content[0].text",
        ),
        ("text", "content[3]"),
    ],
)
@pytest.mark.parametrize("error", [InvalidRequest, ProtocolViolation])
def test_a_bad_block_is_refused_by_its_path(block, param, error):
    with pytest.raises(error) as caught:
        part(block, error)
    assert caught.value.param == param


def test_arguments_that_are_no_text_are_refused():
    raw = Raw(b'{"type":"tool_use","id":"i","name":"f","input":{"a":"\xff"}}')
    with pytest.raises(InvalidRequest) as caught:
        Reader(InvalidRequest).part(raw, "/content", 3)
    assert caught.value.param == "content[3].input"


@case(55)
def test_arguments_and_signatures_are_the_bytes_that_came():
    raw = Raw(b'{"type":"tool_use","id":"i","name":"f","input":{ "a" : 1.50,\n"b":"\\u00e9" }}')
    call = Reader(InvalidRequest).part(raw, "/content", 3)
    assert isinstance(call, ToolCall)
    assert call.arguments == '{ "a" : 1.50,\n"b":"\\u00e9" }'
