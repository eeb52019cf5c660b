"""What the codecs of reranking share."""

from collections.abc import Iterator, Mapping, Sequence

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.request import Envelope, Loss
from modelmux.ir.rerank import Document, Ranked, RerankRequest
from modelmux.wire import extra

MAX_DOCUMENTS = 10_000
"""More are refused at once; Cohere, whose limit is the highest, takes as many."""

_string = msgspec.json.Decoder(str)
_object = msgspec.json.Decoder(dict[str, Raw])


class _Envelope(Struct):
    model: str


_envelope = msgspec.json.Decoder(_Envelope)


def envelope(body: bytes) -> Envelope:
    """The envelope of a body that names its model. Raises `InvalidRequest`."""
    try:
        return Envelope(_envelope.decode(body).model)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc) from None


def documents(raws: Sequence[Raw]) -> tuple[Document, ...]:
    """Documents that are texts, or objects with a `text`. Raises `InvalidRequest`."""
    return tuple(_document(raw, f"documents[{at}]") for at, raw in enumerate(raws))


def _document(raw: Raw, path: str) -> Document:
    kept = Raw(bytes(raw))
    try:
        if extra.first_byte(raw) == b'"':
            return Document(_string.decode(raw))
        fields = _object.decode(raw)
        text = _string.decode(fields["text"])
        id_ = fields.get("id")
        title = fields.get("title")
        return Document(
            text,
            _string.decode(id_) if id_ is not None else None,
            _string.decode(title) if title is not None else None,
            kept,
        )
    except (*extra.MALFORMED, KeyError):
        raise InvalidRequest(
            f"{path}: expected a text, or an object with a text in `text`, got {bytes(raw)[:40]!r}",
            param=path,
        ) from None


def checked(request: RerankRequest) -> RerankRequest:
    """`request`, if it has documents, and not too many. Raises `InvalidRequest`."""
    count = len(request.documents)
    if not 0 < count <= MAX_DOCUMENTS:
        raise InvalidRequest(
            f"documents: expected 1 to {MAX_DOCUMENTS} documents, got {count}", param="documents"
        )
    if request.top_n is not None and request.top_n < 1:
        raise InvalidRequest(
            f"top_n: expected a number above 0, got {request.top_n}", param="top_n"
        )
    return request


def unsaid(request: RerankRequest, wire: str, *names: str) -> Iterator[Loss]:
    """Losses for those fields called `names` that the caller has said and `wire` cannot."""
    if request.wire == wire:
        return
    for name in names:
        if getattr(request, name) is not None:
            yield Loss(f"/{name}", f"{wire} has no such field")
    yield from extra.losses(request.extra, wire)


def shown(document: Document) -> Mapping[str, object] | Raw:
    """A document as it is given back beside its score."""
    return document.raw or {"text": document.text}


def best(results: Sequence[Ranked], top_n: int | None) -> list[Ranked]:
    """The best of `results`, the very best first."""
    return sorted(results, key=lambda each: -each.score)[:top_n]


def violation(exc: Exception) -> ProtocolViolation:
    """An answer that is none, as an error."""
    error = extra.invalid(exc, "", ProtocolViolation)
    assert isinstance(error, ProtocolViolation)  # noqa: S101  # by the argument above
    return error
