"""`POST /api/embed` of Ollama, and the older `/api/embeddings`, which takes one prompt.

Follows https://docs.ollama.com/api/embed, read 2026-11-20.
"""

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.embeddings import (
    EmbeddingsRequest,
    EmbeddingsResponse,
    Truncation,
    Vector,
    text_of,
)
from modelmux.ir.profile import Profile
from modelmux.ir.request import Encoded, Envelope
from modelmux.ir.response import NO_USAGE, Usage
from modelmux.wire import extra
from modelmux.wire.embeddings import fields

NAME = "ollama.chat"

_PROMPT = "prompt"
_OLDER = frozenset({_PROMPT})
_TRUNCATIONS: Mapping[bool | None, Truncation | None] = {None: None, True: "end", False: "none"}


class _Request(Struct, forbid_unknown_fields=True):
    model: str
    input: Raw = Raw()
    prompt: str | None = None
    truncate: bool | None = None
    dimensions: int | None = None


class _Envelope(Struct):
    model: str
    prompt: Raw = Raw()


class _Response(Struct):
    embeddings: list[Raw] = []
    embedding: Raw = Raw()
    model: str = ""
    prompt_eval_count: int | None = None


class _Count(Struct):
    prompt_eval_count: int | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_requests = extra.Schema(_Request)
_responses = msgspec.json.Decoder(_Response)
_count = msgspec.json.Decoder(_Count)


class OllamaEmbeddings:
    """Embeddings on the wire `ollama.chat`; a request with `prompt` is one of the older form."""

    def envelope(self, body: bytes) -> Envelope:
        try:
            read = _envelope.decode(body)
        except extra.MALFORMED as exc:
            raise extra.invalid(exc) from None
        return Envelope(read.model, spelling=_OLDER if read.prompt else frozenset())

    def readdress(self, body: bytes, envelope: Envelope, model: str) -> bytes:
        return extra.replace_string(body, "model", envelope.model, model)

    def decode_request(self, body: bytes) -> EmbeddingsRequest:
        request, unknown = _requests.decode(body)
        older = request.prompt is not None
        raw = Raw(msgspec.json.encode(request.prompt)) if older else request.input or Raw(b"[]")
        inputs, bare = fields.texts(raw, "prompt" if older else "input")
        made = EmbeddingsRequest(
            request.model,
            inputs,
            dimensions=request.dimensions,
            truncate=_TRUNCATIONS[request.truncate],
            bare=bare,
            spelling=_PROMPT if older else "",
            wire=NAME,
            extra=extra.keep(unknown, NAME),
        )
        return fields.count(made, "input")

    def encode_request(self, request: EmbeddingsRequest, profile: Profile) -> Encoded:
        inputs = [text_of(each, f"input[{at}]", NAME) for at, each in enumerate(request.inputs)]
        body: dict[str, object] = {
            "model": request.model,
            "input": inputs[0] if request.bare and len(inputs) == 1 else inputs,
        }
        if request.truncate is not None:
            body["truncate"] = request.truncate != "none"
        if request.dimensions is not None:
            body["dimensions"] = request.dimensions
        losses = fields.unsaid(request, NAME, "purpose", "titles", "user")
        extra.merge(body, request.extra, NAME)
        return Encoded(msgspec.json.encode(body), tuple(losses))

    def decode_response(
        self, body: bytes, headers: Callable[[bytes], bytes | None]
    ) -> EmbeddingsResponse:
        try:
            answer = _responses.decode(body)
        except extra.MALFORMED as exc:
            raise fields.violation(exc) from None
        raws = [answer.embedding] if answer.embedding else answer.embeddings
        usage = NO_USAGE
        if answer.prompt_eval_count is not None:
            usage = Usage(input_tokens=answer.prompt_eval_count)
        return EmbeddingsResponse(answer.model, tuple(Vector(Raw(bytes(r))) for r in raws), usage)

    def encode_response(self, answer: EmbeddingsResponse, request: EmbeddingsRequest) -> bytes:
        if request.wire == NAME and request.spelling == _PROMPT:
            return msgspec.json.encode({"embedding": answer.vectors[0].as_json()})
        body = {
            "model": request.model,
            "embeddings": [vector.as_json() for vector in answer.vectors],
            "prompt_eval_count": answer.usage.input_tokens,
        }
        return msgspec.json.encode(body)

    def usage(self, body: bytes, headers: Callable[[bytes], bytes | None]) -> Usage | None:
        try:
            tokens = _count.decode(body).prompt_eval_count
        except extra.MALFORMED as exc:
            raise fields.violation(exc) from None
        return Usage(input_tokens=tokens) if tokens is not None else None
