"""Citations, which this wire calls annotations of a message."""

from collections.abc import Iterable, Sequence

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from modelmux.ir.parts import Citation, Part, Text
from modelmux.wire import extra
from modelmux.wire.openai_chat.schema import NAME


class URLCitation(Struct):
    url: str | None = None
    title: str | None = None
    start_index: int | None = None
    end_index: int | None = None
    content: str | None = None
    """OpenRouter's: the passage itself."""


class Annotation(Struct):
    type: str = ""
    url_citation: URLCitation | None = None


_annotation = msgspec.json.Decoder(Annotation)


def decode(raw: Raw) -> Citation:
    """The citation in an annotation; one that is not understood has only its `raw`."""
    try:
        found = _annotation.decode(raw).url_citation
    except extra.MALFORMED:
        found = None
    if found is None:
        return Citation(wire=NAME, raw=raw)
    return Citation(
        found.url, found.title, found.content, found.start_index, found.end_index, NAME, raw
    )


def attach(parts: Sequence[Part], annotations: Iterable[Raw]) -> list[Part] | None:
    """`parts` with the annotations on the first text; `None` where there is no text."""
    for index, part in enumerate(parts):
        if isinstance(part, Text):
            cited = part.citations + tuple([decode(raw) for raw in annotations])
            return [*parts[:index], replace(part, citations=cited), *parts[index + 1 :]]
    return None


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
        return None  # a document of the caller's own: this wire cites the web only
    if citation.start_index is not None and citation.end_index is not None:
        start, end = citation.start_index, citation.end_index
    place = {
        "start_index": start,
        "end_index": end,
        "url": citation.url,
        "title": citation.title or citation.url,
    }
    return {"type": "url_citation", "url_citation": place}
