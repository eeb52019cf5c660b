from modelmux.ir.parts import Citation
from modelmux.wire.openai_responses import citations
from modelmux.wire.openai_responses.schema import NAME
from tests.support.cases import case
from tests.unit.wire.openai_responses.bodies import raw

WEB = {"type": "url_citation", "start_index": 1, "end_index": 4, "url": "https://a", "title": "A"}


@case(78)
def test_a_source_on_the_web_is_a_citation_and_comes_back_as_it_was():
    found = citations.decode(raw(WEB))
    assert (found.url, found.title, found.start_index, found.end_index) == ("https://a", "A", 1, 4)
    assert citations.encode(found, 0, 9) == raw(WEB)


@case(78)
def test_a_citation_of_another_wire_is_said_where_it_has_an_address():
    assert citations.encode(Citation("https://a", wire="other"), 2, 5) == {
        "type": "url_citation",
        "start_index": 2,
        "end_index": 5,
        "url": "https://a",
        "title": "https://a",
    }
    assert citations.encode(Citation("https://a", None, None, 7, 8), 2, 5)["start_index"] == 7
    assert citations.encode(Citation(title="a document"), 0, 1) is None


def test_a_citation_that_is_not_understood_keeps_its_bytes():
    odd = raw({"type": "url_citation", "url": 5})
    assert citations.decode(odd) == Citation(wire=NAME, raw=odd)
    file = citations.decode(raw({"type": "file_citation", "filename": "a.pdf"}))
    assert file.title == "a.pdf"
