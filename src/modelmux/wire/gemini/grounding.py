"""Where the text of an answer comes from: grounding and citations, as the neutral citations.

Google counts places in bytes of UTF-8 (`Segment` of its SDK, `google-genai` 3.4.0, read
2026-11-20); the neutral model counts characters.
"""

from collections.abc import Sequence

import msgspec
from msgspec import Raw

from modelmux.ir.parts import Citation
from modelmux.wire import extra
from modelmux.wire.gemini import schema
from modelmux.wire.gemini.part_encode import Piece
from modelmux.wire.gemini.schema import NAME

_grounding = msgspec.json.Decoder(schema.GroundingMetadata)
_citations = msgspec.json.Decoder(schema.CitationMetadata)


def decode(grounding: Raw, cited: Raw, text: str) -> list[Citation]:
    """Citations of `text`; none where what the API says is of a later form.

    Args:
        grounding: `groundingMetadata`, or nothing.
        cited: `citationMetadata`, or nothing.
        text: All text of the answer.
    """
    encoded = text.encode()
    out: list[Citation] = []
    try:
        if grounding:
            out += _supported(_grounding.decode(grounding), encoded)
        if cited:
            out += _sources(_citations.decode(cited), encoded)
    except extra.MALFORMED:
        return []
    return out


def _supported(found: schema.GroundingMetadata, text: bytes) -> list[Citation]:
    chunks = found.grounding_chunks or []
    out: list[Citation] = []
    for support in found.grounding_supports or ():
        segment = support.segment or schema.Segment()
        start, end = _place(text, segment.start_index, segment.end_index)
        for index in support.grounding_chunk_indices or ():
            chunk = chunks[index] if 0 <= index < len(chunks) else schema.GroundingChunk()
            source = chunk.web or chunk.retrieved_context or chunk.maps or schema.Web()
            out.append(Citation(source.uri, source.title, segment.text, start, end, NAME))
    return out


def _sources(found: schema.CitationMetadata, text: bytes) -> list[Citation]:
    out: list[Citation] = []
    for source in found.citations or ():
        start, end = _place(text, source.start_index or 0, source.end_index)
        out.append(Citation(source.uri, source.title, None, start, end, NAME))
    return out


def _place(text: bytes, start: int, end: int | None) -> tuple[int, int | None]:
    """A place counted in bytes, counted in characters."""
    first = len(text[:start].decode(errors="ignore"))
    if end is None:
        return first, None
    return first, len(text[:end].decode(errors="ignore"))


def encode(citations: Sequence[Citation]) -> Piece | None:
    """`citationMetadata` for citations of other wires; this wire's own are kept elsewhere."""
    sources: list[Piece] = []
    for citation in citations:
        if citation.wire == NAME or citation.url is None:
            continue
        source: Piece = {
            "startIndex": citation.start_index,
            "endIndex": citation.end_index,
            "uri": citation.url,
            "title": citation.title,
        }
        sources.append({name: value for name, value in source.items() if value is not None})
    return {"citations": sources} if sources else None
