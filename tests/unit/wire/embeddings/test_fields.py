import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.embeddings import EmbeddingsRequest
from modelmux.ir.parts import Extra, Text
from modelmux.wire.embeddings import fields


def test_a_text_is_told_from_a_list_of_one():
    assert fields.texts(Raw(b'"a"'), "input") == (((Text("a"),),), True)
    assert fields.texts(Raw(b'["a"]'), "input") == (((Text("a"),),), False)


def test_an_envelope_needs_the_model():
    assert fields.envelope(b'{"model":"m","input":3}').model == "m"
    with pytest.raises(InvalidRequest, match="model"):
        fields.envelope(b"{}")


def test_what_is_not_said_elsewhere_is_lost_and_what_was_not_said_is_not():
    extra = Extra("openai.chat", {"/x": Raw(b"1")})
    request = EmbeddingsRequest(
        "m", ((Text("a"),),), user="u", titles=(None,), wire="openai.chat", extra=extra
    )
    lost = fields.unsaid(request, "cohere.chat", "user", "titles", "truncate")
    assert [loss.path for loss in lost] == ["/user", "/x"]
    assert list(fields.unsaid(request, "openai.chat", "user")) == []


def test_a_broken_answer_is_the_targets_mistake():
    assert isinstance(fields.violation(ValueError("no")), ProtocolViolation)
