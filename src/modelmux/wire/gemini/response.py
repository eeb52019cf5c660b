"""Whole answers, to the neutral response and back."""

from collections.abc import Callable, Mapping, Sequence
from typing import assert_never

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import Interrupted, ProtocolViolation
from modelmux.ir import events as ev
from modelmux.ir.parts import (
    Blob,
    Extra,
    File,
    Generic,
    Part,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.request import Envelope
from modelmux.ir.response import NO_USAGE, FinishReason, Response, Summary
from modelmux.wire import extra
from modelmux.wire.gemini import (
    calls,
    counts,
    errors,
    finish,
    foreign,
    grounding,
    part_decode,
    part_encode,
    schema,
    stream_decode,
)
from modelmux.wire.gemini.part_encode import Piece
from modelmux.wire.gemini.schema import NAME

AS_ARRAY = "alt=json"
"""The caller wants a stream as one JSON array, and not as events."""

_MODEL = "modelVersion"

_response = extra.Schema(schema.GenerateContentResponse, ProtocolViolation)
_candidate = extra.Schema(schema.Candidate, ProtocolViolation)
_summary = msgspec.json.Decoder(schema.Summary)
_candidate_summary = msgspec.json.Decoder(schema.CandidateSummary)
_array = msgspec.json.Decoder(list[Raw])

reader = part_decode.Reader(ProtocolViolation, keeps_signatures_in_ids=True)


def decode(body: bytes) -> Response:
    """The neutral response; a list of pieces is joined. Raises `ProtocolViolation`."""
    if body.lstrip()[:1] == b"[":
        return _joined(body)
    answer, unknown = _response.decode(body)
    if "/error" in unknown:
        raise ProtocolViolation(errors.decode(200, body).message)
    if answer.candidates is None and not answer.prompt_feedback and answer.usage_metadata is None:
        raise ProtocolViolation("expected candidates, promptFeedback or an error, got none")
    fields, of_usage = _apart(unknown)
    if answer.prompt_feedback:
        fields["/promptFeedback"] = answer.prompt_feedback
    parts, reason = _first(answer, fields)
    usage = NO_USAGE
    if answer.usage_metadata is not None:
        usage = counts.decode(answer.usage_metadata, of_usage)
    return Response(
        answer.response_id or "",
        answer.model_version or "",
        parts,
        reason,
        usage,
        extra=Extra(NAME, fields) if fields else None,
    )


def _apart(unknown: Mapping[str, Raw]) -> tuple[dict[str, Raw], dict[str, Raw]]:
    """Unknown fields of an answer, and those of its usage, by pointer relative to each."""
    fields: dict[str, Raw] = {}
    of_usage: dict[str, Raw] = {}
    for pointer, raw in unknown.items():
        if pointer.startswith("/usageMetadata/"):
            of_usage[pointer.removeprefix("/usageMetadata")] = raw
        else:
            fields[pointer] = raw
    return fields, of_usage


def _first(
    answer: schema.GenerateContentResponse, fields: dict[str, Raw]
) -> tuple[tuple[Part, ...], FinishReason]:
    """What the first candidate says, and why it ended; `fields` takes the rest.

    Of several answers only one has a neutral form; all go back where they came from.
    """
    raws = answer.candidates
    if raws is None:
        return (), finish.neutral("SAFETY" if answer.prompt_feedback else None)
    if len(raws) != 1:
        fields["/candidates"] = Raw(msgspec.json.encode(raws))
    if not raws:
        return (), finish.neutral("SAFETY" if answer.prompt_feedback else None)
    candidate, more = _candidate.decode(raws[0], "/candidates/0")
    parts = _parts(candidate, answer.response_id or "")
    called = any(isinstance(part, ToolCall) for part in parts)
    reason = finish.neutral(candidate.finish_reason, called=called)
    if len(raws) == 1:
        fields.update(_kept(candidate, more, reason))
    return parts, reason


def _joined(body: bytes) -> Response:
    """The answer of which `body` lists the pieces."""
    decoder = stream_decode.Decoder()
    try:
        return ev.fold([*decoder.feed(body), *decoder.finish()])
    except Interrupted as exc:
        raise ProtocolViolation(exc.message) from None


def _parts(candidate: schema.Candidate, response_id: str) -> tuple[Part, ...]:
    content = candidate.content
    if content is None or not content.parts:
        return ()
    parts = reader.parts(content.parts, "/candidates/0/content/parts", ids(response_id))
    if not candidate.grounding_metadata and not candidate.citation_metadata:
        return tuple(parts)
    text = "".join([part.text for part in parts if isinstance(part, Text)])
    cited = grounding.decode(candidate.grounding_metadata, candidate.citation_metadata, text)
    return tuple(cite(parts, cited))


def ids(response_id: str) -> Callable[[], str]:
    """Makes ids for the calls of an answer that have none."""
    numbers = iter(range(1 << 30))
    return lambda: calls.made(response_id or "call", next(numbers))


def cite(parts: Sequence[Part], cited: Sequence[object]) -> list[Part]:
    """`parts` with all citations on the last text."""
    out = list(parts)
    for index in range(len(out) - 1, -1, -1):
        part = out[index]
        if isinstance(part, Text):
            out[index] = replace(part, citations=tuple(cited))
            break
    return out


def _kept(
    candidate: schema.Candidate, unknown: Mapping[str, Raw], reason: FinishReason
) -> dict[str, Raw]:
    """What of a candidate the neutral model has no word for, by pointer into the body."""
    fields = {f"/candidates/0{pointer}": raw for pointer, raw in unknown.items()}
    for name, value in (
        ("groundingMetadata", candidate.grounding_metadata),
        ("citationMetadata", candidate.citation_metadata),
        ("safetyRatings", candidate.safety_ratings),
        ("avgLogprobs", candidate.avg_logprobs),
    ):
        if value:
            fields[f"/candidates/0/{name}"] = value
    if candidate.index is not None:
        fields["/candidates/0/index"] = _json(candidate.index)
    spelled = finish.spelling(candidate.finish_reason, reason)
    if spelled is not None:
        fields["/candidates/0/finishReason"] = spelled
    elif candidate.finish_reason is None:
        fields["/candidates/0/finishReason"] = Raw(b"null")
    content = candidate.content
    if content is None:
        fields["/candidates/0/content"] = Raw(b"null")
    elif content.role is None:
        fields["/candidates/0/content/role"] = Raw(b"null")
    elif content.role != "model":
        fields["/candidates/0/content/role"] = _json(content.role)
    if content is not None and content.parts is None:
        fields["/candidates/0/content/parts"] = Raw(b"null")
    return fields


def _json(value: object) -> Raw:
    return Raw(msgspec.json.encode(value))


def encode(response: Response, envelope: Envelope) -> bytes:
    """The answer's body, under the name that the caller asked for."""
    own = response.extra is not None and response.extra.wire == NAME
    blocked = own and response.extra is not None and "/promptFeedback" in response.extra.fields
    pieces = answer_pieces(response.parts)
    body: Piece = {}
    if pieces or not blocked:
        content: Piece = {"parts": pieces, "role": "model"}
        candidate: Piece = {"content": content, "finishReason": finish.said(response.reason)}
        if not own:
            candidate["index"] = 0
        texts = [part for part in response.parts if isinstance(part, Text)]
        cited = grounding.encode([c for part in texts for c in part.citations])
        if cited is not None:
            candidate["citationMetadata"] = cited
        body["candidates"] = [candidate]
    if response.usage is not NO_USAGE:
        body["usageMetadata"] = counts.encode(response.usage)
    model = envelope.model or response.model
    if model:
        body[_MODEL] = model
    if response.id:
        body["responseId"] = response.id
    encoded = msgspec.json.encode(extra.merge(body, response.extra, NAME))
    return b"[" + encoded + b"]" if AS_ARRAY in envelope.spelling and envelope.stream else encoded


def answer_pieces(parts: Sequence[Part]) -> list[Piece | Raw]:
    """The API's parts for those of an answer, with signatures back in their places."""
    out: list[Piece | Raw] = []
    for part in parts:
        if isinstance(part, Reasoning) and part_encode.is_attached(part) and out:
            part_encode.attach(part, out)
            continue
        piece = answer_piece(part)
        if piece is not None:
            out.append(piece)
    return out


def answer_piece(part: Part) -> Piece | Raw | None:
    """The API's part that says `part` in an answer; `None` where none does."""
    match part:
        case Text():
            return part_encode.text(part)
        case Refusal(text=text):
            return {"text": text}
        case Reasoning():
            if not part.text and foreign.signature(part) is None:
                return None
            return part_encode.thought(part)
        case ToolCall():
            return part_encode.function_call(part, part.name, part_encode.any_arguments(part))
        case Blob() | Uri() | File():
            piece = part_encode.media(part)
            return piece if isinstance(piece, dict) else {"text": f"[{part.modality}]"}
        case ServerToolCall(origin=origin):
            return part_encode.server_tool_call(part) if origin == NAME else None
        case Generic() | ServerToolResult():
            return part.raw if part.wire == NAME else None
        case ToolResult():  # a caller's, and no part of an answer
            return None
        case _:
            assert_never(part)


def summarise(body: bytes) -> Summary:
    """Usage, finish reason and failure of a whole answer. Raises `ProtocolViolation`."""
    if body.lstrip()[:1] == b"[":
        return _summary_of_list(body)
    try:
        answer = _summary.decode(body)
        candidate = schema.CandidateSummary()
        if answer.candidates:
            candidate = _candidate_summary.decode(answer.candidates[0])
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "", ProtocolViolation) from None
    if answer.error:
        return Summary(failure=errors.decode(200, body))
    if answer.total_tokens is not None:
        return Summary()
    blocked = answer.prompt_feedback is not None and not answer.candidates
    usage = counts.read(answer.usage_metadata) if answer.usage_metadata else None
    if answer.candidates is None and not blocked and usage is None:
        raise ProtocolViolation("the answer is neither content nor an error")
    first = bytes(answer.candidates[0]) if answer.candidates else b""
    called = b'"functionCall"' in first
    reason = finish.neutral("SAFETY" if blocked else candidate.finish_reason, called=called)
    return Summary(usage if usage is not None else NO_USAGE, reason)


def _summary_of_list(body: bytes) -> Summary:
    try:
        items = _array.decode(body)
        failed = items and bytes(items[0]).startswith(b"{") and _summary.decode(items[0]).error
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "", ProtocolViolation) from None
    if failed:
        return Summary(failure=errors.decode(200, body))
    response = _joined(body)
    return Summary(response.usage, response.reason)


def rename(body: bytes, model: str) -> bytes:
    """A whole answer under the name that the caller asked for; one without a name as it is.

    Raises:
        ProtocolViolation: `body` is not an answer.
    """
    if body.lstrip()[:1] == b"[":
        try:
            items = _array.decode(body)
        except extra.MALFORMED as exc:
            raise extra.invalid(exc, "", ProtocolViolation) from None
        return b"[" + b",".join([rename(bytes(item), model) for item in items]) + b"]"
    try:
        name = _summary.decode(body).model_version
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "", ProtocolViolation) from None
    if name is None:
        return body
    return extra.replace_string(body, _MODEL, name, model)
