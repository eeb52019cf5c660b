"""Whole answers, to the neutral response and back."""

from typing import assert_never

import msgspec
from msgspec import Raw

from modelmux.errors import ProtocolViolation
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
from modelmux.ir.response import Response, Summary
from modelmux.wire import extra
from modelmux.wire.cohere_chat import content, counts, errors, schema
from modelmux.wire.cohere_chat.content import Block
from modelmux.wire.cohere_chat.schema import NAME

FINISH_REASON = "/finish_reason"

_response = extra.Schema(schema.Response, ProtocolViolation)
_summary = msgspec.json.Decoder(schema.Summary)
_failed = msgspec.json.Decoder(schema.Error)


def decode(body: bytes) -> Response:
    """The neutral response, which has no model. Raises `ProtocolViolation`."""
    found, unknown = _response.decode(body)
    message = found.message
    of_message = content.of(unknown, "/message")
    fields = {
        pointer: raw
        for pointer, raw in unknown.items()
        if not pointer.startswith(("/message/content/", "/message/tool_calls/", "/usage/"))
    }
    parts: list[Part] = []
    if message.tool_plan is not None:
        parts.append(content.plan(message.tool_plan))
    pieces = content.parts(message.content, of_message, "/message")
    if message.citations:
        if all(map(content.is_textual, message.citations)):
            pieces = content.cited(pieces, message.citations)
        else:
            fields["/message/citations"] = Raw(msgspec.json.encode(message.citations))
    parts += pieces
    parts += content.calls(message.tool_calls or (), of_message, "/message")
    spelling = counts.spelling(found.finish_reason)
    if spelling is not None:
        fields[FINISH_REASON] = spelling
    return Response(
        found.id,
        "",
        tuple(parts),
        counts.reason(found.finish_reason),
        counts.decode(found.usage),
        extra=Extra(NAME, fields) if fields else None,
    )


def encode(response: Response) -> bytes:
    """The answer's body."""
    message: Block = {"role": "assistant"}
    pieces: list[object] = []
    calls: list[Block] = []
    plan: str | None = None
    for part in response.parts:
        if isinstance(part, ToolCall):
            calls.append(content.tool_call(part, part.id, part.name, part.arguments or "{}"))
        elif isinstance(part, Reasoning) and content.is_plan(part):
            plan = (plan or "") + part.text
        else:
            piece = answer_piece(part)
            if piece is not None:
                pieces.append(piece)
    if pieces:
        message["content"] = pieces
    if plan is not None:
        message["tool_plan"] = plan
    if calls:
        message["tool_calls"] = calls
    cited = content.citations(response.parts)
    if cited:
        message["citations"] = cited
    body: Block = {
        "id": response.id,
        "finish_reason": counts.said(response.reason, response.stop_sequence, bool(calls)),
        "message": message,
    }
    if response.usage.extra is None or response.usage.extra.wire == NAME or _counted(response):
        body["usage"] = counts.encode(response.usage)
    return msgspec.json.encode(extra.merge(body, response.extra, NAME))


def _counted(response: Response) -> bool:
    return bool(response.usage.input_tokens or response.usage.output_tokens)


def answer_piece(part: Part) -> object:
    """The piece of content that says `part` in an answer; `None` where none does."""
    match part:
        case Text():
            return content.text(part)
        case Refusal(text=text):
            return {"type": "text", "text": text}
        case Reasoning():
            return content.thinking(part) if part.text else None
        case Blob() | Uri() | File():  # an answer of this API is text: say what is missing
            what = part.uri if isinstance(part, Uri) else part.mime_type or "file"
            return {"type": "text", "text": f"[{part.modality}: {what}]"}
        case Generic(wire=wire, raw=raw):
            return raw if wire == NAME else None
        case ToolCall() | ToolResult() | ServerToolCall() | ServerToolResult():
            return None
        case _:
            assert_never(part)


def summarise(body: bytes) -> Summary:
    """Usage, finish reason and failure of a whole answer. Raises `ProtocolViolation`."""
    try:
        found = _summary.decode(body)
    except extra.MALFORMED:
        found = schema.Summary()
    if found.finish_reason is not None and found.message:
        return Summary(counts.decode(found.usage), counts.reason(found.finish_reason))
    try:
        message = _failed.decode(body).message
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "", ProtocolViolation) from None
    if message is None:
        raise ProtocolViolation("the answer is neither a message nor an error")
    return Summary(failure=errors.decode(200, body))
