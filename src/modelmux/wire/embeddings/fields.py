"""What the codecs of embeddings share: extra fields, envelopes, usage that may be missing."""

from collections.abc import Iterator

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.embeddings import EmbeddingsRequest, Input
from modelmux.ir.parts import Text
from modelmux.ir.request import Envelope, Loss
from modelmux.wire import extra

MAX_INPUTS = 10_000
"""More inputs are refused at once: no API takes as many, and each may become a request."""

_raws = msgspec.json.Decoder(list[Raw])
_text = msgspec.json.Decoder(str)


class _Envelope(Struct):
    model: str


_envelope = msgspec.json.Decoder(_Envelope)


def envelope(body: bytes) -> Envelope:
    """The envelope of a body that names its model. Raises `InvalidRequest`."""
    try:
        return Envelope(_envelope.decode(body).model)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc) from None


def texts(raw: Raw, path: str) -> tuple[tuple[Input, ...], bool]:
    """The inputs of a field that is a text or a list of them, and whether it was one.

    Raises:
        InvalidRequest: It is neither.
    """
    if extra.first_byte(raw) == b'"':
        return ((Text(_string(raw, path)),),), True
    try:
        items = _raws.decode(raw)
    except extra.MALFORMED:
        raise InvalidRequest(
            f"{path}: expected a text or a list of texts, got {bytes(raw)[:40]!r}", param=path
        ) from None
    return tuple((Text(_string(item, f"{path}[{at}]")),) for at, item in enumerate(items)), False


def _string(raw: Raw, path: str) -> str:
    try:
        return _text.decode(raw)
    except extra.MALFORMED:
        raise InvalidRequest(
            f"{path}: expected a text, got {bytes(raw)[:40]!r}", param=path
        ) from None


def count(request: EmbeddingsRequest, path: str) -> EmbeddingsRequest:
    """`request`, if it has a sensible number of inputs. Raises `InvalidRequest`."""
    if not request.inputs:
        raise InvalidRequest(f"{path}: expected at least one text, got none", param=path)
    if len(request.inputs) > MAX_INPUTS:
        raise InvalidRequest(
            f"{path}: expected at most {MAX_INPUTS} inputs, got {len(request.inputs)}; send them "
            "in several requests",
            param=path,
        )
    return request


def unsaid(request: EmbeddingsRequest, wire: str, *names: str) -> Iterator[Loss]:
    """Losses for those fields called `names` that the caller has said and `wire` cannot."""
    if request.wire == wire:
        return
    for name in names:
        value = getattr(request, name)
        if value and (name != "titles" or any(value)):
            yield Loss(f"/{name}", f"{wire} has no such field")
    yield from extra.losses(request.extra, wire)


def violation(exc: Exception) -> ProtocolViolation:
    """An answer that is none, as an error."""
    error = extra.invalid(exc, "", ProtocolViolation)
    assert isinstance(error, ProtocolViolation)  # noqa: S101  # by the argument above
    return error
