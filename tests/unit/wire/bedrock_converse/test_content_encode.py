import pytest
from msgspec import Raw

from modelmux.ir.parts import Blob, CacheControl, Citation, Extra, Reasoning, Text, ToolCall, Uri
from modelmux.wire.bedrock_converse import content_encode
from tests.support.cases import case


def test_a_result_that_came_as_json_goes_as_json():
    part = Text("{}", extra=Extra("bedrock.converse", {"/json": Raw(b"{}")}))
    assert content_encode.text(part) == {"json": Raw(b"{}")}


@case(78)
def test_only_its_own_citations_are_said():
    own = Citation(wire="bedrock.converse", raw=Raw(b'{"title":"t"}'))
    said = content_encode.text(Text("a", (own, Citation("https://x"))))
    assert said == {"citationsContent": {"content": [{"text": "a"}], "citations": [own.raw]}}


@case(58)
def test_thinking_of_another_is_said_with_what_it_wants_back():
    said = content_encode.reasoning(Reasoning("t", "s", origin="anthropic.messages"))
    assert said == {
        "reasoningContent": {
            "reasoningText": {"text": "t", "signature": "modelmux/anthropic.messages:s:s"}
        }
    }


@pytest.mark.parametrize(
    ("written", "said"),
    [("", b"{}"), (" ", b"{}"), ('{"a":1}', b'{"a":1}'), ("[", None), ("5", None)],
)
@case(20)
def test_arguments_are_an_object_or_none(written: str, said: bytes | None):
    found = content_encode.arguments(written)
    assert (None if found is None else bytes(found)) == said


def test_arguments_of_any_kind_are_made_an_object():
    assert bytes(content_encode.any_arguments(ToolCall("i", "n", "["))) == b'{"INVALID_JSON":"["}'
    free = ToolCall("i", "n", "x", custom=True)
    assert bytes(content_encode.any_arguments(free)) == b'{"input":"x"}'


@case(63)
def test_a_lifetime_that_the_api_does_not_have_is_its_default():
    assert content_encode.cache_point(CacheControl("24h")) == {"cachePoint": {"type": "default"}}


def test_media_say_why_they_cannot_be_said():
    assert "fetches no https" in str(
        content_encode.blob(Uri("image", "https://x", "image/png"), None)
    )
    assert "takes no image of unknown type" in str(
        content_encode.blob(Uri("image", "s3://x"), None)
    )
    assert content_encode.blob(Blob("audio", "audio/wav", "eA=="), None) == {
        "audio": {"format": "wav", "source": {"bytes": "eA=="}}
    }


def test_a_citation_of_another_is_said_as_far_as_it_goes():
    assert content_encode.cited(Citation("https://x", "T", "c")) == {
        "location": {"web": {"url": "https://x"}},
        "title": "T",
        "sourceContent": [{"text": "c"}],
    }
    assert content_encode.cited(Citation(title="T")) is None
