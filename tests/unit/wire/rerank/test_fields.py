import pytest
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Extra
from modelmux.ir.rerank import Document, Ranked, RerankRequest
from modelmux.wire.rerank import fields


def test_documents_are_texts_or_objects_with_one():
    raws = [Raw(b'"a"'), Raw(b'{"text":"b","id":"1","title":"T","more":2}')]
    plain, rich = fields.documents(raws)
    assert plain == Document("a")
    assert (rich.text, rich.id, rich.title) == ("b", "1", "T")
    assert fields.shown(plain) == {"text": "a"}
    assert fields.shown(rich) == raws[1]


@pytest.mark.parametrize("raw", [b"3", b"{}", b'{"text":3}', b"null"])
def test_other_documents_are_refused_by_their_place(raw: bytes):
    with pytest.raises(InvalidRequest) as caught:
        fields.documents([Raw(b'"a"'), Raw(raw)])
    assert caught.value.param == "documents[1]"


@pytest.mark.parametrize(
    ("count", "top_n", "param"),
    [(0, None, "documents"), (10_001, None, "documents"), (1, 0, "top_n")],
)
def test_senseless_numbers_are_refused(count: int, top_n: int | None, param: str):
    request = RerankRequest("m", "q", (Document("a"),) * count, top_n)
    with pytest.raises(InvalidRequest) as caught:
        fields.checked(request)
    assert caught.value.param == param


def test_the_best_come_first():
    ranked = [Ranked(0, 0.1), Ranked(1, 0.9), Ranked(2, 0.5)]
    assert [each.index for each in fields.best(ranked, 2)] == [1, 2]
    assert [each.index for each in fields.best(ranked, None)] == [1, 2, 0]


def test_what_is_not_said_elsewhere_is_lost():
    extra = Extra("cohere.chat", {"/x": Raw(b"1")})
    request = RerankRequest(
        "m", "q", (Document("a"),), max_tokens_per_document=9, wire="cohere.chat", extra=extra
    )
    lost = fields.unsaid(request, "gemini", "max_tokens_per_document")
    assert [loss.path for loss in lost] == ["/max_tokens_per_document", "/x"]
    assert list(fields.unsaid(request, "cohere.chat", "max_tokens_per_document")) == []
