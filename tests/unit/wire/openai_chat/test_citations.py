import msgspec
import pytest
from msgspec import Raw

from modelmux.ir.parts import Citation, Refusal, Text
from modelmux.wire.openai_chat import citations
from modelmux.wire.openai_chat.schema import NAME
from tests.support.cases import case

PLACE = {"start_index": 3, "end_index": 9, "url": "https://a.example", "title": "A"}
ANNOTATION = Raw(msgspec.json.encode({"type": "url_citation", "url_citation": PLACE}))


@case(78)
def test_an_annotation_is_a_citation() -> None:
    found = citations.decode(ANNOTATION)
    assert found == Citation("https://a.example", "A", None, 3, 9, NAME, ANNOTATION)


@pytest.mark.parametrize("raw", [b'{"type":"file","file":{}}', b"5", b'{"url_citation":7}'])
def test_an_annotation_that_is_not_understood_is_kept_as_it_came(raw: bytes) -> None:
    assert citations.decode(Raw(raw)) == Citation(wire=NAME, raw=Raw(raw))


def test_annotations_belong_to_the_first_text() -> None:
    parts = citations.attach([Refusal("no"), Text("a"), Text("b")], [ANNOTATION])
    assert parts == [Refusal("no"), Text("a", (citations.decode(ANNOTATION),)), Text("b")]


def test_annotations_of_no_text_have_no_place() -> None:
    assert citations.attach([Refusal("no")], [ANNOTATION]) is None


def test_an_annotation_of_this_wire_goes_back_as_it_came() -> None:
    assert citations.encode(citations.decode(ANNOTATION), 0, 1) is ANNOTATION


@case(78)
def test_a_citation_of_another_wire_stands_on_the_text_it_came_with() -> None:
    out = citations.encode(Citation("https://b.example", wire="other"), 10, 20)
    place = {"start_index": 10, "end_index": 20, "url": "https://b.example"}
    place["title"] = "https://b.example"
    assert out == {"type": "url_citation", "url_citation": place}


def test_a_citation_that_says_where_it_stands_is_believed() -> None:
    out = citations.encode(Citation("https://b.example", "B", None, 1, 2, "other"), 10, 20)
    place = {"start_index": 1, "end_index": 2, "url": "https://b.example", "title": "B"}
    assert out == {"type": "url_citation", "url_citation": place}


def test_a_citation_of_the_callers_own_document_has_no_annotation() -> None:
    assert citations.encode(Citation(title="A file", wire="other"), 0, 1) is None
