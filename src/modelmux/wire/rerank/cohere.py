"""`POST /v2/rerank` of Cohere.

Follows https://docs.cohere.com/reference/rerank, read 2026-11-20.
"""

from collections.abc import Callable

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.profile import Profile
from modelmux.ir.request import Encoded, Envelope
from modelmux.ir.rerank import Ranked, RerankRequest, RerankResponse
from modelmux.ir.response import Usage
from modelmux.wire import extra
from modelmux.wire.rerank import fields

NAME = "cohere.chat"


class _Request(Struct, forbid_unknown_fields=True):
    model: str
    query: str
    documents: list[Raw]
    top_n: int | None = None
    max_tokens_per_doc: int | None = None
    return_documents: bool | None = None


class _Result(Struct):
    index: int
    relevance_score: float


class _BilledUnits(Struct):
    search_units: float | None = None


class _Meta(Struct):
    billed_units: _BilledUnits | None = None


class _Response(Struct):
    results: list[_Result]
    id: str = ""
    meta: _Meta | None = None


_requests = extra.Schema(_Request)
_responses = msgspec.json.Decoder(_Response)


class CohereRerank:
    """Reranking on the wire `cohere.chat`."""

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
                request.max_tokens_per_doc,
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
        if request.max_tokens_per_document is not None:
            body["max_tokens_per_doc"] = request.max_tokens_per_document
        losses = fields.unsaid(request, NAME)
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
        units = answer.meta.billed_units if answer.meta is not None else None
        searches = units.search_units if units is not None else None
        return RerankResponse(
            "", results, id=answer.id, search_units=int(searches) if searches is not None else None
        )

    def encode_response(self, answer: RerankResponse, request: RerankRequest) -> bytes:
        results: list[dict[str, object]] = []
        for each in fields.best(answer.results, request.top_n):
            result: dict[str, object] = {"index": each.index, "relevance_score": each.score}
            if request.return_documents:
                result["document"] = fields.shown(request.documents[each.index])
            results.append(result)
        meta: dict[str, object] = {"api_version": {"version": "2"}}
        if answer.search_units is not None:
            meta["billed_units"] = {"search_units": answer.search_units}
        return msgspec.json.encode({"id": answer.id, "results": results, "meta": meta})

    def usage(self, body: bytes, headers: Callable[[bytes], bytes | None]) -> Usage | None:
        return None  # billed by searches, not by tokens
