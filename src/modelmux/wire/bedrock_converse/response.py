"""Whole answers, to the neutral response and back."""

from collections.abc import Mapping
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
from modelmux.wire.bedrock_converse import content_decode, content_encode, counts, errors, schema
from modelmux.wire.bedrock_converse.content_encode import Block
from modelmux.wire.bedrock_converse.schema import NAME

STOP_REASON = "/stopReason"

_response = extra.Schema(schema.ConverseResponse, ProtocolViolation)
_summary = msgspec.json.Decoder(schema.Summary)

reader = content_decode.Reader(ProtocolViolation)


def decode(body: bytes) -> Response:
    """The neutral response, which has neither an id nor a model. Raises `ProtocolViolation`."""
    found, unknown = _response.decode(body)
    fields, of_usage = apart(unknown)
    spelling = counts.spelling(found.stopReason)
    if spelling is not None:
        fields[STOP_REASON] = spelling
    parts = reader.parts(found.output.message.content, "/output/message/content")
    return Response(
        "",
        "",
        content_decode.place_citations(parts),
        counts.reason(found.stopReason),
        counts.decode(found.usage, of_usage),
        extra=Extra(NAME, fields) if fields else None,
    )


def apart(unknown: Mapping[str, Raw]) -> tuple[dict[str, Raw], dict[str, Raw]]:
    """Unknown fields of an answer, and those of its usage, by pointer relative to each."""
    fields: dict[str, Raw] = {}
    of_usage: dict[str, Raw] = {}
    for pointer, raw in unknown.items():
        if pointer.startswith("/usage/"):
            of_usage[pointer.removeprefix("/usage")] = raw
        else:
            fields[pointer] = raw
    return fields, of_usage


def encode(response: Response) -> bytes:
    """The answer's body."""
    content: list[object] = []
    for part in response.parts:
        block = answer_block(part)
        if block is not None:
            content.append(block)
    called = any(type(part) is ToolCall for part in response.parts)
    body: Block = {
        "output": {"message": {"role": "assistant", "content": content}},
        "stopReason": counts.said(response.reason, response.stop_sequence, called),
        "usage": counts.encode(response.usage),
    }
    body = extra.merge(body, response.extra, NAME)
    body.setdefault("metrics", {"latencyMs": 0})
    return msgspec.json.encode(body)


def answer_block(part: Part) -> Block | Raw | None:
    """The block that says `part` in an answer; `None` where none does."""
    match part:
        case Text():
            return _text(part)
        case Refusal(text=text):
            return {"text": text}
        case Reasoning(encrypted=encrypted, origin=origin):
            if encrypted is not None and origin != NAME:  # only its own provider can read it
                return None
            return content_encode.reasoning(part)
        case ToolCall():
            written = content_encode.any_arguments(part)
            return content_encode.tool_use(part, part.id, part.name, written)
        case Blob() | Uri():
            block = content_encode.blob(part, part.name, as_said=True)
            return block if isinstance(block, dict) else {"text": f"[{part.modality}]"}
        case File():
            return {"text": f"[{part.modality}]"}
        case Generic(wire=wire, raw=raw) | ServerToolResult(wire=wire, raw=raw):
            return raw if wire == NAME else None
        case ServerToolCall() | ToolResult():
            return None
        case _:
            assert_never(part)


def _text(part: Text) -> Block:
    cited = [said for c in part.citations if (said := content_encode.cited(c)) is not None]
    if not cited:
        return extra.merge({"text": part.text}, part.extra, NAME)
    block: Block = {"citationsContent": {"content": [{"text": part.text}], "citations": cited}}
    return extra.merge(block, part.extra, NAME)


def summarise(body: bytes) -> Summary:
    """Usage, finish reason and failure of a whole answer. Raises `ProtocolViolation`."""
    try:
        found = _summary.decode(body)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "", ProtocolViolation) from None
    if found.output:
        return Summary(counts.read(found.usage), counts.reason(found.stopReason or ""))
    # Amazon's front end has sent errors with 200.
    failure = errors.decode(200, body)
    if failure.code or b'"message"' in body.lower():
        return Summary(failure=failure)
    raise ProtocolViolation("the answer is neither a message nor an error")
