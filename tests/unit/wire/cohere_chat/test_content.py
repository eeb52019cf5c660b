import msgspec
import pytest
from msgspec import Raw

from modelmux.ir.parts import (
    Blob,
    Citation,
    Extra,
    Generic,
    Part,
    Reasoning,
    Text,
    ToolCall,
    Uri,
)
from modelmux.wire.cohere_chat import content, schema
from modelmux.wire.cohere_chat.schema import NAME
from tests.support.cases import case


def parts(*pieces: object) -> list[Part]:
    found = msgspec.convert(pieces, list[schema.Content])
    return content.parts(found, {}, "/messages/0")


def json(value: object) -> object:
    return msgspec.json.decode(msgspec.json.encode(value))


def test_text_alone_and_in_pieces():
    assert content.parts("a", {}, "") == [Text("a")]
    assert content.parts(None, {}, "") == []
    assert parts({"type": "text", "text": "a"}) == [Text("a")]


@case(58)
def test_thinking_is_this_wires_own():
    assert parts({"type": "thinking", "thinking": "so"}) == [Reasoning("so", origin=NAME)]


def test_images_by_address_and_as_bytes():
    (uri, blob) = parts(
        {"type": "image_url", "image_url": {"url": "https://x/a.png", "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
    )
    assert isinstance(uri, Uri)
    assert uri.detail == "low"
    assert isinstance(blob, Blob)
    assert blob.mime_type == "image/png"
    assert json(content.image(uri)) == {
        "type": "image_url",
        "image_url": {"url": "https://x/a.png", "detail": "low"},
    }
    assert json(content.image(blob)) == {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64,aGk="},
    }


def test_only_images_are_images():
    assert content.image(Blob("audio", "audio/wav", "aGk=")) == "cohere.chat takes no audio"


def test_a_piece_that_may_come_later_stays_itself():
    (found,) = parts({"type": "later", "text": "a"})
    assert isinstance(found, Generic)
    assert (found.type, json(found.raw)) == ("later", {"type": "later", "text": "a"})


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ({"data": "told"}, "told"),
        ({"data": {"a": 1}}, '{"a":1}'),
        ({"later": 1}, '{"later":1}'),
    ],
)
def test_a_document_is_a_text_to_others_and_itself_to_its_own(document: object, text: str):
    raw = Raw(msgspec.json.encode(document))
    (found,) = content.parts([schema.Content("document", document=raw)], {}, "")
    assert isinstance(found, Text)
    assert found.text == text
    assert json(content.text(found)) == {"type": "document", "document": document}


def test_a_plan_is_thinking_that_knows_its_place():
    plan = content.plan("first this")
    assert content.is_plan(plan)
    assert not content.is_plan(Reasoning("so", origin=NAME))
    assert not content.is_plan(Reasoning("so", extra=Extra("another", {content.PLAN: Raw(b"1")})))


def test_calls_of_tools_there_and_back():
    said = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    found = content.calls(msgspec.convert([said, {}], list[schema.ToolCall]), {}, "/messages/0")
    assert found == [ToolCall("c1", "f", "{}"), ToolCall("", "", "")]
    assert content.tool_call(found[0], "c1", "f", "{}") == said


def citation(**fields: object) -> Raw:
    return Raw(msgspec.json.encode({"start": 2, "end": 4, "sources": [], **fields}))


@case(78)
def test_a_citation_stands_where_its_text_does_in_the_answer():
    document = {"type": "document", "document": {"url": "u", "title": "t", "text": "x"}}
    raw = citation(content_index=2, sources=[{"type": "tool"}, document])
    found = content.cited([Text("abc"), Reasoning("so"), Text("cited")], [raw])
    last = found[2]
    assert isinstance(last, Text)
    assert last.citations == (Citation("u", "t", "x", 5, 7, NAME, raw),)
    assert content.citations(found) == [raw]


def test_a_citation_of_no_text_is_left_out_and_one_of_another_is_the_firsts():
    assert content.cited([Reasoning("so")], [citation()]) == [Reasoning("so")]
    (first, second) = content.cited([Text("a"), Text("b")], [citation(content_index=9)])
    assert isinstance(first, Text)
    assert first.citations
    assert second == Text("b")


def test_citations_of_thinking_are_not_of_the_text():
    assert content.is_textual(citation())
    assert not content.is_textual(citation(type="THINKING_CONTENT"))
    assert not content.is_textual(Raw(b"1"))
    assert content.content_index(Raw(b"1")) == 0
    assert content.citation(Raw(b"1")) == Citation(wire=NAME, raw=Raw(b"1"))


def test_citations_of_others_are_documents():
    said = content.said_citation(Citation("u", "t", "x", 1, 2))
    assert said == {
        "start": 1,
        "end": 2,
        "text": "",
        "sources": [
            {"type": "document", "id": "u", "document": {"title": "t", "url": "u", "text": "x"}}
        ],
        "type": "TEXT_CONTENT",
    }
    assert content.said_citation(Citation()) is None
