"""Content parts of messages, and of tools' outputs, to and from neutral parts."""

from base64 import b64decode

import msgspec
from msgspec import Raw
from msgspec.structs import replace

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
    Refusal,
    Text,
    Uri,
)
from modelmux.ir.request import Loss
from modelmux.wire import extra
from modelmux.wire.openai import media
from modelmux.wire.openai.values import NULL, present
from modelmux.wire.openai_responses import citations, notes, schema
from modelmux.wire.openai_responses.schema import NAME

Json = dict[str, object]

Content = Text | Refusal | Blob | Uri | File | Generic

_BREAKPOINT = "/prompt_cache_breakpoint"

_KNOWN = frozenset(
    {"input_text", "output_text", "text", "refusal", "input_image", "input_file", "input_audio"}
)

_NONE = Raw(b"[]")
_NO_LOGPROBS = Extra(NAME, {notes.PART: Raw(b'{"logprobs":[]}')})
"""The note of nearly every text of an answer."""

_READABLE = ("text/", "application/json", "application/xml")
"""Documents that are text. The API wants files in formats of their own, so these go as text."""

_OPENAI = "openai."
"""How the wires begin whose uploads this one's provider has too."""


def decode(raw: Raw, at: str, error: type[GatewayError] = InvalidRequest) -> Content:
    """The part that `raw` is.

    Args:
        raw: A content part.
        at: JSON Pointer of it in the caller's body.
        error: Whose mistake a malformed one is.
    """
    kept = None
    try:
        p = schema.plain_part.decode(raw)
    except extra.MALFORMED:
        p, kept = _carefully(raw, at, error)
    if p.type not in _KNOWN:
        return Generic(p.type, NAME, raw)
    part = _part(p, at, kept, error)
    if present(p.prompt_cache_breakpoint) and not isinstance(part, Refusal | Generic):
        marker = CacheControl(extra=Extra(NAME, {_BREAKPOINT: p.prompt_cache_breakpoint}, at))
        part = replace(part, cache_control=marker)
    return part


def _carefully(
    raw: Raw, at: str, error: type[GatewayError]
) -> tuple[schema.ContentPart, Extra | None]:
    """A part with fields that are not in the schema, of a type that is not, or a bad one."""
    try:
        kind = schema.kind.decode(raw).type
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, at, error) from None
    if kind not in _KNOWN:
        return schema.ContentPart(kind), None
    reader = schema.content_part if error is InvalidRequest else schema.output_content_part
    p, unknown = reader.decode(raw, at)
    return p, extra.keep({k: v for k, v in unknown.items() if v != NULL}, NAME, at)


def _part(
    p: schema.ContentPart, at: str, kept: Extra | None, error: type[GatewayError]
) -> Text | Refusal | Blob | Uri | File:
    match p:
        case schema.ContentPart(type="input_text", text=str(text)):
            return Text(text, extra=kept)
        case schema.ContentPart(type="output_text" | "text", text=str(text)):
            return _output_text(p, text, kept)
        case schema.ContentPart(type="refusal", refusal=str(refusal)):
            return Refusal(refusal, extra=kept)
        case schema.ContentPart(type="input_image", image_url=str(url)):
            return media.image(url, p.detail, f"{at}/image_url", kept)
        case schema.ContentPart(type="input_image", file_id=str(file_id)):
            return File("image", file_id, NAME, extra=_with_detail(p, kept))
        case schema.ContentPart(type="input_file"):
            return _document(p, at, _with_detail(p, kept))
        case schema.ContentPart(type="input_audio", input_audio=schema.InputAudio(data, form)):
            content = media.standard_base64(data, f"{at}/input_audio/data")
            return Blob("audio", media.audio_type(form), content, extra=kept)
        case _:
            path = extra.pointer_to_path(at)
            raise error(f"{path}: a part of type {p.type!r} lacks what it is", param=path)


def _with_detail(p: schema.ContentPart, kept: Extra | None) -> Extra | None:
    """How closely a file is to be looked at, which only this wire says."""
    if p.detail is None:
        return kept
    return notes.with_note(kept, notes.PART, {"detail": p.detail})


def _document(p: schema.ContentPart, at: str, kept: Extra | None) -> Blob | Uri | File:
    if p.file_url is not None:
        return Uri("document", p.file_url, name=p.filename, extra=kept)
    part = media.file(media.FileFile(p.file_data, p.file_id, p.filename), at, NAME, kept)
    if not isinstance(part, Blob) or "," in (p.file_data or ""):
        return part
    note = notes.read(part.extra, notes.PART) or {}
    return replace(part, extra=notes.with_note(part.extra, notes.PART, {**note, "bare": True}))


def _output_text(p: schema.ContentPart, text: str, kept: Extra | None) -> Text:
    note: Json = {}
    if p.type != "output_text":
        note["type"] = p.type
    if p.annotations is None:
        note["annotations"] = None
    if present(p.logprobs):
        if kept is None and not note and p.logprobs == _NONE:
            return Text(text, _cited(p), extra=_NO_LOGPROBS)
        note["logprobs"] = p.logprobs
    if note:
        kept = notes.with_note(kept, notes.PART, note)
    return Text(text, _cited(p), extra=kept)


def _cited(p: schema.ContentPart) -> tuple[Citation, ...]:
    return tuple([citations.decode(raw) for raw in p.annotations]) if p.annotations else ()


def encode_output(part: Text | Refusal, start: int, *, mine: bool) -> Json:
    """A text or refusal as the assistant says it.

    Args:
        part: What is said.
        start: Where in the whole answer's text it begins.
        mine: The part is of this wire, and is written as it came.
    """
    out: Json
    if isinstance(part, Refusal):
        out = {"type": "refusal", "refusal": part.text}
        return extra.merge(out, part.extra, NAME)
    end = start + len(part.text)
    cited = [citations.encode(c, start, end) for c in part.citations]
    out = {
        "type": "output_text",
        "text": part.text,
        "annotations": [citation for citation in cited if citation is not None],
    }
    note = notes.read(part.extra, notes.PART) if mine else None
    if note is not None:
        out.update({name: value for name, value in note.items() if name != "annotations"})
        if "annotations" in note and not part.citations:
            del out["annotations"]
    return extra.merge(out, part.extra, NAME)


def encode_input(
    part: Part,
    path: str,
    losses: list[Loss],
    *,
    same: bool,
    takes: frozenset[Modality] | None = None,
) -> Json | Raw | None:
    """One of a user's content parts; `None` where it cannot be said, and is in `losses`.

    Args:
        part: What to say.
        path: JSON Pointer of it in the neutral request.
        losses: Where what cannot be said is noted.
        same: The request came on this wire: everything goes back as it came.
        takes: What the model reads beside text; `None`: unknown.

    Raises:
        InvalidRequest: `part` is an upload to another provider.
    """
    out: Json | Raw | None
    match part:
        case Text(text=text):
            out = {"type": "input_text", "text": text}
        case Refusal(text=text):
            out = {"type": "input_text", "text": text}
        case Blob() if takes is not None and part.modality not in takes:
            out = _readable(part)
        case Blob():
            out = _blob(part, same)
        case Uri() if takes is None or part.modality in takes:
            out = _uri(part)
        case File():
            out = _upload(part)
        case Generic(raw=raw, wire=wire) if wire == NAME:
            return raw
        case _:
            out = None
    if out is None:
        losses.append(Loss(path, f"{NAME} has no place for {describe(part)}", "content"))
        return None
    _mark(part, out, same, path, losses)
    return out


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


def _mark(part: Part, out: Json, same: bool, path: str, losses: list[Loss]) -> None:
    """Write into `out` what of `part` came on this wire; what came on another is lost."""
    if isinstance(part, Text | Blob | Uri | File) and part.cache_control is not None:
        cache = part.cache_control
        if same and cache.extra is not None and _BREAKPOINT in cache.extra.fields:
            out["prompt_cache_breakpoint"] = cache.extra.fields[_BREAKPOINT]
        elif not same:
            losses.append(Loss(f"{path}/cache_control", f"{NAME} takes no such marker"))
    if isinstance(part, Text | Refusal | Blob | Uri | File) and part.extra is not None:
        losses.extend(extra.losses(part.extra, NAME))
        extra.merge(out, part.extra, NAME)
    if isinstance(part, Text) and part.citations and not same:
        losses.append(Loss(f"{path}/citations", f"{NAME} takes no sources in a prompt"))


def _blob(part: Blob, same: bool) -> Json | None:
    match part.modality:
        case "image":
            return _image(media.data_url(part), part.detail)
        case "audio":
            form = media.audio_format(part.mime_type)
            if not same and form not in media.AUDIO_INPUT:
                return None
            return {"type": "input_audio", "input_audio": {"data": part.content, "format": form}}
        case "document":
            if not same and part.mime_type.startswith(_READABLE):
                return _as_text(part)
            note = notes.read(part.extra, notes.PART) or {}
            data = part.content if "bare" in note else media.data_url(part)
            # The API refuses file data without a name.
            name = part.name
            if name is None and not same:
                name = f"document.{media.extension(part.mime_type)}"
            return _file(part.extra, file_data=data, filename=name)
        case "video":
            return None


def _readable(part: Blob) -> Json | None:
    """A document as text, for a model that takes no documents."""
    if part.modality == "document" and part.mime_type.startswith(_READABLE):
        return _as_text(part)
    return None


def _as_text(part: Blob) -> Json:
    text = b64decode(part.content).decode(errors="replace")
    return {"type": "input_text", "text": f"{part.name}:\n{text}" if part.name else text}


def _uri(part: Uri) -> Json | None:
    if part.modality == "image":
        return _image(part.uri, part.detail)
    if part.modality == "document":
        return _file(part.extra, file_url=part.uri, filename=part.name)
    return None


def _upload(part: File) -> Json:
    if not part.origin.startswith(_OPENAI):
        raise InvalidRequest(
            f"the file {part.file_id!r} was uploaded to {part.origin}, where only that provider "
            "can read it: send its content instead",
            param="messages",
        )
    if part.modality == "image":
        out: Json = {"type": "input_image", "file_id": part.file_id}
        note = notes.read(part.extra, notes.PART)
        return {**out, **note} if note else out
    return _file(part.extra, file_id=part.file_id, filename=part.name)


def _image(url: str, detail: str | None) -> Json:
    out: Json = {"type": "input_image", "image_url": url}
    if detail is not None:
        out["detail"] = detail
    return out


def _file(kept: Extra | None, **fields: str | None) -> Json:
    out: Json = {"type": "input_file"}
    out.update({name: value for name, value in fields.items() if value is not None})
    note = notes.read(kept, notes.PART)
    if note and "detail" in note:
        out["detail"] = note["detail"]
    return out


def text_of(raw: Raw) -> str | list[Raw]:
    """A tool's output: a string, or content parts."""
    return _output.decode(raw)


_output: msgspec.json.Decoder[str | list[Raw]] = msgspec.json.Decoder(str | list[Raw])
