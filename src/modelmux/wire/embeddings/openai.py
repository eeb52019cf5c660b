"""`POST /v1/embeddings` of OpenAI, and of the many servers that copy it.

Follows `EmbeddingCreateParams` and `CreateEmbeddingResponse` of OpenAI's Python library 3.51, read
2026-11-20.
"""

from collections.abc import Callable
from typing import Literal

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.embeddings import (
    EmbeddingsRequest,
    EmbeddingsResponse,
    Input,
    Purpose,
    TokenIds,
    Vector,
    text_of,
    unpacked,
)
from modelmux.ir.profile import Profile
from modelmux.ir.request import Encoded, Envelope
from modelmux.ir.response import NO_USAGE, Usage
from modelmux.wire import extra
from modelmux.wire.embeddings import fields

NAME = "openai.chat"

_PURPOSES: dict[str, Purpose] = {
    # Not OpenAI's: what NVIDIA's and Voyage's servers with its API call the purpose.
    # https://docs.nvidia.com/nim/nemo-retriever/text-embedding/latest/reference.html and
    # https://docs.voyageai.com/reference/embeddings-api, read 2026-11-20.
    "query": "query",
    "passage": "document",
    "document": "document",
    "search_query": "query",
    "search_document": "document",
    "classification": "classification",
    "clustering": "clustering",
}

_raws = msgspec.json.Decoder(list[Raw])


class _Request(Struct, forbid_unknown_fields=True):
    model: str
    input: Raw
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: int | None = None
    user: str | None = None
    input_type: str | None = None


class _Usage(Struct):
    prompt_tokens: int = 0
    total_tokens: int = 0


class _Item(Struct):
    embedding: Raw
    index: int = 0


class _Response(Struct):
    data: list[_Item]
    model: str = ""
    usage: _Usage | None = None
    id: str = ""


class _UsageOnly(Struct):
    usage: _Usage | None = None


_requests = extra.Schema(_Request)
_responses = msgspec.json.Decoder(_Response)
_usage_only = msgspec.json.Decoder(_UsageOnly)


class OpenAIEmbeddings:
    """Embeddings on the wire `openai.chat`."""

    def envelope(self, body: bytes) -> Envelope:
        return fields.envelope(body)

    def readdress(self, body: bytes, envelope: Envelope, model: str) -> bytes:
        return extra.replace_string(body, "model", envelope.model, model)

    def decode_request(self, body: bytes) -> EmbeddingsRequest:
        request, unknown = _requests.decode(body)
        inputs, bare = _inputs(request.input)
        word = request.input_type
        if word is not None and word not in _PURPOSES:
            unknown = {**unknown, "/input_type": Raw(msgspec.json.encode(word))}
            word = None
        return fields.count(
            EmbeddingsRequest(
                request.model,
                inputs,
                encoding=request.encoding_format or "float",
                dimensions=request.dimensions,
                purpose=_PURPOSES[word] if word is not None else None,
                spelling=word or "",
                user=request.user,
                bare=bare,
                wire=NAME,
                extra=extra.keep(unknown, NAME),
            ),
            "input",
        )

    def encode_request(self, request: EmbeddingsRequest, profile: Profile) -> Encoded:
        inputs = [_input(each, at) for at, each in enumerate(request.inputs)]
        body: dict[str, object] = {
            "model": request.model,
            "input": inputs[0] if request.bare and len(inputs) == 1 else inputs,
        }
        if request.encoding != "float":
            body["encoding_format"] = request.encoding
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        if request.user is not None:
            body["user"] = request.user
        if request.wire == NAME and request.spelling:
            body["input_type"] = request.spelling
        losses = fields.unsaid(request, NAME, "purpose", "titles", "truncate")
        extra.merge(body, request.extra, NAME)
        return Encoded(msgspec.json.encode(body), tuple(losses))

    def decode_response(
        self, body: bytes, headers: Callable[[bytes], bytes | None]
    ) -> EmbeddingsResponse:
        try:
            answer = _responses.decode(body)
        except extra.MALFORMED as exc:
            raise fields.violation(exc) from None
        # By index: servers that work in batches do not always answer in order.
        items = sorted(answer.data, key=lambda item: item.index)
        vectors = tuple(_vector(item.embedding) for item in items)
        usage = NO_USAGE if answer.usage is None else _tokens(answer.usage)
        return EmbeddingsResponse(answer.model, vectors, usage, answer.id)

    def encode_response(self, answer: EmbeddingsResponse, request: EmbeddingsRequest) -> bytes:
        packed = request.encoding == "base64"
        data = [
            {
                "object": "embedding",
                "index": index,
                "embedding": vector.as_base64() if packed else vector.as_json(),
            }
            for index, vector in enumerate(answer.vectors)
        ]
        tokens = answer.usage.input_tokens
        usage = {"prompt_tokens": tokens, "total_tokens": tokens}
        return msgspec.json.encode(
            {"object": "list", "data": data, "model": request.model, "usage": usage}
        )

    def usage(self, body: bytes, headers: Callable[[bytes], bytes | None]) -> Usage | None:
        try:
            usage = _usage_only.decode(body).usage
        except extra.MALFORMED as exc:
            raise fields.violation(exc) from None
        return None if usage is None else _tokens(usage)


def _inputs(raw: Raw) -> tuple[tuple[Input, ...], bool]:
    """Text, texts, token ids, or lists of token ids; and whether it was one."""
    if extra.first_byte(raw) == b"[":
        try:
            items = _raws.decode(raw)
        except extra.MALFORMED as exc:
            raise extra.invalid(exc, "/input") from None
        firsts = {extra.first_byte(item) for item in items}
        if firsts == {b"["}:
            return tuple(TokenIds(item) for item in items), False
        if firsts and b'"' not in firsts and firsts <= _DIGITS:
            return (TokenIds(raw),), True
    return fields.texts(raw, "input")


_DIGITS = frozenset(b"%d" % digit for digit in range(10))


def _input(value: Input, at: int) -> Raw | str:
    return value.ids if isinstance(value, TokenIds) else text_of(value, f"input[{at}]", NAME)


def _vector(raw: Raw) -> Vector:
    if extra.first_byte(raw) == b'"':
        return unpacked(msgspec.json.decode(raw, type=str))
    return Vector(Raw(bytes(raw)))


def _tokens(usage: _Usage) -> Usage:
    return Usage(input_tokens=usage.prompt_tokens or usage.total_tokens)
