"""The ranking API of Vertex AI (Discovery Engine).

Follows https://cloud.google.com/generative-ai-app-builder/docs/ranking, read 2026-11-20.
"""

from collections.abc import Callable

import msgspec
from msgspec import Struct

from modelmux.errors import ProtocolViolation
from modelmux.ir.profile import Profile
from modelmux.ir.request import Encoded, Envelope
from modelmux.ir.rerank import Document, Ranked, RerankRequest, RerankResponse
from modelmux.ir.response import Usage
from modelmux.wire import extra
from modelmux.wire.rerank import fields

NAME = "gemini"


class _Record(Struct, rename="camel", forbid_unknown_fields=True):
    id: str
    content: str | None = None
    title: str | None = None


class _Request(Struct, rename="camel", forbid_unknown_fields=True):
    query: str
    records: list[_Record]
    model: str = ""
    top_n: int | None = None
    ignore_record_details_in_response: bool | None = None


class _Result(Struct):
    id: str
    score: float


class _Response(Struct):
    records: list[_Result]


_requests = extra.Schema(_Request)
_responses = msgspec.json.Decoder(_Response)


class GoogleRerank:
    """Reranking on the wire `gemini`."""

    def envelope(self, body: bytes) -> Envelope:
        return fields.envelope(body)

    def readdress(self, body: bytes, envelope: Envelope, model: str) -> bytes:
        return extra.replace_string(body, "model", envelope.model, model)

    def decode_request(self, body: bytes) -> RerankRequest:
        request, unknown = _requests.decode(body)
        details = request.ignore_record_details_in_response
        return fields.checked(
            RerankRequest(
                request.model,
                request.query,
                tuple(Document(r.content or "", r.id, r.title) for r in request.records),
                request.top_n,
                None if details is None else not details,
                wire=NAME,
                extra=extra.keep(unknown, NAME),
            )
        )

    def encode_request(self, request: RerankRequest, profile: Profile) -> Encoded:
        records: list[dict[str, object]] = []
        for at, document in enumerate(request.documents):
            # By place, and not by the caller's ids: those need not be there, nor differ.
            record: dict[str, object] = {"id": str(at), "content": document.text}
            if document.title is not None:
                record["title"] = document.title
            records.append(record)
        body: dict[str, object] = {
            "model": request.model,
            "query": request.query,
            "records": records,
            "ignoreRecordDetailsInResponse": True,
        }
        if request.top_n is not None:
            body["topN"] = request.top_n
        losses = fields.unsaid(request, NAME, "max_tokens_per_document")
        extra.merge(body, request.extra, NAME)
        return Encoded(msgspec.json.encode(body), tuple(losses))

    def decode_response(
        self, body: bytes, headers: Callable[[bytes], bytes | None]
    ) -> RerankResponse:
        try:
            records = _responses.decode(body).records
        except extra.MALFORMED as exc:
            raise fields.violation(exc) from None
        if not all(each.id.isdecimal() for each in records):
            raise ProtocolViolation("an answer to a rerank request has ids that were not sent")
        return RerankResponse("", tuple(Ranked(int(each.id), each.score) for each in records))

    def encode_response(self, answer: RerankResponse, request: RerankRequest) -> bytes:
        records: list[dict[str, object]] = []
        for each in fields.best(answer.results, request.top_n):
            document = request.documents[each.index]
            record: dict[str, object] = {"id": document.id or str(each.index), "score": each.score}
            if request.return_documents is not False:
                record["content"] = document.text
                if document.title is not None:
                    record["title"] = document.title
            records.append(record)
        return msgspec.json.encode({"records": records})

    def usage(self, body: bytes, headers: Callable[[bytes], bytes | None]) -> Usage | None:
        return None  # billed by queries, not by tokens
