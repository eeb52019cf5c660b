"""Parts to content blocks: what requests and answers have in common."""

import base64
import binascii
from collections.abc import Sequence
from typing import assert_never

import msgspec
from msgspec import Raw

from modelmux.ir.parts import (
    Blob,
    CacheControl,
    Citation,
    File,
    Reasoning,
    ServerToolCall,
    Text,
    ToolCall,
    Uri,
)
from modelmux.wire import extra
from modelmux.wire.anthropic_messages.schema import NAME

Block = dict[str, object]

IMAGE_TYPES = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
"""What the API takes by value (`Base64ImageSourceParam` of `anthropic` 2.10.0)."""

_DOCUMENT_TYPES = frozenset({"application/pdf"})
_TEXT_TYPES = ("text/", "application/json")

INVALID_JSON = "invalid_json"
"""The field under which arguments that are no JSON object stand in an answer.

`input` must be an object, and a model that was cut off, or erred, does not write one.
"""

_NO_ARGUMENTS = Raw(b"{}")
_TTLS = frozenset({"5m", "1h"})

_object = msgspec.json.Decoder(dict[str, Raw])


def text(part: Text, cited: Sequence[object] = ()) -> Block:
    """A text block, with `cited` for its citations."""
    block: Block = {"type": "text", "text": part.text}
    if cited:
        block["citations"] = cited
    if part.cache_control is not None:
        block["cache_control"] = cache(part.cache_control)
    return extra.merge(block, part.extra, NAME) if part.extra else block


def own_citations(citations: Sequence[Citation]) -> list[Raw]:
    """Those of `citations` that came from this wire, as they came."""
    return [c.raw for c in citations if c.raw is not None and c.wire == NAME]


def reasoning(part: Reasoning) -> Block:
    """A thinking block, redacted where only the provider can read it."""
    block: Block
    if part.encrypted is not None:
        block = {"type": "redacted_thinking", "data": part.encrypted}
    else:
        block = {"type": "thinking", "thinking": part.text, "signature": part.signature or ""}
    return extra.merge(block, part.extra, NAME) if part.extra else block


def tool_use(part: ToolCall, name: str, arguments: Raw) -> Block:
    """A tool call under the name that this wire knows it by."""
    block: Block = {"type": "tool_use", "id": part.id, "name": name, "input": arguments}
    if part.cache_control is not None:
        block["cache_control"] = cache(part.cache_control)
    return extra.merge(block, part.extra, NAME) if part.extra else block


def server_tool_use(part: ServerToolCall) -> Block:
    """A call of the provider's own tool; `extra` makes it a call of an MCP server's."""
    block: Block = {
        "type": "server_tool_use",
        "id": part.id,
        "name": part.name,
        "input": arguments(part.arguments) or _NO_ARGUMENTS,
    }
    return extra.merge(block, part.extra, NAME)


def arguments(written: str) -> Raw | None:
    """What the model wrote for a tool, as JSON; `None` if that is not an object."""
    if not written or written.isspace():
        return _NO_ARGUMENTS
    try:
        raw = written.encode()
        _object.decode(raw)
    except (UnicodeEncodeError, *extra.MALFORMED):
        return None
    return Raw(raw)


def any_arguments(part: ToolCall) -> Raw:
    """What the model wrote for a tool, made an object where it is none."""
    if part.custom:
        return Raw(msgspec.json.encode({"input": part.arguments}))
    found = arguments(part.arguments)
    return found or Raw(msgspec.json.encode({INVALID_JSON: part.arguments}))


def cache(marker: CacheControl) -> Block:
    """A cache marker. A lifetime that this wire does not have becomes its default."""
    block: Block = {"type": "ephemeral"}
    if marker.ttl is not None and (marker.ttl in _TTLS or marker.extra is not None):
        block["ttl"] = marker.ttl
    return extra.merge(block, marker.extra, NAME)


def media(part: Blob | Uri | File, as_said: bool = False) -> Block | str:
    """An image or a document; or why it cannot be said here.

    Args:
        part: What to say.
        as_said: The caller speaks this wire and knows what it takes.
    """
    if part.modality not in {"image", "document"}:
        return f"{NAME} takes no {part.modality}"
    source = _source(part, as_said)
    if isinstance(source, str):
        return source
    block: Block = {"type": part.modality, "source": source}
    if part.name is not None and part.modality == "document":
        block["title"] = part.name
    if part.cache_control is not None:
        block["cache_control"] = cache(part.cache_control)
    return extra.merge(block, part.extra, NAME)


def _source(part: Blob | Uri | File, as_said: bool) -> Block | str:
    match part:
        case Blob():
            return _by_value(part, as_said)
        case Uri(uri=uri):
            if not as_said and not uri.startswith(("https://", "http://")):
                return f"{NAME} fetches no {uri.partition(':')[0]}: address"
            if part.modality == "document" and part.mime_type not in {None, "application/pdf"}:
                return f"{NAME} fetches no {part.mime_type}"
            return {"type": "url", "url": uri}
        case File(origin=origin) if origin != NAME:
            return "the id of an upload means nothing to another provider"
        case File(file_id=file_id):
            return {"type": "file", "file_id": file_id}
        case _:
            assert_never(part)


def _by_value(part: Blob, as_said: bool) -> Block | str:
    mime_type = part.mime_type
    if part.modality == "document" and mime_type.startswith(_TEXT_TYPES):
        try:
            content = base64.b64decode(part.content, validate=True).decode()
        except (binascii.Error, UnicodeDecodeError):
            return "the document is not text, though its type says so"
        return {"type": "text", "media_type": "text/plain", "data": content}
    if mime_type == "image/jpg":  # not a type, but common
        mime_type = "image/jpeg"
    taken = IMAGE_TYPES if part.modality == "image" else _DOCUMENT_TYPES
    if not as_said and mime_type not in taken:
        return f"{NAME} takes no {mime_type}"
    return {"type": "base64", "media_type": mime_type, "data": part.content}
