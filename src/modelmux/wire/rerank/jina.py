"""`POST /v1/rerank` as Jina has it, and with it vLLM, llama.cpp, Together and others.

Follows https://api.jina.ai/redoc (Reranker) and https://docs.vllm.ai/en/latest/serving/
openai_compatible_server (Re-rank API), read 2026-11-20.
"""

from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.profile import Profile
from modelmux.ir.request import Encoded, Envelope
from modelmux.ir.rerank import Ranked, RerankRequest, RerankResponse
from modelmux.ir.response import NO_USAGE, Usage
from modelmux.wire import extra
from modelmux.wire.rerank import fields

NAME = "openai.chat"


class _Request(Struct, forbid_unknown_fields=True):
    model: str
    query: str
    documents: list[Raw]
    top_n: int | None = None
    return_documents: bool | None = None


class _Result(Struct):
    index: int
    relevance_score: float


class _Usage(Struct):
    total_tokens: int = 0
    prompt_tokens: int | None = None


class _Response(Struct):
    results: list[_Result]
    model: str = ""
    usage: _Usage | None = None
    id: str = ""


class _UsageOnly(Struct):
    usage: _Usage | None = None


_requests = extra.Schema(_Request)
_responses = msgspec.json.Decoder(_Response)
_usage_only = msgspec.json.Decoder(_UsageOnly)


class JinaRerank:
    """Reranking on the wire `openai.chat`, whose maker has none: most who copy it have Jina's."""

    def envelope(self, body: bytes) -> Envelope:
        return fields.envelope(body)

    def readdress(self, body: bytes, envelope: Envelope, model: str) -> bytes:
        return extra.replace_string(body, "model", envelope.model, model)

    def decode_request(self, body: bytes) -> RerankRequest:
        request, unknown = _requests.decode(body)
        return fields.checked(
            RerankRequest(
                request.model,
                request.query,
                fields.documents(request.documents),
                request.top_n,
                request.return_documents,
                wire=NAME,
                extra=extra.keep(unknown, NAME),
            )
        )

    def encode_request(self, request: RerankRequest, profile: Profile) -> Encoded:
        body: dict[str, object] = {
            "model": request.model,
            "query": request.query,
            "documents": [each.text for each in request.documents],
        }
        if request.top_n is not None:
            body["top_n"] = request.top_n
        # The caller's own documents are put beside the scores when they are wanted.
        body["return_documents"] = False
        losses = fields.unsaid(request, NAME, "max_tokens_per_document")
        extra.merge(body, request.extra, NAME)
        return Encoded(msgspec.json.encode(body), tuple(losses))

    def decode_response(
        self, body: bytes, headers: Callable[[bytes], bytes | None]
    ) -> RerankResponse:
        try:
            answer = _responses.decode(body)
        except extra.MALFORMED as exc:
            raise fields.violation(exc) from None
        results = tuple(Ranked(each.index, each.relevance_score) for each in answer.results)
        usage = _tokens(answer.usage) or NO_USAGE
        return RerankResponse(answer.model, results, usage, answer.id)

    def encode_response(self, answer: RerankResponse, request: RerankRequest) -> bytes:
        results: list[dict[str, object]] = []
        for each in fields.best(answer.results, request.top_n):
            result: dict[str, object] = {"index": each.index, "relevance_score": each.score}
            if request.return_documents:
                result["document"] = fields.shown(request.documents[each.index])
            results.append(result)
        tokens = answer.usage.input_tokens
        return msgspec.json.encode(
            {
                "model": request.model,
                "object": "list",
                "usage": {"total_tokens": tokens, "prompt_tokens": tokens},
                "results": results,
            }
        )

    def usage(self, body: bytes, headers: Callable[[bytes], bytes | None]) -> Usage | None:
        try:
            return _tokens(_usage_only.decode(body).usage)
        except extra.MALFORMED as exc:
            raise fields.violation(exc) from None


def _tokens(usage: _Usage | None) -> Usage | None:
    if usage is None:
        return None
    return Usage(input_tokens=usage.prompt_tokens or usage.total_tokens)
