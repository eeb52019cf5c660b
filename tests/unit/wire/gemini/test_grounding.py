import msgspec
from msgspec import Raw

from modelmux.ir.parts import Citation
from modelmux.wire.gemini import grounding
from tests.support.cases import case


def raw(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))


@case(78)
def test_places_are_counted_in_characters() -> None:
    found = grounding.decode(
        raw(
            {
                "groundingChunks": [{"web": {"uri": "https://a", "title": "A"}}],
                "groundingSupports": [
                    {
                        "segment": {"startIndex": 3, "endIndex": 8, "text": "éa"},
                        "groundingChunkIndices": [0, 7],
                    }
                ],
            }
        ),
        Raw(),
        "aé éa!",
    )
    assert found[0] == Citation("https://a", "A", "éa", 2, 6, "gemini")
    assert found[1].url is None


@case(78)
def test_citations_have_their_source() -> None:
    cited = raw({"citations": [{"startIndex": 0, "endIndex": 2, "uri": "https://b"}, {}]})
    assert grounding.decode(Raw(), cited, "abc")[0] == Citation(
        "https://b", None, None, 0, 2, "gemini"
    )


def test_what_is_of_a_later_form_cites_nothing() -> None:
    assert grounding.decode(raw({"groundingChunks": 7}), Raw(), "abc") == []


def test_citations_of_others_are_told_and_its_own_are_kept_elsewhere() -> None:
    assert grounding.encode(
        [Citation("https://c", "C", start_index=1, end_index=2), Citation(title="no address")]
    ) == {"citations": [{"startIndex": 1, "endIndex": 2, "uri": "https://c", "title": "C"}]}
    assert grounding.encode([Citation("https://c", wire="gemini")]) is None
