"""Content blocks, of requests and of answers, to parts."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from modelmux.errors import GatewayError
from modelmux.ir.parts import (
    Blob,
    CacheControl,
    Citation,
    Extra,
    Generic,
    Modality,
    Part,
    Reasoning,
    ResultPart,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.wire import extra, sealed
from modelmux.wire.bedrock_converse import media, schema
from modelmux.wire.bedrock_converse.schema import NAME

JSON: Final = "/json"
"""Where a result of a tool, which the neutral model has as text, is kept as the JSON it came as."""

_CONTENT: Final = frozenset({"/document/citations", "/document/context", "/image/error"})
_BLOCKS: Final[Mapping[str, type[Struct]]] = {
    "text": schema.TextContent,
    "image": schema.ImageContent,
    "document": schema.DocumentContent,
    "video": schema.VideoContent,
    "audio": schema.AudioContent,
    "json": schema.JsonContent,
    "toolUse": schema.ToolUseContent,
    "toolResult": schema.ToolResultContent,
    "reasoningContent": schema.ReasoningContent,
    "cachePoint": schema.CachePoint,
    "citationsContent": schema.CitationsContent,
}
_MARKABLE = (Text, ToolCall, ToolResult, Blob, Uri)

_text = msgspec.json.Decoder(schema.TextContent)
_object = msgspec.json.Decoder(dict[str, Raw])
_citation = msgspec.json.Decoder(schema.Citation)
_typed = msgspec.json.Decoder(dict[str, dict[str, Raw]])


class Reader:
    """Decodes blocks, raising `error`: whose mistake a malformed one is."""

    def __init__(self, error: type[GatewayError]) -> None:
        self._error = error
        self._schemas = {key: extra.Schema(struct, error) for key, struct in _BLOCKS.items()}

    def parts(self, blocks: Sequence[Raw], at: str) -> tuple[Part, ...]:
        """The parts that `blocks` say. A cache point marks the part that it stands behind.

        Args:
            blocks: The blocks as they came.
            at: JSON Pointer of their list, for messages to the caller.

        Raises:
            GatewayError: The error given at construction.
        """
        out: list[Part] = []
        for index, raw in enumerate(blocks):
            part = self._part(raw, f"{at}/{index}")
            if isinstance(part, CacheControl):
                last = out[-1] if out else None
                if isinstance(last, _MARKABLE) and last.cache_control is None:
                    out[-1] = replace(last, cache_control=part)
                    continue
                part = Generic("cachePoint", NAME, raw)
            out.append(part)
        return tuple(out)

    def _part(self, raw: Raw, at: str) -> Part | CacheControl:
        try:
            return Text(_text.decode(raw).text)  # as most blocks are
        except extra.MALFORMED:
            pass
        try:
            keys = list(_object.decode(raw))
        except extra.MALFORMED as exc:
            raise extra.invalid(exc, at, self._error) from None
        key = next((key for key in keys if key in _BLOCKS), None)
        if key is None or _is_of_a_server(raw, key):
            return Generic(keys[0] if keys else "", NAME, raw)
        if key == "document" and not _has_bytes(raw):
            return Generic(key, NAME, raw)
        block, unknown = self._schemas[key].decode(raw, at)
        return self._converted(block, raw, unknown, at)

    def _converted(
        self, block: Struct, raw: Raw, unknown: Mapping[str, Raw], at: str
    ) -> Part | CacheControl:
        kept = _keep(unknown, at)
        match block:
            case schema.TextContent(text):
                return Text(text, extra=kept)
            case schema.JsonContent(json):
                return Text(self._text(json, at), extra=Extra(NAME, {JSON: json}, at))
            case schema.ToolUseContent(use):
                written = self._text(use.input, at)
                return ToolCall(use.toolUseId, use.name, written, extra=kept)
            case schema.ToolResultContent(result):
                return self._result(result, kept, at)
            case schema.ReasoningContent(content):
                return _reasoning(content, raw, kept)
            case schema.CachePoint(point):
                return CacheControl(point.ttl)
            case schema.CitationsContent(cited):
                return _cited(cited, raw, kept)
            case _:
                modality, found = _found(block)
                return _media(modality, found, raw, kept)

    def _text(self, raw: Raw, at: str) -> str:
        try:
            return bytes(raw).decode()
        except UnicodeDecodeError as exc:
            raise extra.invalid(exc, at, self._error) from None

    def _result(self, block: schema.ToolResultBlock, kept: Extra | None, at: str) -> ToolResult:
        parts: list[ResultPart] = []
        for part in self.parts(block.content, f"{at}/toolResult/content"):
            match part:
                case Text() | Blob() | Uri() | Generic():
                    parts.append(part)
                case _:  # nothing else is a result
                    raise self._error(
                        f"{extra.pointer_to_path(at)}.toolResult.content: expected text, JSON or "
                        "media"
                    )
        is_error = None if block.status is None else block.status == "error"
        return ToolResult(block.toolUseId, tuple(parts), is_error, extra=kept)


def _found(block: Struct) -> tuple[Modality, schema.Media]:
    match block:
        case schema.ImageContent(found):
            return "image", found
        case schema.DocumentContent(found):
            return "document", found
        case schema.VideoContent(found):
            return "video", found
        case schema.AudioContent(found):
            return "audio", found
        case _:
            raise AssertionError(block)  # `_BLOCKS` has no others


def _is_of_a_server(raw: Raw, key: str) -> bool:
    """Whether a tool's call or result is of a tool that the provider runs: it says its type."""
    if key not in {"toolUse", "toolResult"}:
        return False
    try:
        return "type" in _typed.decode(raw)[key]
    except extra.MALFORMED:
        return False


def _has_bytes(raw: Raw) -> bool:
    """Whether a document is told by bytes or by address, and not as text or in pieces."""
    try:
        source = _typed.decode(raw)["document"].get("source", Raw(b"{}"))
        return not _object.decode(source).keys() & {"text", "content"}
    except extra.MALFORMED:
        return True  # the careful way says what is wrong


def _keep(unknown: Mapping[str, Raw], at: str) -> Extra | None:
    return Extra(NAME, unknown, at, _CONTENT.intersection(unknown)) if unknown else None


def _reasoning(block: schema.ReasoningContentBlock, raw: Raw, kept: Extra | None) -> Part:
    if block.redactedContent is not None:
        return Reasoning(encrypted=block.redactedContent, origin=NAME, extra=kept)
    said = block.reasoningText
    if said is None:
        return Generic("reasoningContent", NAME, raw)
    foreign = sealed.unseal(said.text, said.signature)
    return foreign or Reasoning(said.text, said.signature, origin=NAME, extra=kept)


def _cited(block: schema.CitationsBlock, raw: Raw, kept: Extra | None) -> Part:
    if len(block.content) != 1:
        return Generic("citationsContent", NAME, raw)
    return Text(block.content[0].text, tuple(map(citation, block.citations)), extra=kept)


def citation(raw: Raw) -> Citation:
    """A citation, with as much of it as others know."""
    try:
        found = _citation.decode(raw)
    except extra.MALFORMED:
        found = schema.Citation()
    url = found.location.web.url if found.location and found.location.web else None
    source = found.source or ""
    if url is None and source.startswith(("http://", "https://")):
        url = source
    text = "".join([piece.text or "" for piece in found.sourceContent or ()])
    return Citation(url, found.title, text or None, wire=NAME, raw=raw)


def _media(modality: Modality, found: schema.Media, raw: Raw, kept: Extra | None) -> Part:
    source = found.source
    mime_type = media.mime_type(modality, found.format)
    if source.bytes is not None:
        return Blob(modality, mime_type, source.bytes, found.name, extra=kept)
    if source.s3Location is not None:
        return Uri(modality, source.s3Location.uri, mime_type, found.name, extra=kept)
    return Generic(modality, NAME, raw)


def place_citations(parts: tuple[Part, ...]) -> tuple[Part, ...]:
    """`parts` with the place of each cited text in the whole answer's text.

    A citation of this API supports all of the block that it stands in.
    """
    if not any(isinstance(part, Text) and part.citations for part in parts):
        return parts
    out: list[Part] = []
    start = 0
    for part in parts:
        if not isinstance(part, Text):
            out.append(part)
            continue
        end = start + len(part.text)
        placed = [replace(c, start_index=start, end_index=end) for c in part.citations]
        out.append(replace(part, citations=tuple(placed)))
        start = end
    return tuple(out)
