"""`POST /v2/embed` of Cohere, also as Bedrock serves it.

Follows https://docs.cohere.com/reference/embed and
https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-embed.html, read 2026-11-20.
"""

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import InvalidRequest
from modelmux.ir.embeddings import (
    EmbeddingsRequest,
    EmbeddingsResponse,
    Input,
    Piece,
    Purpose,
    TokenIds,
    Truncation,
    Vector,
    text_of,
    unpacked,
)
from modelmux.ir.parts import Blob, Text, Uri
from modelmux.ir.profile import Profile
from modelmux.ir.request import Encoded, Envelope, Loss
from modelmux.ir.response import NO_USAGE, Usage
from modelmux.wire import extra
from modelmux.wire.embeddings import fields

NAME = "cohere.chat"

TOKENS_HEADER = b"x-amzn-bedrock-input-token-count"
"""Where Bedrock says how many tokens the input had: the answer itself does not."""

_PURPOSES: Mapping[str, Purpose] = {
    "search_document": "document",
    "search_query": "query",
    "classification": "classification",
    "clustering": "clustering",
    "image": "image",
}
_WORDS: Mapping[Purpose, str] = {
    "document": "search_document",
    "query": "search_query",
    "question_answering": "search_query",
    "fact_verification": "search_query",
    "code_query": "search_query",
    "classification": "classification",
    "clustering": "clustering",
    "similarity": "clustering",
    "image": "image",
}
_TRUNCATIONS: Mapping[str, Truncation] = {"NONE": "none", "START": "start", "END": "end"}
_ASSUMED = "search_document"

_FLOAT = ["float"]


class _ImageUrl(Struct, forbid_unknown_fields=True):
    url: str
    detail: str | None = None


class _Piece(Struct, forbid_unknown_fields=True):
    type: str
    text: str | None = None
    image_url: _ImageUrl | None = None


class _Input(Struct, forbid_unknown_fields=True):
    content: list[_Piece]


class _Request(Struct, forbid_unknown_fields=True):
    model: str
    texts: list[str] | None = None
    images: list[str] | None = None
    inputs: list[_Input] | None = None
    input_type: str | None = None
    embedding_types: list[str] | None = None
    output_dimension: int | None = None
    truncate: Literal["NONE", "START", "END"] | None = None


class _BilledUnits(Struct):
    input_tokens: float | None = None
    images: float | None = None


class _Meta(Struct):
    billed_units: _BilledUnits | None = None


class _Response(Struct):
    embeddings: Raw
    id: str = ""
    meta: _Meta | None = None


class _MetaOnly(Struct):
    meta: _Meta | None = None


_requests = extra.Schema(_Request)
_responses = msgspec.json.Decoder(_Response)
_meta_only = msgspec.json.Decoder(_MetaOnly)
_by_type = msgspec.json.Decoder(dict[str, list[Raw]])
_floats = msgspec.json.Decoder(list[Raw])


class CohereEmbeddings:
    """Embeddings on the wire `cohere.chat`."""

    def envelope(self, body: bytes) -> Envelope:
        return fields.envelope(body)

    def readdress(self, body: bytes, envelope: Envelope, model: str) -> bytes:
        return extra.replace_string(body, "model", envelope.model, model)

    def decode_request(self, body: bytes) -> EmbeddingsRequest:
        request, unknown = _requests.decode(body)
        types = request.embedding_types or _FLOAT
        if len(types) != 1 or types[0] not in ("float", "base64"):
            # Vectors of small integers and of bits are other vectors, which no other API makes.
            unknown = {**unknown, "/embedding_types": Raw(msgspec.json.encode(types))}
        word = request.input_type
        if word is not None and word not in _PURPOSES:
            unknown = {**unknown, "/input_type": Raw(msgspec.json.encode(word))}
            word = None
        kept = extra.keep(unknown, NAME)
        if kept is not None:
            kept = msgspec.structs.replace(kept, content=frozenset({"/embedding_types"}))
        return fields.count(
            EmbeddingsRequest(
                request.model,
                _inputs(request),
                encoding="base64" if types == ["base64"] else "float",
                dimensions=request.output_dimension,
                purpose=_PURPOSES[word] if word is not None else None,
                spelling=word or "",
                truncate=_TRUNCATIONS[request.truncate] if request.truncate else None,
                wire=NAME,
                extra=kept,
            ),
            "texts",
        )

    def encode_request(self, request: EmbeddingsRequest, profile: Profile) -> Encoded:
        losses = list(fields.unsaid(request, NAME, "titles", "user"))
        return Encoded(
            msgspec.json.encode(
                {"model": request.model, **content(request, losses), **options(request)}
            ),
            tuple(losses),
        )

    def decode_response(
        self, body: bytes, headers: Callable[[bytes], bytes | None]
    ) -> EmbeddingsResponse:
        try:
            answer = _responses.decode(body)
            vectors = _vectors(answer.embeddings)
        except extra.MALFORMED as exc:
            raise fields.violation(exc) from None
        usage = _tokens(answer.meta, headers) or NO_USAGE
        return EmbeddingsResponse("", vectors, usage, answer.id)

    def encode_response(self, answer: EmbeddingsResponse, request: EmbeddingsRequest) -> bytes:
        vectors: dict[str, object] = (
            {"base64": [vector.as_base64() for vector in answer.vectors]}
            if request.encoding == "base64"
            else {"float": [vector.as_json() for vector in answer.vectors]}
        )
        plain = [_plain(each) for each in request.inputs]
        body: dict[str, object] = {
            "id": answer.id,
            "embeddings": vectors,
            "texts": [text for text in plain if text is not None],
            "meta": {
                "api_version": {"version": "2"},
                "billed_units": {"input_tokens": answer.usage.input_tokens},
            },
            "response_type": "embeddings_by_type",
        }
        return msgspec.json.encode(body)

    def usage(self, body: bytes, headers: Callable[[bytes], bytes | None]) -> Usage | None:
        try:
            return _tokens(_meta_only.decode(body).meta, headers)
        except extra.MALFORMED as exc:
            raise fields.violation(exc) from None


def content(request: EmbeddingsRequest, losses: list[Loss]) -> dict[str, object]:
    """What is embedded, in Cohere's fields; `losses` grows by what had to be assumed.

    Raises:
        InvalidRequest: There are token ids among it.
    """
    pure = all(
        not isinstance(each, TokenIds) and all(isinstance(piece, Text) for piece in each)
        for each in request.inputs
    )
    body: dict[str, object] = {}
    if pure:
        body["texts"] = [
            text_of(each, f"texts[{i}]", NAME) for i, each in enumerate(request.inputs)
        ]
    else:
        body["inputs"] = [
            {"content": _pieces(each, f"inputs[{i}]")} for i, each in enumerate(request.inputs)
        ]
    if request.wire == NAME and request.spelling:
        body["input_type"] = request.spelling
    elif request.purpose is not None:
        body["input_type"] = _WORDS[request.purpose]
    elif request.wire != NAME:
        # The API wants one; a caller of another can mostly not say it.
        body["input_type"] = _ASSUMED
        losses.append(Loss("/purpose", f"{NAME} needs an input_type: {_ASSUMED} was assumed"))
    return body


def options(request: EmbeddingsRequest) -> dict[str, object]:
    """How it is embedded, in Cohere's fields."""
    body: dict[str, object] = {}
    body["embedding_types"] = ["base64"] if request.encoding == "base64" else _FLOAT
    if request.dimensions is not None:
        body["output_dimension"] = request.dimensions
    if request.truncate is not None:
        body["truncate"] = request.truncate.upper()
    return extra.merge(body, request.extra, NAME)


def _inputs(request: _Request) -> tuple[Input, ...]:
    given = [request.texts, request.images, request.inputs]
    if sum(each is not None for each in given) != 1:
        raise InvalidRequest(
            "texts: expected exactly one of texts, images and inputs", param="texts"
        )
    if request.texts is not None:
        return tuple((Text(text),) for text in request.texts)
    if request.images is not None:
        return tuple((_image(url, f"images[{at}]"),) for at, url in enumerate(request.images))
    assert request.inputs is not None  # noqa: S101  # one of three is given
    return tuple(
        tuple(
            _piece(piece, f"inputs[{at}].content[{number}]")
            for number, piece in enumerate(each.content)
        )
        for at, each in enumerate(request.inputs)
    )


def _piece(piece: _Piece, path: str) -> Piece:
    if piece.type == "text" and piece.text is not None:
        return Text(piece.text)
    if piece.type == "image_url" and piece.image_url is not None:
        image = _image(piece.image_url.url, f"{path}.image_url.url")
        return msgspec.structs.replace(image, detail=piece.image_url.detail)
    raise InvalidRequest(
        f"{path}: expected a text or an image_url, got the type {piece.type!r}", param=path
    )


def _image(url: str, path: str) -> Blob | Uri:
    if not url.startswith("data:"):
        return Uri("image", url)
    mime_type, found, data = url.removeprefix("data:").partition(";base64,")
    if not found:
        raise InvalidRequest(f"{path}: expected a data URL in Base64", param=path)
    return Blob("image", mime_type, data)


def _pieces(value: Input, path: str) -> list[dict[str, object]]:
    if isinstance(value, TokenIds):
        text_of(value, path, NAME)  # raises
        return []
    pieces: list[dict[str, object]] = []
    for piece in value:
        if isinstance(piece, Text):
            pieces.append({"type": "text", "text": piece.text})
            continue
        url = (
            f"data:{piece.mime_type};base64,{piece.content}"
            if isinstance(piece, Blob)
            else piece.uri
        )
        image: dict[str, object] = {"url": url}
        if piece.detail is not None:
            image["detail"] = piece.detail
        pieces.append({"type": "image_url", "image_url": image})
    return pieces


def _vectors(raw: Raw) -> tuple[Vector, ...]:
    """Vectors by type, or, where Bedrock was not asked for a type, alone."""
    if extra.first_byte(raw) == b"[":
        return tuple(Vector(Raw(bytes(each))) for each in _floats.decode(raw))
    by_type = _by_type.decode(raw)
    if floats := by_type.get("float"):
        return tuple(Vector(Raw(bytes(each))) for each in floats)
    packed = by_type.get("base64", [])
    return tuple(unpacked(msgspec.json.decode(each, type=str)) for each in packed)


def _plain(value: Input) -> str | None:
    if isinstance(value, TokenIds) or not all(isinstance(piece, Text) for piece in value):
        return None
    return text_of(value, "texts", NAME)


def _tokens(meta: _Meta | None, headers: Callable[[bytes], bytes | None]) -> Usage | None:
    units = meta.billed_units if meta is not None else None
    if units is not None and units.input_tokens is not None:
        return Usage(input_tokens=int(units.input_tokens))
    told = headers(TOKENS_HEADER)
    return Usage(input_tokens=int(told)) if told is not None and told.isdigit() else None
