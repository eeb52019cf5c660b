import base64

import msgspec
import pytest
from msgspec import Raw

from modelmux.ir.parts import (
    Blob,
    CacheControl,
    Citation,
    Extra,
    File,
    Reasoning,
    ServerToolCall,
    Text,
    ToolCall,
    Uri,
)
from modelmux.wire.anthropic_messages import block_encode
from modelmux.wire.anthropic_messages.schema import NAME
from tests.support.cases import case


def json(block: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(block))


def extra(**fields: bytes) -> Extra:
    return Extra(NAME, {f"/{name}": Raw(raw) for name, raw in fields.items()})


def test_a_text_is_a_text_block():
    assert block_encode.text(Text("a")) == {"type": "text", "text": "a"}


def test_marks_citations_and_unknown_fields_of_a_text_are_said():
    part = Text("a", cache_control=CacheControl("1h"), extra=extra(x=b"1"))
    assert json(block_encode.text(part, [Raw(b'{"type":"c"}')])) == {
        "type": "text",
        "text": "a",
        "citations": [{"type": "c"}],
        "cache_control": {"type": "ephemeral", "ttl": "1h"},
        "x": 1,
    }


def test_only_citations_of_this_wire_are_its_own():
    own = Citation(wire=NAME, raw=Raw(b"{}"))
    cited = (own, Citation(url="u"), Citation(wire="other", raw=Raw(b"{}")))
    assert block_encode.own_citations(cited) == [own.raw]


@case(55, 56)
@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Reasoning("t", "s"), {"type": "thinking", "thinking": "t", "signature": "s"}),
        (Reasoning("t"), {"type": "thinking", "thinking": "t", "signature": ""}),
        (Reasoning(encrypted="o"), {"type": "redacted_thinking", "data": "o"}),
        (
            Reasoning("t", "s", extra=extra(x=b"1")),
            {"type": "thinking", "thinking": "t", "signature": "s", "x": 1},
        ),
    ],
)
def test_thinking_goes_back_as_it_came(part, block):
    assert json(block_encode.reasoning(part)) == block


@case(20)
@pytest.mark.parametrize(
    ("written", "said"),
    [
        ('{"a": 1}', b'{"a": 1}'),
        ("", b"{}"),
        (" \n", b"{}"),
        ("{", None),
        ("[1]", None),
        ("null", None),
        ('"{}"', None),
        ('{"a":1}{', None),
        ('{"a":"\ud800"}', None),
    ],
)
def test_arguments_are_an_object_or_nothing(written, said):
    raw = block_encode.arguments(written)
    assert (raw and bytes(raw)) == said


@case(20)
@pytest.mark.parametrize(
    ("call", "said"),
    [
        (ToolCall("i", "f", '{"a":1}'), {"a": 1}),
        (ToolCall("i", "f", '{"a":'), {"invalid_json": '{"a":'}),
        (ToolCall("i", "f", "SELECT 1", custom=True), {"input": "SELECT 1"}),
    ],
)
def test_whatever_the_model_wrote_becomes_an_object(call, said):
    assert json(block_encode.any_arguments(call)) == said


def test_a_tool_call_is_said_under_the_name_that_the_wire_knows():
    call = ToolCall("i", "a.b", cache_control=CacheControl(), extra=extra(caller=b"{}"))
    assert json(block_encode.tool_use(call, "a_b", Raw(b"{}"))) == {
        "type": "tool_use",
        "id": "i",
        "name": "a_b",
        "input": {},
        "cache_control": {"type": "ephemeral"},
        "caller": {},
    }


def test_a_call_of_the_providers_own_tool_is_said_as_it_was():
    assert json(block_encode.server_tool_use(ServerToolCall("i", "web_search", '{"q":1}'))) == {
        "type": "server_tool_use",
        "id": "i",
        "name": "web_search",
        "input": {"q": 1},
    }
    mcp = ServerToolCall("i", "f", "", NAME, extra(type=b'"mcp_tool_use"', server_name=b'"s"'))
    assert json(block_encode.server_tool_use(mcp)) == {
        "type": "mcp_tool_use",
        "id": "i",
        "name": "f",
        "input": {},
        "server_name": "s",
    }


@case(63)
@pytest.mark.parametrize(
    ("marker", "block"),
    [
        (CacheControl(), {"type": "ephemeral"}),
        (CacheControl("5m"), {"type": "ephemeral", "ttl": "5m"}),
        (CacheControl("24h"), {"type": "ephemeral"}),
        (CacheControl("24h", extra(type=b'"forever"')), {"type": "forever", "ttl": "24h"}),
    ],
)
def test_cache_markers_have_a_lifetime_that_the_wire_has(marker, block):
    assert json(block_encode.cache(marker)) == block


TEXT = base64.b64encode("grün".encode()).decode()


@case(67, 69)
@pytest.mark.parametrize(
    ("part", "block"),
    [
        (
            Blob("image", "image/png", "A"),
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "A"}},
        ),
        (
            Blob("image", "image/jpg", "A"),
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/jpeg", "data": "A"},
            },
        ),
        (
            Uri("image", "https://x", cache_control=CacheControl()),
            {
                "type": "image",
                "source": {"type": "url", "url": "https://x"},
                "cache_control": {"type": "ephemeral"},
            },
        ),
        (
            File("image", "f", NAME),
            {"type": "image", "source": {"type": "file", "file_id": "f"}},
        ),
        (
            Blob("document", "application/pdf", "A", "t"),
            {
                "type": "document",
                "title": "t",
                "source": {"type": "base64", "media_type": "application/pdf", "data": "A"},
            },
        ),
        (
            Blob("document", "text/markdown", TEXT),
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "grün"},
            },
        ),
        (
            Uri("document", "http://x"),
            {"type": "document", "source": {"type": "url", "url": "http://x"}},
        ),
        (
            File("document", "f", NAME, None, "t", extra=extra(context=b'"c"')),
            {
                "type": "document",
                "title": "t",
                "context": "c",
                "source": {"type": "file", "file_id": "f"},
            },
        ),
    ],
)
def test_media_are_said_by_value_by_address_and_by_file(part, block):
    assert json(block_encode.media(part)) == block


@case(69, 71)
@pytest.mark.parametrize(
    ("part", "reason"),
    [
        (Blob("audio", "audio/wav", "A"), "takes no audio"),
        (Uri("video", "https://x"), "takes no video"),
        (Blob("image", "image/bmp", "A"), "takes no image/bmp"),
        (Blob("document", "application/msword", "A"), "takes no application/msword"),
        (Blob("document", "text/plain", "/w=="), "is not text"),
        (Blob("document", "text/plain", "?"), "is not text"),
        (Uri("image", "gs://bucket/x.png"), "fetches no gs: address"),
        (Uri("document", "https://x", "text/html"), "fetches no text/html"),
        (File("document", "f", "openai.chat"), "means nothing to another provider"),
    ],
)
def test_media_that_the_wire_does_not_take_are_not_said(part, reason):
    said = block_encode.media(part)
    assert isinstance(said, str)
    assert reason in said


@pytest.mark.parametrize("part", [Blob("image", "image/bmp", "A"), Uri("image", "gs://b/x")])
def test_a_caller_who_speaks_this_wire_knows_what_it_takes(part):
    assert isinstance(block_encode.media(part, as_said=True), dict)
