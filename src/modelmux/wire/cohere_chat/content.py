"""Pieces of messages, of requests and of answers, to parts and back."""

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.ir.parts import (
    Blob,
    Citation,
    Extra,
    Generic,
    Part,
    Reasoning,
    Text,
    ToolCall,
    Uri,
)
from modelmux.wire import extra
from modelmux.wire.cohere_chat import schema
from modelmux.wire.cohere_chat.schema import NAME
from modelmux.wire.openai import media

Block: TypeAlias = dict[str, object]

PLAN: Final = "/tool_plan"
"""Marks reasoning that came as the plan before calls of tools."""
DOCUMENT: Final = "/document"
"""Where a document in a tool's result is kept, which the neutral model has as text."""

_TEXTUAL: Final = frozenset({None, "TEXT_CONTENT"})
_NULL: Final = Raw(b"null")

_citation = msgspec.json.Decoder(schema.Citation)
_document = msgspec.json.Decoder(schema.Document)
_string = msgspec.json.Decoder(str)


def parts(
    content: str | Sequence[schema.Content] | None, unknown: extra.Fields, at: str
) -> list[Part]:
    """The parts of a message's content.

    Args:
        content: The content.
        unknown: Fields of its pieces that the schema does not name, by pointer into the message.
        at: JSON Pointer of the message in the caller's body.
    """
    if content is None:
        return []
    if isinstance(content, str):
        return [Text(content)]
    return [
        _part(piece, of(unknown, f"/content/{index}"), f"{at}/content/{index}")
        for index, piece in enumerate(content)
    ]


def of(unknown: extra.Fields, pointer: str) -> dict[str, Raw]:
    """Those of `unknown` that stand below `pointer`, relative to it."""
    start = f"{pointer}/"
    return {
        name.removeprefix(pointer): raw for name, raw in unknown.items() if name.startswith(start)
    }


def _part(piece: schema.Content, unknown: dict[str, Raw], at: str) -> Part:
    kept = extra.keep(unknown, NAME, at)
    match piece.type:
        case "text" if piece.text is not None:
            return Text(piece.text, extra=kept)
        case "thinking" if piece.thinking is not None:
            return Reasoning(piece.thinking, origin=NAME, extra=kept)
        case "image_url" if piece.image_url is not None:
            return media.image(piece.image_url.url, piece.image_url.detail, f"{at}/image_url", kept)
        case "document" if piece.document:
            return _told(piece.document, unknown, at)
        case _:
            fields = {
                name: value
                for name, value in msgspec.structs.asdict(piece).items()
                if value is not None and value != Raw()
            }
            whole = {**fields, **{name[1:]: raw for name, raw in unknown.items()}}
            return Generic(piece.type, NAME, Raw(msgspec.json.encode(whole)))


def _told(raw: Raw, unknown: dict[str, Raw], at: str) -> Text:
    """A document in a tool's result as the text that the tool gave."""
    try:
        data = _document.decode(raw).data
    except extra.MALFORMED:
        data = raw
    try:
        text = _string.decode(data)
    except extra.MALFORMED:
        text = bytes(data).decode(errors="replace")
    return Text(text, extra=Extra(NAME, {DOCUMENT: raw, **unknown}, at))


def text(part: Text) -> Block:
    """A text as a piece of content."""
    own = part.extra
    if own is not None and own.wire == NAME and DOCUMENT in own.fields:
        return extra.merge({"type": "document"}, own, NAME)
    return extra.merge({"type": "text", "text": part.text}, part.extra, NAME)


def image(part: Blob | Uri) -> Block | str:
    """An image as a piece of content; or why it is none here."""
    if part.modality != "image":
        return f"{NAME} takes no {part.modality}"
    url = part.uri if isinstance(part, Uri) else f"data:{part.mime_type};base64,{part.content}"
    said: Block = {"url": url}
    if part.detail is not None:
        said["detail"] = part.detail
    return extra.merge({"type": "image_url", "image_url": said}, part.extra, NAME)


def thinking(part: Reasoning) -> Block:
    """Thinking as a piece of content."""
    return extra.merge({"type": "thinking", "thinking": part.text}, part.extra, NAME)


def is_plan(part: Reasoning) -> bool:
    """Whether reasoning came as the plan before calls of tools."""
    own = part.extra
    return own is not None and own.wire == NAME and PLAN in own.fields


def plan(text: str, at: str = "") -> Reasoning:
    """The plan before calls of tools, which others know as thinking."""
    return Reasoning(text, origin=NAME, extra=Extra(NAME, {PLAN: _NULL}, at))


def calls(found: Iterable[schema.ToolCall], unknown: extra.Fields, at: str) -> list[ToolCall]:
    """Calls of tools of a message."""
    out: list[ToolCall] = []
    for index, each in enumerate(found):
        function = each.function or schema.ToolCallFunction()
        kept = extra.keep(of(unknown, f"/tool_calls/{index}"), NAME, f"{at}/tool_calls/{index}")
        out.append(
            ToolCall(each.id or "", function.name or "", function.arguments or "", extra=kept)
        )
    return out


def tool_call(part: ToolCall, id_: str, name: str, arguments: str) -> Block:
    """A call of a tool under the id and name that the target knows."""
    function = {"name": name, "arguments": arguments}
    block: Block = {"id": id_, "type": "function", "function": function}
    return extra.merge(block, part.extra, NAME)


def is_textual(raw: Raw) -> bool:
    """Whether a citation is of the answer's text, and not of its thinking or plan."""
    try:
        return _citation.decode(raw).type in _TEXTUAL
    except extra.MALFORMED:
        return False


def citation(raw: Raw, start: int = 0) -> Citation:
    """A citation, with as much of it as others know.

    Args:
        raw: As it came.
        start: Where in the whole answer's text the piece that it is of begins.
    """
    try:
        found = _citation.decode(raw)
    except extra.MALFORMED:
        found = schema.Citation()
    documents = [source.document for source in found.sources or () if source.document is not None]
    first = documents[0] if documents else schema.CitedDocument()
    return Citation(
        first.url,
        first.title,
        first.text,
        None if found.start is None else start + found.start,
        None if found.end is None else start + found.end,
        NAME,
        raw,
    )


def content_index(raw: Raw) -> int:
    """Which piece of the content a citation is of."""
    try:
        return _citation.decode(raw).content_index or 0
    except extra.MALFORMED:
        return 0


def cited(found: Sequence[Part], citations: Iterable[Raw]) -> list[Part]:
    """`found` with the citations of its texts."""
    out = [*found]
    for raw in citations:
        index = content_index(raw)
        texts = [place for place, part in enumerate(out) if isinstance(part, Text)]
        if not texts:
            continue
        place = index if index in texts else texts[0]
        part = out[place]
        if isinstance(part, Text):
            start = sum(len(p.text) for p in out[:place] if isinstance(p, Text))
            cited_ = (*part.citations, citation(raw, start))
            out[place] = replace(part, citations=cited_)
    return out


def citations(found: Iterable[Part]) -> list[object]:
    """The citations of all texts, as the API has them; others' as far as they go."""
    out: list[object] = []
    for part in found:
        if isinstance(part, Text):
            out += [said for each in part.citations if (said := said_citation(each)) is not None]
    return out


def said_citation(each: Citation) -> object:
    """A citation as the API has it; `None` where it has none such."""
    if each.wire == NAME and each.raw is not None:
        return each.raw
    if each.url is None and each.title is None:
        return None
    document = {"title": each.title, "url": each.url, "text": each.cited_text}
    said = {name: value for name, value in document.items() if value is not None}
    return {
        "start": each.start_index or 0,
        "end": each.end_index or 0,
        "text": "",
        "sources": [{"type": "document", "id": each.url or each.title, "document": said}],
        "type": "TEXT_CONTENT",
    }
