"""Gemini's `embedContent` and `batchEmbedContents`, and `predict` of Vertex AI.

The first two follow https://ai.google.dev/api/embeddings, the last
https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api, both
read 2026-11-20. The model stands in the path of all three.
"""

from collections.abc import Callable, Mapping

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
    Vector,
    text_of,
)
from modelmux.ir.parts import Blob, Modality, Text, Uri
from modelmux.ir.profile import Profile
from modelmux.ir.request import Encoded, Envelope, Loss
from modelmux.ir.response import NO_USAGE, Usage
from modelmux.wire import extra
from modelmux.wire.embeddings import fields

NAME = "gemini"

_ONE = "embedContent"
"""Spelling of a request for one vector, whose answer has another shape."""

_PURPOSES: Mapping[str, Purpose] = {
    "RETRIEVAL_DOCUMENT": "document",
    "RETRIEVAL_QUERY": "query",
    "SEMANTIC_SIMILARITY": "similarity",
    "CLASSIFICATION": "classification",
    "CLUSTERING": "clustering",
    "QUESTION_ANSWERING": "question_answering",
    "FACT_VERIFICATION": "fact_verification",
    "CODE_RETRIEVAL_QUERY": "code_query",
}
_TASKS: Mapping[Purpose, str] = {
    **{purpose: task for task, purpose in _PURPOSES.items()},
    "image": "RETRIEVAL_DOCUMENT",
}


class _Data(Struct, rename="camel", forbid_unknown_fields=True):
    mime_type: str
    data: str


class _FileData(Struct, rename="camel", forbid_unknown_fields=True):
    file_uri: str
    mime_type: str | None = None


class _Part(Struct, rename="camel", forbid_unknown_fields=True):
    text: str | None = None
    inline_data: _Data | None = None
    file_data: _FileData | None = None


class _Content(Struct, forbid_unknown_fields=True):
    parts: list[_Part]
    role: str | None = None


class _Request(Struct, rename="camel", forbid_unknown_fields=True):
    content: _Content
    model: str | None = None
    task_type: str | None = None
    title: str | None = None
    output_dimensionality: int | None = None


class _Batch(Struct, forbid_unknown_fields=True):
    requests: list[Raw]


class _Envelope(Struct):
    content: Raw = Raw()
    requests: Raw = Raw()


class _Values(Struct):
    values: Raw


class _UsageMetadata(Struct, rename="camel"):
    prompt_token_count: int = 0


class _Statistics(Struct):
    token_count: float = 0


class _VertexValues(Struct):
    values: Raw
    statistics: _Statistics | None = None


class _Prediction(Struct):
    embeddings: _VertexValues


class _Response(Struct, rename="camel"):
    embedding: _Values | None = None
    embeddings: list[_Values] | None = None
    predictions: list[_Prediction] | None = None
    usage_metadata: _UsageMetadata | None = None


_envelope = msgspec.json.Decoder(_Envelope)
_one = extra.Schema(_Request)
_batch = extra.Schema(_Batch)
_responses = msgspec.json.Decoder(_Response)


class GeminiEmbeddings:
    """Embeddings on the wire `gemini`."""

    def envelope(self, body: bytes) -> Envelope:
        try:
            read = _envelope.decode(body)
        except extra.MALFORMED as exc:
            raise extra.invalid(exc) from None
        # Vectors are asked for in batches, whatever the caller's form.
        return Envelope("", spelling=frozenset({_ONE}) if read.content else frozenset())

    def readdress(self, body: bytes, envelope: Envelope, model: str) -> bytes:
        if model == envelope.model:
            return body
        batch, _ = _batch.decode(body)
        named = [extra.splice(bytes(each), {"model": f"models/{model}"}) for each in batch.requests]
        return extra.splice(body, {"requests": [Raw(each) for each in named]})

    def decode_request(self, body: bytes) -> EmbeddingsRequest:
        single = bool(self.envelope(body).spelling)
        raws, paths = [Raw(body)], [""]
        unknown: dict[str, Raw] = {}
        if not single:
            batch, more = _batch.decode(body)
            unknown |= more
            raws = batch.requests
            paths = [f"/requests/{at}" for at in range(len(raws))]
        asked: list[_Request] = []
        for raw, path in zip(raws, paths, strict=True):
            request, more = _one.decode(raw, path)
            asked.append(request)
            unknown |= {path + pointer: value for pointer, value in more.items()}
        inputs = tuple(_input(each.content, path) for each, path in zip(asked, paths, strict=True))
        first = _alike(asked)
        titles = tuple(each.title for each in asked)
        task = first.task_type if first is not None else None
        return fields.count(
            EmbeddingsRequest(
                "",
                inputs,
                dimensions=first.output_dimensionality if first is not None else None,
                purpose=_PURPOSES.get(task) if task is not None else None,
                titles=titles if any(titles) else (),
                bare=single,
                spelling=_ONE if single else "",
                wire=NAME,
                extra=extra.keep(unknown, NAME),
            ),
            "requests",
        )

    def encode_request(self, request: EmbeddingsRequest, profile: Profile) -> Encoded:
        if profile.embeddings == "predict":
            return _predict(request)
        losses = list(fields.unsaid(request, NAME, "truncate", "user"))
        requests: list[object] = []
        for at, each in enumerate(request.inputs):
            one: dict[str, object] = {
                "model": f"models/{request.model}",
                "content": {"parts": _parts(each, at)},
            }
            if request.purpose is not None:
                one["taskType"] = _task(request.purpose, losses)
            if request.titles and request.titles[at] is not None:
                one["title"] = request.titles[at]
            if request.dimensions is not None:
                one["outputDimensionality"] = request.dimensions
            requests.append(one)
        return Encoded(msgspec.json.encode({"requests": requests}), tuple(losses))

    def decode_response(
        self, body: bytes, headers: Callable[[bytes], bytes | None]
    ) -> EmbeddingsResponse:
        answer = _read(body)
        if answer.predictions is not None:
            raws = [each.embeddings.values for each in answer.predictions]
        elif answer.embeddings is not None:
            raws = [each.values for each in answer.embeddings]
        else:
            raws = [answer.embedding.values] if answer.embedding is not None else []
        vectors = tuple(Vector(Raw(bytes(raw))) for raw in raws)
        return EmbeddingsResponse("", vectors, _tokens(answer) or NO_USAGE)

    def encode_response(self, answer: EmbeddingsResponse, request: EmbeddingsRequest) -> bytes:
        vectors = [{"values": vector.as_json()} for vector in answer.vectors]
        body: dict[str, object]
        body = {"embedding": vectors[0]} if request.bare else {"embeddings": vectors}
        if answer.usage.input_tokens:
            body["usageMetadata"] = {"promptTokenCount": answer.usage.input_tokens}
        return msgspec.json.encode(body)

    def usage(self, body: bytes, headers: Callable[[bytes], bytes | None]) -> Usage | None:
        return _tokens(_read(body))


def _read(body: bytes) -> _Response:
    try:
        return _responses.decode(body)
    except extra.MALFORMED as exc:
        raise fields.violation(exc) from None


def _tokens(answer: _Response) -> Usage | None:
    if answer.usage_metadata is not None:
        return Usage(input_tokens=answer.usage_metadata.prompt_token_count)
    counts = [
        each.embeddings.statistics.token_count
        for each in answer.predictions or ()
        if each.embeddings.statistics is not None
    ]
    return Usage(input_tokens=int(sum(counts))) if counts else None


def _alike(asked: list[_Request]) -> _Request | None:
    """What all requests of a batch say of how to embed. Raises `InvalidRequest`."""
    if not asked:
        return None
    first = asked[0]
    for at, each in enumerate(asked):
        if (each.task_type, each.output_dimensionality) != (
            first.task_type,
            first.output_dimensionality,
        ):
            path = f"requests[{at}]"
            raise InvalidRequest(
                f"{path}: expected the taskType and outputDimensionality of requests[0], because "
                "the model answers another API; send requests that differ apart",
                param=path,
            )
    return first


def _input(content: _Content, path: str) -> Input:
    pieces: list[Piece] = []
    for at, part in enumerate(content.parts):
        if part.text is not None:
            pieces.append(Text(part.text))
        elif part.inline_data is not None:
            mime_type = part.inline_data.mime_type
            pieces.append(Blob(_modality(mime_type), mime_type, part.inline_data.data))
        elif part.file_data is not None:
            mime_type = part.file_data.mime_type or ""
            pieces.append(Uri(_modality(mime_type), part.file_data.file_uri, mime_type or None))
        else:
            where = extra.pointer_to_path(f"{path}/content/parts/{at}")
            raise InvalidRequest(f"{where}: expected text, inlineData or fileData", param=where)
    return tuple(pieces)


def _parts(value: Input, at: int) -> list[dict[str, object]]:
    if isinstance(value, TokenIds):
        return [{"text": text_of(value, f"input[{at}]", NAME)}]  # raises
    parts: list[dict[str, object]] = []
    for piece in value:
        if isinstance(piece, Text):
            parts.append({"text": piece.text})
        elif isinstance(piece, Blob):
            parts.append({"inlineData": {"mimeType": piece.mime_type, "data": piece.content}})
        else:
            file = {"fileUri": piece.uri}
            if piece.mime_type is not None:
                file["mimeType"] = piece.mime_type
            parts.append({"fileData": file})
    return parts


def _predict(request: EmbeddingsRequest) -> Encoded:
    losses = list(fields.unsaid(request, NAME, "user"))
    instances: list[dict[str, object]] = []
    for at, each in enumerate(request.inputs):
        instance: dict[str, object] = {"content": text_of(each, f"input[{at}]", NAME)}
        if request.purpose is not None:
            instance["task_type"] = _task(request.purpose, losses)
        if request.titles and request.titles[at] is not None:
            instance["title"] = request.titles[at]
        instances.append(instance)
    parameters: dict[str, object] = {}
    if request.dimensions is not None:
        parameters["outputDimensionality"] = request.dimensions
    if request.truncate is not None:
        parameters["autoTruncate"] = request.truncate != "none"
    body: dict[str, object] = {"instances": instances}
    if parameters:
        body["parameters"] = parameters
    return Encoded(msgspec.json.encode(body), tuple(losses))


def _task(purpose: Purpose, losses: list[Loss]) -> str:
    if purpose == "image" and not any(loss.path == "/purpose" for loss in losses):
        losses.append(Loss("/purpose", f"{NAME} has no such purpose; its next is a document"))
    return _TASKS[purpose]


def _modality(mime_type: str) -> Modality:
    kind = mime_type.partition("/")[0]
    if kind == "image":
        return "image"
    if kind == "audio":
        return "audio"
    return "video" if kind == "video" else "document"
