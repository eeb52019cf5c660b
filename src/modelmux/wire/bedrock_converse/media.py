"""Formats of media: the API's own words and the types that everybody else has for them."""

import re
from collections.abc import Mapping
from typing import Final

from modelmux.ir.parts import Modality

_OFFICE: Final = "application/vnd.openxmlformats-officedocument"
_TYPES: Final[Mapping[Modality, Mapping[str, str]]] = {
    "image": {
        "png": "image/png",
        "jpeg": "image/jpeg",
        "gif": "image/gif",
        "webp": "image/webp",
    },
    "document": {
        "pdf": "application/pdf",
        "csv": "text/csv",
        "doc": "application/msword",
        "docx": f"{_OFFICE}.wordprocessingml.document",
        "xls": "application/vnd.ms-excel",
        "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
        "html": "text/html",
        "txt": "text/plain",
        "md": "text/markdown",
    },
    "video": {
        "mkv": "video/x-matroska",
        "mov": "video/quicktime",
        "mp4": "video/mp4",
        "webm": "video/webm",
        "flv": "video/x-flv",
        "mpeg": "video/mpeg",
        "mpg": "video/mpg",
        "wmv": "video/x-ms-wmv",
        "three_gp": "video/3gpp",
    },
    "audio": {
        "mp3": "audio/mpeg",
        "opus": "audio/opus",
        "wav": "audio/wav",
        "aac": "audio/aac",
        "flac": "audio/flac",
        "ogg": "audio/ogg",
        "m4a": "audio/m4a",
        "mp4": "audio/mp4",
        "webm": "audio/webm",
        "pcm": "audio/pcm",
    },
}
_FORMATS: Final[Mapping[Modality, Mapping[str, str]]] = {
    modality: {mime: name for name, mime in types.items()} for modality, types in _TYPES.items()
}
_ALSO: Final[Mapping[str, str]] = {
    "image/jpg": "jpeg",
    "audio/mp3": "mp3",
    "audio/x-wav": "wav",
    "audio/wave": "wav",
}
_FORBIDDEN: Final = re.compile(r"[^a-zA-Z0-9\s\-()\[\]]")
_SPACES: Final = re.compile(r"\s+")
_MAX_NAME: Final = 200
_UNNAMED: Final = "document"


def mime_type(modality: Modality, format_: str) -> str:
    """The type of a format; one that is not known keeps its name behind the modality's."""
    return _TYPES[modality].get(format_) or (f"{modality}/{format_}" if format_ else "")


def format_of(modality: Modality, mime: str, *, as_said: bool = False) -> str | None:
    """The API's word for a type; `None`: it has none.

    Args:
        modality: What kind of medium it is.
        mime: Its type; parameters do not count.
        as_said: The caller speaks this wire and knows what it takes.
    """
    bare = mime.partition(";")[0].strip().lower()
    known = _FORMATS[modality].get(bare) or _ALSO.get(bare)
    if known is not None:
        return known
    if modality == "document" and bare.startswith("text/"):
        return "txt"
    return bare.partition("/")[2] if as_said else None


class DocumentNames:
    """Names of documents in the letters that the API allows, each once in a request.

    docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_DocumentBlock.html, read 2026-11-20
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def say(self, name: str | None) -> str:
        """A name like `name` that no document before has."""
        cleaned = _SPACES.sub(" ", _FORBIDDEN.sub("-", name or "")).strip()[:_MAX_NAME] or _UNNAMED
        said, number = cleaned, 1
        while said in self._taken:
            number += 1
            suffix = f"-{number}"
            said = cleaned[: _MAX_NAME - len(suffix)] + suffix
        self._taken.add(said)
        return said
