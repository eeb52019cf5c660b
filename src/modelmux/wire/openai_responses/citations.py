"""Citations, which this wire calls annotations of a text."""

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.parts import Citation
from modelmux.wire import extra
from modelmux.wire.openai_responses.schema import NAME


class _Annotation(Struct):
    type: str = ""
    url: str | None = None
    title: str | None = None
    filename: str | None = None
    start_index: int | None = None
    end_index: int | None = None


_annotation = msgspec.json.Decoder(_Annotation)


def decode(raw: Raw) -> Citation:
    """The citation in an annotation; one that is not understood has only its `raw`."""
    try:
        found = _annotation.decode(raw)
    except extra.MALFORMED:
        return Citation(wire=NAME, raw=raw)
    return Citation(
        found.url,
        found.title or found.filename,
        None,
        found.start_index,
        found.end_index,
        NAME,
        raw,
    )


def encode(citation: Citation, start: int, end: int) -> object | None:
    """The annotation for a citation; `None` for one of a source that has no address.

    Args:
        citation: What is cited.
        start: Where in the whole text the part begins that it stands on.
        end: Where that part ends.
    """
    if citation.wire == NAME and citation.raw is not None:
        return citation.raw
    if citation.url is None:
        return None  # a document of the caller's own: this wire cites the web and its own files
    if citation.start_index is not None and citation.end_index is not None:
        start, end = citation.start_index, citation.end_index
    return {
        "type": "url_citation",
        "start_index": start,
        "end_index": end,
        "url": citation.url,
        "title": citation.title or citation.url,
    }
