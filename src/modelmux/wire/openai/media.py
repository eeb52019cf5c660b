"""Media by value: data URLs, Base64 and types, as callers write them and as the model has them."""

import binascii
import re
from base64 import b64encode
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Blob, Extra, File, Modality, Uri
from modelmux.wire import extra

_DATA_URL = re.compile(r"\s*data:", re.IGNORECASE)
_URL_SAFE = str.maketrans("-_", "+/")

_SIGNATURES = (
    ("iVBORw0KGgo", "image/png"),
    ("/9j/", "image/jpeg"),
    ("R0lGOD", "image/gif"),
    ("UklGR", "image/webp"),
    ("JVBERi0", "application/pdf"),
    ("PHN2Zy", "image/svg+xml"),
)
"""How Base64 begins whose bytes begin as files of a type do."""

_AUDIO_SIGNATURES = (
    ("UklGR", "audio/wav"),
    ("SUQz", "audio/mpeg"),
    ("//", "audio/mpeg"),
    ("T2dnUw", "audio/ogg"),
    ("ZkxhQw", "audio/flac"),
)

_EXTENSIONS = {
    "csv": "text/csv",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "gif": "image/gif",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "json": "application/json",
    "md": "text/markdown",
    "pdf": "application/pdf",
    "png": "image/png",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "txt": "text/plain",
    "webp": "image/webp",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "text/xml",
}

_AUDIO_TYPES = {"mp3": "audio/mpeg"}
"""Where a format's media type is not `audio/` and its name."""

_AUDIO_FORMATS = {
    "audio/mpeg": "mp3",
    "audio/mp3": "mp3",
    "audio/vnd.wave": "wav",
    "audio/wave": "wav",
    "audio/x-wav": "wav",
}

AUDIO_INPUT = frozenset({"wav", "mp3"})
"""Formats that OpenAI hears; other servers of the wire hear more."""


class FileFile(Struct, forbid_unknown_fields=True):
    """A file as chat and Responses say it."""

    file_data: str | None = None
    file_id: str | None = None
    filename: str | None = None


def image(url: str, detail: str | None, at: str, kept: Extra | None = None) -> Blob | Uri:
    """The part for an image, or what else came in an image's place, by URL.

    Raises:
        InvalidRequest: `url` is a data URL that holds no Base64; `at` points to it.
    """
    held = parse_data_url(url, at)
    if held is None:
        return Uri("image", url, detail=detail, extra=kept)
    mime_type, content = held
    return Blob(modality(mime_type), mime_type, content, detail=detail, extra=kept)


def file(given: FileFile, at: str, wire: str, kept: Extra | None = None) -> Blob | Uri | File:
    """The part for a file by value, by id, or, on servers that fetch it, by address.

    `wire` is the caller's, by whose provider an id was given out.
    """
    if given.file_id:
        return File("document", given.file_id, wire, name=given.filename, extra=kept)
    if not given.file_data:
        path = extra.pointer_to_path(at)
        raise InvalidRequest(f"{path}: expected `file_data` or `file_id`", param=path)
    if given.file_data.startswith(("https://", "http://")):
        return Uri("document", given.file_data, name=given.filename, extra=kept)
    held = parse_data_url(given.file_data, at)
    if held is None:
        content = standard_base64(given.file_data, at)
        mime_type = _by_extension(given.filename) or _sniffed(content) or "application/pdf"
    else:
        mime_type, content = held
    return Blob(modality(mime_type), mime_type, content, name=given.filename, extra=kept)


def audio_type(format_: str) -> str:
    """The media type of a format as `input_audio` names it."""
    return _AUDIO_TYPES.get(format_, f"audio/{format_}")


def audio_format(mime_type: str) -> str:
    """The inverse of `audio_type`, for every name that a type goes by."""
    return _AUDIO_FORMATS.get(mime_type) or mime_type.partition("/")[2]


def spoken(content: str) -> str:
    """The media type of audio in an answer, which does not say it: raw samples, if no container."""
    return _sniffed(content, _AUDIO_SIGNATURES) or "audio/pcm"


def extension(mime_type: str) -> str:
    """What the name of a file of a type ends in."""
    known = (end for end, mime in _EXTENSIONS.items() if mime == mime_type)
    return next(known, mime_type.rpartition("/")[2])


def modality(mime_type: str) -> Modality:
    """What kind of thing media of a type are: a document, where nothing else is known."""
    match mime_type.partition("/")[0]:
        case "image":
            return "image"
        case "audio":
            return "audio"
        case "video":
            return "video"
        case _:
            return "document"


def data_url(part: Blob) -> str:
    """The media of `part` as a data URL."""
    return f"data:{part.mime_type};base64,{part.content}"


def parse_data_url(url: str, at: str) -> tuple[str, str] | None:
    """Media type and Base64 of a data URL (RFC 2397); `None` for any other URL.

    A type that is missing is told by the first bytes.

    Raises:
        InvalidRequest: It is a data URL without data; `at` points to it.
    """
    start = _DATA_URL.match(url)
    if start is None:
        return None
    head, _, payload = url[start.end() :].partition(",")
    mime_type, *parameters = [parameter.strip().lower() for parameter in head.split(";")]
    if "base64" not in parameters:
        content = b64encode(unquote_to_bytes(payload)).decode()
    else:
        if "%" in payload:
            payload = unquote_to_bytes(payload).decode(errors="replace")
        content = standard_base64(payload, at)
    if not content:
        path = extra.pointer_to_path(at)
        raise InvalidRequest(f"{path}: the data URL holds no data", param=path)
    if mime_type in {"", "application/octet-stream"}:
        mime_type = _sniffed(content) or mime_type or "text/plain"  # RFC 2397's default
    return mime_type, content


def standard_base64(text: str, at: str) -> str:
    """`text` in the standard alphabet, padded, without white space.

    Raises:
        InvalidRequest: `text` is not Base64 of any kind; `at` points to it.
    """
    try:
        binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        mended = "".join(text.split()).translate(_URL_SAFE).rstrip("=")
        mended += "=" * (-len(mended) % 4)
        try:
            binascii.a2b_base64(mended, strict_mode=True)
        except ValueError:
            path = extra.pointer_to_path(at)
            raise InvalidRequest(f"{path}: expected Base64", param=path) from None
        return mended
    return text


def _sniffed(content: str, signatures: Sequence[tuple[str, str]] = _SIGNATURES) -> str | None:
    return next((mime for prefix, mime in signatures if content.startswith(prefix)), None)


def _by_extension(name: str | None) -> str | None:
    return _EXTENSIONS.get((name or "").rpartition(".")[2].lower())
