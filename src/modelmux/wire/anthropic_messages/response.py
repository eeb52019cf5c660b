"""Whole answers, to the neutral response and back."""

from collections.abc import Mapping
from typing import assert_never

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import (
    Blob,
    Citation,
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
from modelmux.ir.response import Response, Summary
from modelmux.wire import extra, sealed
from modelmux.wire.anthropic_messages import (
    block_decode,
    block_encode,
    counting,
    counts,
    errors,
    finish,
    schema,
)
from modelmux.wire.anthropic_messages.block_encode import Block
from modelmux.wire.anthropic_messages.schema import NAME

_message = extra.Schema(schema.Message, ProtocolViolation)
_answer = msgspec.json.Decoder(schema.Answer)
_answer_of_later = msgspec.json.Decoder(schema.AnswerOfLater)
_named = msgspec.json.Decoder(schema.ModelName)

reader = block_decode.Reader(ProtocolViolation)


def decode(body: bytes) -> Response:
    """The neutral response. Raises `ProtocolViolation`."""
    message, unknown = _message.decode(body)
    fields, of_usage = apart(unknown) if unknown else ({}, {})
    if message.container:
        fields["/container"] = message.container
    if message.stop_details:
        fields["/stop_details"] = message.stop_details
    if message.context_management:
        fields["/context_management"] = message.context_management
    spelling = finish.spelling(message.stop_reason, message.stop_sequence)
    if spelling is not None:
        fields["/stop_reason"] = spelling
    return Response(
        message.id,
        message.model,
        place_citations(reader.parts(message.content, "/content")),
        finish.neutral(message.stop_reason),
        counts.decode(message.usage, of_usage),
        message.stop_sequence,
        0,
        Extra(NAME, fields) if fields else None,
    )


def apart(unknown: Mapping[str, Raw], holder: str = "") -> tuple[dict[str, Raw], dict[str, Raw]]:
    """Unknown fields of an answer, and those of its usage, by pointer relative to each.

    Args:
        unknown: The fields by pointer into a body, or an event.
        holder: Pointer of the object in which an event has what an answer has itself.
    """
    fields: dict[str, Raw] = {}
    of_usage: dict[str, Raw] = {}
    for pointer, raw in unknown.items():
        inner = pointer.removeprefix(holder)
        if inner.startswith("/usage/"):
            of_usage[inner.removeprefix("/usage")] = raw
        else:
            fields[inner] = raw
    return fields, of_usage


def place_citations(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """`parts` with the place of each cited text in the whole answer's text.

    A citation of this API supports all of the text block that it stands in.
    """
    for part in parts:
        if type(part) is Text and part.citations:
            break
    else:
        return parts
    out: list[Part] = []
    start = 0
    for part in parts:
        if not isinstance(part, Text):
            out.append(part)
            continue
        end = start + len(part.text)
        cited = tuple([replace(c, start_index=start, end_index=end) for c in part.citations])
        out.append(replace(part, citations=cited))
        start = end
    return tuple(out)


def encode(response: Response, envelope: Envelope) -> bytes:
    """The answer's body, under the name that the caller asked for."""
    content: list[object] = []
    called = refused = False
    for part in response.parts:
        block = answer_block(part)
        if block is not None:
            content.append(block)
        called = called or type(part) is ToolCall
        refused = refused or type(part) is Refusal
    body: Block = {
        "id": response.id,
        "type": "message",
        "role": "assistant",
        "model": envelope.model or response.model,
        "content": content,
        "stop_reason": finish.said(response.reason, response.stop_sequence, called, refused),
        "stop_sequence": response.stop_sequence,
        "usage": counts.encode(response.usage),
    }
    return msgspec.json.encode(extra.merge(body, response.extra, NAME))


def answer_block(part: Part) -> Block | Raw | None:
    """The block that says `part` in an answer; `None` where none does."""
    match part:
        case Text(citations=citations):
            return block_encode.text(part, [block for c in citations if (block := cited(c))])
        case Refusal(text=text):
            return {"type": "text", "text": text}
        case Reasoning():
            return _reasoning(part)
        case ToolCall():
            return block_encode.tool_use(part, part.name, block_encode.any_arguments(part))
        case ServerToolCall() | Generic() | ServerToolResult():
            return _own(part)
        case Blob() | Uri() | File():  # an answer of this API is text: say what is missing
            what = part.uri if isinstance(part, Uri) else part.mime_type or "file"
            return {"type": "text", "text": f"[{part.modality}: {what}]"}
        case ToolResult():  # a caller's, and no part of an answer
            return None
        case _:
            assert_never(part)


def _own(part: ServerToolCall | Generic | ServerToolResult) -> Block | Raw | None:
    """What the provider's own tools did: another provider's means nothing to the caller's SDK."""
    if isinstance(part, ServerToolCall):
        return block_encode.server_tool_use(part) if part.origin == NAME else None
    return part.raw if part.wire == NAME else None


def _reasoning(part: Reasoning) -> Block | None:
    if part.origin == NAME:
        return block_encode.reasoning(part)
    opaque = sealed.seal(part)
    if part.text:
        return {"type": "thinking", "thinking": part.text, "signature": opaque or ""}
    return None if opaque is None else {"type": "redacted_thinking", "data": opaque}


def cited(citation: Citation) -> Block | Raw | None:
    """The citation as the API has it; `None` where it has none such."""
    if citation.wire == NAME and citation.raw is not None:
        return citation.raw
    if citation.url is None:
        return None
    return {
        "type": "web_search_result_location",
        "url": citation.url,
        "title": citation.title,
        "cited_text": citation.cited_text or "",
        "encrypted_index": "",
    }


def summarise(body: bytes) -> Summary:
    """Usage, finish reason and failure of a whole answer. Raises `ProtocolViolation`."""
    tally = counts.Tally()
    answer: schema.Answer | schema.AnswerOfLater
    try:
        answer = _answer.decode(body)
        tally.add(answer.usage)
    except extra.MALFORMED:
        answer = _of_later(body)
        tally.read(answer.usage)
    if answer.error:
        return Summary(failure=errors.decode(200, body))
    if not answer.content:
        if counting.is_answer(body):
            return Summary()
        raise ProtocolViolation("the answer is neither a message nor an error")
    return Summary(tally.usage, finish.neutral(answer.stop_reason))


def _of_later(body: bytes) -> schema.AnswerOfLater:
    try:
        return _answer_of_later.decode(body)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "", ProtocolViolation) from None


def rename(body: bytes, model: str) -> bytes:
    """A whole answer under the name that the caller asked for; one without a name as it is.

    Raises:
        ProtocolViolation: `body` is not an answer.
    """
    try:
        name = _named.decode(body).model
    except extra.MALFORMED as exc:
        if isinstance(exc, msgspec.ValidationError):  # an error, for one
            return body
        raise extra.invalid(exc, "", ProtocolViolation) from None
    return extra.replace_string(body, "model", name, model)
