"""Content blocks, of requests and of answers, to parts."""

import base64
from collections.abc import Mapping, Sequence
from typing import assert_never

import msgspec
from msgspec import Raw

from modelmux.errors import GatewayError, InvalidRequest
from modelmux.ir.parts import (
    Blob,
    CacheControl,
    Citation,
    Extra,
    File,
    Generic,
    Modality,
    Part,
    Reasoning,
    ResultPart,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.wire import extra, sealed
from modelmux.wire.anthropic_messages import schema
from modelmux.wire.anthropic_messages.schema import NAME

_CONTENT_FIELDS = frozenset({"/citations", "/context", "/clear_at", "/input_examples"})
"""Fields of blocks, messages and tools without which something else is said."""

_BLOCKS: tuple[type[schema.Block], ...] = (
    schema.TextBlock,
    schema.ImageBlock,
    schema.DocumentBlock,
    schema.ThinkingBlock,
    schema.RedactedThinkingBlock,
    schema.ToolUseBlock,
    schema.ServerToolUseBlock,
    schema.McpToolUseBlock,
    schema.ToolResultBlock,
)
_SOURCES: dict[str, frozenset[str]] = {
    "image": frozenset({"base64", "url", "file"}),
    "document": frozenset({"base64", "url", "file", "text"}),
}
"""Sources of media that the neutral model has; a document's own `content` blocks are none."""

_TextBlock = schema.TextBlock
_NOTHING: Mapping[str, Raw] = {}

_block = msgspec.json.Decoder(schema.Block)
_citation = msgspec.json.Decoder(schema.TextCitation)
_named = msgspec.json.Decoder(schema.Named)
_sourced = msgspec.json.Decoder(schema.Sourced)
_result = msgspec.json.Decoder(schema.ServerToolResultBlock)


class Reader:
    """Decodes blocks, raising `error`: whose mistake a malformed one is."""

    def __init__(self, error: type[GatewayError]) -> None:
        self._error = error
        self._schemas: dict[str, extra.Schema[schema.Block]] = {
            str(struct.__struct_config__.tag): extra.Schema(struct, error) for struct in _BLOCKS
        }

    def parts(self, blocks: Sequence[Raw], at: str) -> tuple[Part, ...]:
        """One part for each of `blocks`.

        Args:
            blocks: The blocks as they came.
            at: JSON Pointer of their list, for messages to the caller.

        Raises:
            GatewayError: The error given at construction.
        """
        return tuple([self.part(raw, at, index) for index, raw in enumerate(blocks)])

    def part(self, raw: Raw, at: str, index: int) -> Part:
        """The part that `raw`, at `index` of the list at `at`, stands for."""
        try:
            block = _block.decode(raw)
        except extra.MALFORMED:
            return self._carefully(raw, f"{at}/{index}")
        if type(block) is _TextBlock and block.citations is None and block.cache_control is None:
            return Text(block.text)  # as most blocks are
        return self._convert(block, _NOTHING, at, index)

    def _carefully(self, raw: Raw, at: str) -> Part:
        """A block with fields that are not in the schema, of a type that is not, or a bad one."""
        try:
            kind = _named.decode(raw).type
            if kind in _SOURCES and _sourced.decode(raw).source.type not in _SOURCES[kind]:
                return Generic(kind, NAME, raw)
            if kind.endswith("_tool_result"):
                return ServerToolResult(_result.decode(raw).tool_use_id, kind, NAME, raw)
        except extra.MALFORMED as exc:
            raise extra.invalid(exc, at, self._error) from None
        known = self._schemas.get(kind)
        if known is None:
            return Generic(kind, NAME, raw)
        block, unknown = known.decode(raw, at)
        parent, _, index = at.rpartition("/")
        return self._convert(block, unknown, parent, int(index))

    def _convert(
        self, block: schema.Block, unknown: Mapping[str, Raw], at: str, index: int
    ) -> Part:
        match block:
            case schema.TextBlock(text, marker, citations):
                cited = tuple([citation(raw) for raw in citations or ()])
                return Text(text, cited, cache(marker), _keep(unknown, at, index))
            case schema.ToolUseBlock():
                fields = _with(unknown, "/caller", block.caller)
                return ToolCall(
                    block.id,
                    block.name,
                    self._arguments(block.input, at, index),
                    cache_control=cache(block.cache_control),
                    extra=_keep(fields, at, index),
                )
            case schema.ToolResultBlock():
                return self._tool_result(block, unknown, at, index)
            case schema.ImageBlock() | schema.DocumentBlock():
                return _media(block, _keep(unknown, at, index))
            case schema.ThinkingBlock(text, signature):
                if (foreign := self._unsealed(text, signature)) is not None:
                    return foreign
                kept = _keep(unknown, at, index)
                return Reasoning(text, signature or None, origin=NAME, extra=kept)
            case schema.RedactedThinkingBlock(data):
                if (foreign := self._unsealed("", data)) is not None:
                    return foreign
                return Reasoning(encrypted=data, origin=NAME, extra=_keep(unknown, at, index))
            case schema.ServerToolUseBlock() | schema.McpToolUseBlock():
                return self._server_tool_call(block, unknown, at, index)
            case _:
                assert_never(block)

    def _unsealed(self, text: str, opaque: str | None) -> Reasoning | None:
        """Reasoning of another wire that the caller gives back.

        In an answer, a target's strings are its own, also another gateway's.
        """
        return sealed.unseal(text, opaque) if self._error is InvalidRequest else None

    def _tool_result(
        self, block: schema.ToolResultBlock, unknown: Mapping[str, Raw], at: str, index: int
    ) -> ToolResult:
        parts: list[ResultPart] = []
        match block.content:
            case None:
                pass
            case str(text):
                parts.append(Text(text))
            case list(blocks):
                parent = f"{at}/{index}/content"
                for place, raw in enumerate(blocks):
                    part = self.part(raw, parent, place)
                    if isinstance(part, Text | Blob | Uri | File | Generic):
                        parts.append(part)
                    else:  # a block that has no business here: the API refuses it, or will know it
                        parts.append(Generic(_named.decode(raw).type, NAME, raw))
            case _:
                assert_never(block.content)
        return ToolResult(
            block.tool_use_id,
            tuple(parts),
            block.is_error,
            isinstance(block.content, str),
            cache(block.cache_control),
            _keep(unknown, at, index),
        )

    def _server_tool_call(
        self,
        block: schema.ServerToolUseBlock | schema.McpToolUseBlock,
        unknown: Mapping[str, Raw],
        at: str,
        index: int,
    ) -> ServerToolCall:
        if isinstance(block, schema.ServerToolUseBlock):
            fields = _with(unknown, "/caller", block.caller)
        else:
            fields = _with(unknown, "/server_name", block.server_name)
            fields = _with(fields, "/type", Raw(b'"mcp_tool_use"'))
        arguments = self._arguments(block.input, at, index)
        return ServerToolCall(block.id, block.name, arguments, NAME, _keep(fields, at, index))

    def _arguments(self, raw: Raw, at: str, index: int) -> str:
        """The JSON text of an object, as it came."""
        try:
            text = bytes(raw).decode()
        except UnicodeDecodeError as exc:
            raise extra.invalid(exc, f"{at}/{index}/input", self._error) from None
        if not text.startswith("{"):
            param = extra.pointer_to_path(f"{at}/{index}/input")
            raise self._error(f"{param}: expected an object", param=param)
        return text


def citation(raw: Raw) -> Citation:
    """A citation in the neutral words for it, with the whole of it kept."""
    try:
        found = _citation.decode(raw)
    except extra.MALFORMED:  # of a later form
        return Citation(wire=NAME, raw=raw)
    source = found.source if found.source and found.source.startswith("http") else None
    return Citation(
        url=found.url or source,
        title=found.title or found.document_title,
        cited_text=found.cited_text,
        wire=NAME,
        raw=raw,
    )


def _media(
    block: schema.ImageBlock | schema.DocumentBlock, kept: Extra | None
) -> Blob | Uri | File:
    marker = cache(block.cache_control)
    document = isinstance(block, schema.DocumentBlock)
    modality: Modality = "document" if document else "image"
    title = block.title if isinstance(block, schema.DocumentBlock) else None
    match block.source:
        case schema.Base64Source(media_type, data):
            return Blob(modality, media_type, data, title, None, marker, kept)
        case schema.PlainTextSource(media_type, data):
            content = base64.b64encode(data.encode()).decode()
            return Blob(modality, media_type, content, title, None, marker, kept)
        case schema.URLSource(url):  # documents by address are PDF, says the reference
            mime_type = "application/pdf" if document else None
            return Uri(modality, url, mime_type, title, None, marker, kept)
        case schema.FileSource(file_id):
            return File(modality, file_id, NAME, None, title, marker, kept)
        case _:
            assert_never(block.source)


def cache(marker: schema.CacheControl | None) -> CacheControl | None:
    """A cache marker in the neutral word for it."""
    if marker is None:
        return None
    if marker.type == "ephemeral":
        return CacheControl(marker.ttl)
    return CacheControl(marker.ttl, Extra(NAME, {"/type": Raw(msgspec.json.encode(marker.type))}))


def _with(fields: Mapping[str, Raw], pointer: str, raw: Raw) -> Mapping[str, Raw]:
    return {**fields, pointer: raw} if raw else fields


def _keep(fields: Mapping[str, Raw], at: str, index: int) -> Extra | None:
    return keep(fields, f"{at}/{index}") if fields else None


def keep(fields: Mapping[str, Raw], at: str) -> Extra | None:
    """`fields` of the object at `at` as its `extra`; `None` when there are none."""
    if not fields:
        return None
    return Extra(NAME, fields, at, _CONTENT_FIELDS.intersection(fields))
