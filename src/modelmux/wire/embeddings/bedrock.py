"""Embeddings of Bedrock's `InvokeModel`: each maker's models have bodies of their own.

Amazon Titan: https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-titan-embed.html
Cohere: see `cohere.py`. Read 2026-11-20. The model stands in the path.
"""

from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import InvalidRequest
from modelmux.ir.embeddings import EmbeddingsRequest, EmbeddingsResponse, Vector, text_of
from modelmux.ir.profile import Profile
from modelmux.ir.request import Encoded, Envelope, Loss
from modelmux.ir.response import NO_USAGE, Usage
from modelmux.wire import extra
from modelmux.wire.embeddings import cohere, fields

NAME = "bedrock.converse"


class _Titan(Struct, rename="camel", forbid_unknown_fields=True):
    input_text: str
    dimensions: int | None = None
    normalize: bool | None = None
    embedding_types: list[str] | None = None


class _TitanAnswer(Struct, rename="camel"):
    embedding: Raw = Raw()
    input_text_token_count: int | None = None
    embeddings: Raw = Raw()


_titans = extra.Schema(_Titan)
_answers = msgspec.json.Decoder(_TitanAnswer)

_cohere = cohere.CohereEmbeddings()


class BedrockEmbeddings:
    """Embeddings on the wire `bedrock.converse`: Titan's bodies, or Cohere's for its models."""

    def envelope(self, body: bytes) -> Envelope:
        return Envelope("")

    def readdress(self, body: bytes, envelope: Envelope, model: str) -> bytes:
        return body

    def decode_request(self, body: bytes) -> EmbeddingsRequest:
        request, unknown = _titans.decode(body)
        if request.normalize is not None:
            unknown = {**unknown, "/normalize": Raw(msgspec.json.encode(request.normalize))}
        if request.embedding_types not in (None, ["float"]):
            raw = Raw(msgspec.json.encode(request.embedding_types))
            unknown = {**unknown, "/embeddingTypes": raw}
        inputs, _ = fields.texts(Raw(msgspec.json.encode(request.input_text)), "inputText")
        return EmbeddingsRequest(
            "",
            inputs,
            dimensions=request.dimensions,
            bare=True,
            wire=NAME,
            extra=extra.keep(unknown, NAME),
        )

    def encode_request(self, request: EmbeddingsRequest, profile: Profile) -> Encoded:
        losses: list[Loss] = []
        if "cohere." in request.model:
            losses += fields.unsaid(request, NAME, "titles", "user")
            both = {**cohere.content(request, losses), **cohere.options(request)}
            return Encoded(msgspec.json.encode(both), tuple(losses))
        if len(request.inputs) != 1:
            raise InvalidRequest(
                f"input: {request.model} takes one text a request, got {len(request.inputs)}",
                param="input",
            )
        body: dict[str, object] = {"inputText": text_of(request.inputs[0], "input", NAME)}
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        losses += fields.unsaid(request, NAME, "purpose", "titles", "truncate", "user")
        extra.merge(body, request.extra, NAME)
        return Encoded(msgspec.json.encode(body), tuple(losses))

    def decode_response(
        self, body: bytes, headers: Callable[[bytes], bytes | None]
    ) -> EmbeddingsResponse:
        answer = _read(body)
        if not answer.embedding:
            return _cohere.decode_response(body, headers)
        usage = _tokens(answer, headers) or NO_USAGE
        return EmbeddingsResponse("", (Vector(Raw(bytes(answer.embedding))),), usage)

    def encode_response(self, answer: EmbeddingsResponse, request: EmbeddingsRequest) -> bytes:
        numbers = answer.vectors[0].as_json()
        return msgspec.json.encode(
            {"embedding": numbers, "inputTextTokenCount": answer.usage.input_tokens}
        )

    def usage(self, body: bytes, headers: Callable[[bytes], bytes | None]) -> Usage | None:
        return _tokens(_read(body), headers)


def _read(body: bytes) -> _TitanAnswer:
    try:
        return _answers.decode(body)
    except extra.MALFORMED as exc:
        raise fields.violation(exc) from None


def _tokens(answer: _TitanAnswer, headers: Callable[[bytes], bytes | None]) -> Usage | None:
    if answer.input_text_token_count is not None:
        return Usage(input_tokens=answer.input_text_token_count)
    told = headers(cohere.TOKENS_HEADER)
    return Usage(input_tokens=int(told)) if told is not None and told.isdigit() else None
