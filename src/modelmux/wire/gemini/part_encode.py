"""The neutral model's parts as the API's, alike for requests and for answers."""

from collections.abc import Mapping
from typing import TypeAlias

import msgspec
from msgspec import Raw

from modelmux.ir.parts import (
    Blob,
    Extra,
    File,
    Reasoning,
    ResultPart,
    ServerToolCall,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.wire import extra
from modelmux.wire.gemini import calls, foreign, part_decode
from modelmux.wire.gemini.schema import NAME

Piece: TypeAlias = dict[str, object]

_EMPTY = Raw(b"{}")
_NO_ARGUMENTS = part_decode.NO_ARGUMENTS

_object = msgspec.json.Decoder(dict[str, Raw])

_MIME_TYPES: Mapping[str, str] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "mp3": "audio/mp3",
    "wav": "audio/wav",
    "mp4": "video/mp4",
    "webm": "video/webm",
}


def text(part: Text) -> Piece:
    """A part of text."""
    piece: Piece = {"text": part.text}
    return extra.merge(piece, part.extra, NAME) if part.extra else piece


def thought(part: Reasoning) -> Piece:
    """A thought, or a signature that stands alone; another provider's is marked as such."""
    piece: Piece = {"text": part.text}
    if part.text or part.origin != NAME:
        piece["thought"] = True
    found = foreign.signature(part)
    if found is not None:
        piece["thoughtSignature"] = found
    return extra.merge(piece, part.extra, NAME) if part.extra else piece


def is_attached(part: Reasoning) -> bool:
    """Whether it is a signature that stands on the part before it."""
    return part.extra is part_decode.ATTACHED or part.extra == part_decode.ATTACHED


def attach(part: Reasoning, pieces: "list[Piece | Raw]") -> None:
    """Put the signature that `part` is on the last of `pieces`."""
    last = pieces[-1]
    fields: Piece = {**_object.decode(last)} if isinstance(last, Raw) else last
    fields["thoughtSignature"] = foreign.signature(part)
    pieces[-1] = fields


def function_call(part: ToolCall, name: str, arguments: Raw, *, with_id: bool = True) -> Piece:
    """A call under the name that this wire knows it by."""
    id_, signature = calls.split(part.id)
    call: Piece = {"name": name, "args": arguments}
    if id_ is not None and with_id:
        call["id"] = id_
    piece: Piece = {"functionCall": call}
    if signature is not None:
        piece["thoughtSignature"] = signature
    if part.extra is None or part.extra.wire != NAME:
        return piece
    if _NO_ARGUMENTS in part.extra.fields:
        del call["args"]
        rest = {at: raw for at, raw in part.extra.fields.items() if at != _NO_ARGUMENTS}
        return extra.merge(piece, Extra(NAME, rest), NAME)
    return extra.merge(piece, part.extra, NAME)


def arguments(text: str) -> Raw | None:
    """Arguments as the object that they must be; `None` where they are none."""
    if not text or text.isspace():
        return _EMPTY
    try:
        _object.decode(text)
    except extra.MALFORMED:
        return None
    return Raw(text.encode())


def any_arguments(part: ToolCall) -> Raw:
    """The same for an answer, where what the model wrote goes to the caller in any case."""
    found = None if part.custom else arguments(part.arguments)
    return found if found is not None else Raw(msgspec.json.encode({"input": part.arguments}))


def server_tool_call(part: ServerToolCall) -> Piece:
    """A call of the tool that runs code."""
    piece: Piece = {"executableCode": Raw(part.arguments.encode() or b"{}")}
    return extra.merge(piece, part.extra, NAME) if part.extra else piece


def media(part: Blob | Uri | File) -> Piece | str:
    """The part for a medium; or why there is none."""
    piece: Piece
    if isinstance(part, Blob):
        blob: Piece = {"mimeType": part.mime_type, "data": part.content}
        if part.name is not None and part.extra is not None and part.extra.wire == NAME:
            blob["displayName"] = part.name
        piece = {"inlineData": blob}
    elif isinstance(part, File) and part.origin != NAME:
        return f"the file {part.file_id!r} was uploaded to {part.origin}, and is not known here"
    else:
        uri = part.file_id if isinstance(part, File) else part.uri
        file: Piece = {"fileUri": uri}
        mime = part.mime_type or _guessed(uri)
        if mime is not None and (part.mime_type or isinstance(part, Uri)):
            file["mimeType"] = mime
        if part.name is not None:
            file["displayName"] = part.name
        piece = {"fileData": file}
    return extra.merge(piece, part.extra, NAME) if part.extra else piece


def _guessed(uri: str) -> str | None:
    """What the end of an address says of its content: the API does not look."""
    suffix = uri.partition("?")[0].rpartition(".")[2].lower()
    return _MIME_TYPES.get(suffix)


def function_response(
    part: ToolResult, id_: str | None, name: str, media_pieces: list[object]
) -> Piece:
    """The result of a call.

    Args:
        part: The result.
        id_: The API's id of the call, if it gave one.
        name: The function's name as this wire knows it.
        media_pieces: What of the result is not text.
    """
    response: Piece = {"name": name}
    if id_ is not None:
        response["id"] = id_
    response["response"] = _response(part)
    if media_pieces:
        response["parts"] = media_pieces
    piece: Piece = {"functionResponse": response}
    return extra.merge(piece, part.extra, NAME) if part.extra else piece


def _response(part: ToolResult) -> object:
    """The result as the object that it must be."""
    texts = [piece.text for piece in part.parts if isinstance(piece, Text)]
    if len(texts) == 1 and not part.is_error:
        try:
            _object.decode(texts[0])
        except extra.MALFORMED:
            pass
        else:
            return Raw(texts[0].encode())
    return {"error" if part.is_error else "result": "\n".join(texts)}


def of_result(part: ResultPart) -> Piece | Raw | str | None:
    """What a piece of a result is beside its text; `None`: it is text; a string: why it is not."""
    if isinstance(part, Text):
        return None
    if isinstance(part, Blob | Uri | File):
        return media(part)
    return part.raw if part.wire == NAME else f"{NAME} has no {part.type!r} content"
