"""Parts to content blocks."""

from typing import Final, TypeAlias, assert_never

import msgspec
from msgspec import Raw

from modelmux.ir.parts import Blob, CacheControl, Citation, Reasoning, Text, ToolCall, Uri
from modelmux.wire import extra, sealed
from modelmux.wire.bedrock_converse import media
from modelmux.wire.bedrock_converse.content_decode import JSON
from modelmux.wire.bedrock_converse.schema import NAME

Block: TypeAlias = dict[str, object]

INVALID_JSON: Final = "INVALID_JSON"
"""Field that holds what a model wrote for a tool where that is not an object."""
NO_ARGUMENTS: Final = Raw(b"{}")

_TTLS: Final = frozenset({"5m", "1h"})

_object = msgspec.json.Decoder(dict[str, Raw])


def text(part: Text) -> Block:
    """A text, with those citations that this API made."""
    if part.extra is not None and part.extra.wire == NAME and JSON in part.extra.fields:
        return {"json": part.extra.fields[JSON]}
    cited = [c.raw for c in part.citations if c.wire == NAME and c.raw is not None]
    if not cited:
        return extra.merge({"text": part.text}, part.extra, NAME)
    block: Block = {"citationsContent": {"content": [{"text": part.text}], "citations": cited}}
    return extra.merge(block, part.extra, NAME)


def reasoning(part: Reasoning) -> Block:
    """Thinking: this API's own comes back as it came, another's with what its origin wants."""
    if part.encrypted is not None:
        said: Block = {"redactedContent": part.encrypted}
    else:
        block: Block = {"text": part.text}
        signature = part.signature if part.origin == NAME else sealed.seal(part)
        if signature is not None:
            block["signature"] = signature
        said = {"reasoningText": block}
    return extra.merge({"reasoningContent": said}, part.extra, NAME)


def tool_use(part: ToolCall, id_: str, name: str, arguments: Raw) -> Block:
    """A tool call under the id and name that the target knows."""
    block: Block = {"toolUse": {"toolUseId": id_, "name": name, "input": arguments}}
    return extra.merge(block, part.extra, NAME)


def arguments(written: str) -> Raw | None:
    """What the model wrote for a tool, as JSON; `None` if that is not an object."""
    if not written or written.isspace():
        return NO_ARGUMENTS
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


def cache_point(marker: CacheControl) -> Block:
    """What stands behind a block that is marked. Another wire's lifetime becomes the default."""
    point: Block = {"type": "default"}
    if marker.ttl in _TTLS:
        point["ttl"] = marker.ttl
    return {"cachePoint": point}


def blob(part: Blob | Uri, name: str | None, *, as_said: bool = False) -> Block | str:
    """An image, document, video or audio; or why it cannot be said here.

    Args:
        part: What to say.
        name: What a document is called.
        as_said: The caller speaks this wire and knows what it takes.
    """
    form = media.format_of(part.modality, part.mime_type or "", as_said=as_said)
    if form is None:
        return f"{NAME} takes no {part.mime_type or f'{part.modality} of unknown type'}"
    source: Block
    match part:
        case Blob(content=content):
            source = {"bytes": content}
        case Uri(uri=uri) if uri.startswith("s3://"):
            source = {"s3Location": {"uri": uri}}
        case Uri(uri=uri):
            return f"{NAME} fetches no {uri.partition(':')[0]}: address: send the bytes"
        case _:
            assert_never(part)
    inner: Block = {"format": form, "source": source} if form else {"source": source}
    if part.modality == "document":
        inner["name"] = name
    return extra.merge({part.modality: inner}, part.extra, NAME)


def cited(citation: Citation) -> object:
    """The citation as the API has it; `None` where it has none such."""
    if citation.wire == NAME and citation.raw is not None:
        return citation.raw
    if citation.url is None:
        return None
    out: Block = {"location": {"web": {"url": citation.url}}}
    if citation.title is not None:
        out["title"] = citation.title
    if citation.cited_text is not None:
        out["sourceContent"] = [{"text": citation.cited_text}]
    return out
