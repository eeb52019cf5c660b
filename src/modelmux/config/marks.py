"""What an annotation of the schema says beside its type, and what must never be shown.

The marks themselves are listed in `schema.py`; this is the only module that reads `Meta.extra`.
"""

import re
from collections.abc import Mapping
from typing import Annotated, cast, get_args, get_origin
from urllib.parse import urlsplit, urlunsplit

from msgspec import Meta

MASK = "***"
"""Stands for a secret wherever one would be shown."""

_CREDENTIAL = re.compile(
    r"auth|token|secret|passw|credential|cookie|signature|session|apikey|(^|[^a-z])key([^a-z]|$)",
    re.IGNORECASE,
)


def marks(annotation: object) -> Mapping[str, object]:
    """Everything `Meta.extra` says in an annotation; empty for one without."""
    found: dict[str, object] = {}
    if get_origin(annotation) is Annotated:
        for meta in get_args(annotation)[1:]:
            if isinstance(meta, Meta) and meta.extra:
                found.update(meta.extra)
    return found


def limits(annotation: object) -> str:
    """The limits an annotation sets, in words: ` from 1 to 65535`; empty for one without."""
    for meta in get_args(annotation)[1:] if get_origin(annotation) is Annotated else ():
        if isinstance(meta, Meta):
            if meta.le is not None:
                return f" from {meta.ge} to {meta.le}"
            if meta.ge is not None:
                return f" of at least {meta.ge}"
            if meta.gt is not None:
                return f" above {meta.gt}"
            if meta.min_length:
                return " that is not empty"
    return ""


def bare(annotation: object) -> object:
    """The annotation without `Annotated`."""
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation


def is_secret(annotation: object) -> bool:
    """Whether a value of this annotation, or each item of such an array, is a secret."""
    if marks(annotation).get("secret"):
        return True
    inner = bare(annotation)
    return get_origin(inner) is tuple and is_secret(get_args(inner)[0])


def names_credential(name: str) -> bool:
    """Whether a header, tag or variable of this name holds a credential, as far as one can tell."""
    return bool(_CREDENTIAL.search(name))


def without_credentials(text: str) -> str:
    """A URL with its user, password and query masked; any other text as it is."""
    if "://" not in text:
        return text
    try:
        url = urlsplit(text)
    except ValueError:
        return MASK
    user, at, host = url.netloc.rpartition("@")
    netloc = f"{MASK}@{host}" if at and user else url.netloc
    return urlunsplit(url._replace(netloc=netloc, query=MASK if url.query else ""))


def presentable(value: object, *, secret: bool) -> object:
    """A value as it may be shown: secrets masked, credentials cut out of URLs and headers.

    Args:
        value: A scalar, a tuple of them, or a mapping of names to texts (headers, tags).
        secret: Whether the schema marks it as a secret.
    """
    if isinstance(value, tuple):
        return [presentable(item, secret=secret) for item in cast("tuple[object, ...]", value)]
    if isinstance(value, Mapping):
        texts = cast("Mapping[str, object]", value)
        return {
            name: presentable(text, secret=secret or names_credential(name))
            for name, text in texts.items()
        }
    if secret:
        return MASK if value else value
    return without_credentials(value) if isinstance(value, str) else value
