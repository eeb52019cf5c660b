import msgspec
import pytest
from msgspec import Raw

from modelmux.ir.parts import (
    Blob,
    CacheControl,
    Citation,
    Extra,
    File,
    Generic,
    Part,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)

PARTS = [
    Text("a", (Citation(url="u", raw=Raw(b'{"x": 1}')),), CacheControl("1h")),
    Refusal("no"),
    Reasoning("why", "signed", None, "w"),
    Reasoning(encrypted="opaque", origin="w"),
    ToolCall("i", "n", "{", extra=Extra("w", {"/x": Raw(b"1")})),
    ToolResult("i", (Text("a"), Blob("image", "image/png", "AA==")), is_error=True),
    Blob("audio", "audio/wav", "AA=="),
    Uri("image", "https://x", detail="low"),
    File("document", "f", "w"),
    Generic("t", "w", Raw(b'{"type": "t"}')),
    ServerToolCall("i", "search"),
    ServerToolResult("i", "t", "w", Raw(b"[]")),
]


@pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)
def test_parts_are_told_apart_when_they_are_stored(part):
    stored = msgspec.json.encode(part)
    kind = msgspec.json.decode(stored)["kind"]
    assert kind == type(part).__struct_config__.tag


def test_no_two_parts_are_stored_under_one_name():
    tags = [part.__struct_config__.tag for part in Part.__args__]
    assert len(set(tags)) == len(tags) == 11


@pytest.mark.parametrize("part", PARTS, ids=lambda part: type(part).__name__)
def test_parts_cannot_be_changed(part):
    with pytest.raises(AttributeError):
        part.extra = None


def test_a_tool_result_without_a_word_of_error_is_told_from_one_that_denies_it():
    assert ToolResult("i") != ToolResult("i", is_error=False)
    assert not ToolResult("i").is_error
