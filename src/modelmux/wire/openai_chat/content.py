"""Parts of neutral messages as the API's content parts."""

from base64 import b64decode

from msgspec import Raw, Struct

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import (
    Blob,
    File,
    Generic,
    Modality,
    Part,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.request import Loss
from modelmux.wire import extra
from modelmux.wire.openai import media
from modelmux.wire.openai_chat import markers
from modelmux.wire.openai_chat.schema import NAME

Json = dict[str, object]

_READABLE = ("text/", "application/json", "application/xml")
"""Documents that are text. The API wants files in formats of their own, so these go as text."""


class Target(Struct, frozen=True):
    """What of a request and its model decides how a part is written."""

    same: bool
    """The request came on this wire: everything goes back as it came."""
    bare_files: bool = False
    """Files are bare Base64 and not data URLs."""
    modalities: frozenset[Modality] | None = None
    """What the model reads beside text; `None`: unknown."""


def encode(part: Part, target: Target, path: str, losses: list[Loss]) -> Json | Raw | None:
    """One of a message's content parts; `None` where it cannot be said, and is in `losses`.

    Raises:
        InvalidRequest: `part` is an upload to another provider.
    """
    out: Json | Raw | None
    match part:
        case Text(text=text):
            out = {"type": "text", "text": text}
        case Refusal(text=text):
            out = {"type": "refusal", "refusal": text}
        case Blob():
            out = _blob(part, target)
        case Uri():
            out = _uri(part, target)
        case File():
            out = _upload(part)
        case Generic(raw=raw, wire=wire):
            out = raw if wire == NAME else None
        case _:
            out = None
    if out is None:
        losses.append(Loss(path, f"{NAME} has no place for {describe(part)}", "content"))
    elif isinstance(out, dict):
        mark(part, out, target.same, path, losses)
    return out


def mark(part: Part, out: Json, same: bool, path: str, losses: list[Loss]) -> None:
    """Write into `out` the cache marker and the unknown fields of `part` that came on this wire.

    What came on another is lost, and so are the sources of a text.
    """
    if isinstance(part, Refusal):
        cache = None
    elif isinstance(part, Text | Blob | Uri | File | ToolCall | ToolResult):
        cache = part.cache_control
    else:
        return
    if cache is not None:
        if same:
            markers.encode(cache, out)
        else:
            losses.append(Loss(f"{path}/cache_control", f"{NAME} takes no such marker"))
            losses.extend(extra.losses(cache.extra, NAME))
    if part.extra is not None:
        losses.extend(extra.losses(part.extra, NAME))
        extra.merge(out, part.extra, NAME)
    if isinstance(part, Text) and part.citations and not same:
        losses.append(Loss(f"{path}/citations", f"{NAME} takes no sources in a prompt"))


def describe(part: Part) -> str:
    """What a part is, for messages to the caller."""
    match part:
        case Blob(mime_type=mime_type):
            return mime_type
        case Uri(modality=modality):
            return f"{modality} by address"
        case Generic(type=type_, wire=wire):
            return f"{wire}'s {type_}"
        case _:
            return type(part).__name__


def _blob(part: Blob, target: Target) -> Json | None:
    if target.modalities is not None and part.modality not in target.modalities:
        readable = part.modality == "document" and part.mime_type.startswith(_READABLE)
        return _as_text(part) if readable and not target.same else None
    match part.modality:
        case "image":
            return {"type": "image_url", "image_url": _image_url(media.data_url(part), part.detail)}
        case "audio":
            form = media.audio_format(part.mime_type)
            if not target.same and form not in media.AUDIO_INPUT:
                return None
            return {"type": "input_audio", "input_audio": {"data": part.content, "format": form}}
        case "document":
            if target.same:
                value = part.content if target.bare_files else media.data_url(part)
                return _file(file_data=value, filename=part.name)
            if part.mime_type.startswith(_READABLE):
                return _as_text(part)
            # The API refuses file data without a name.
            name = part.name or f"document.{media.extension(part.mime_type)}"
            return _file(file_data=media.data_url(part), filename=name)
        case "video":
            return None


def _as_text(part: Blob) -> Json | None:
    """A document that is text, as text."""
    text = b64decode(part.content).decode(errors="replace")
    return {"type": "text", "text": f"{part.name}:\n{text}" if part.name else text}


def _uri(part: Uri, target: Target) -> Json | None:
    known = target.modalities is None or part.modality in target.modalities
    if part.modality == "image" and known:
        return {"type": "image_url", "image_url": _image_url(part.uri, part.detail)}
    if part.modality == "document" and target.same:
        return _file(file_data=part.uri, filename=part.name)
    return None  # the API fetches images only


def _upload(part: File) -> Json:
    if part.origin != NAME:
        raise InvalidRequest(
            f"the file {part.file_id!r} was uploaded to {part.origin}, where only that provider "
            "can read it: send its content instead",
            param="messages",
        )
    return _file(file_id=part.file_id, filename=part.name)


def _image_url(url: str, detail: str | None) -> Json:
    return {"url": url} if detail is None else {"url": url, "detail": detail}


def _file(**fields: str | None) -> Json:
    return {
        "type": "file",
        "file": {name: value for name, value in fields.items() if value is not None},
    }
