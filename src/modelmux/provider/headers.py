"""Header fields of requests to providers, checked once and kept as bytes."""

import re
from collections.abc import Mapping

from modelmux.errors import ConfigError

_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
"""A token. RFC 9110, 5.6.2."""
_FORBIDDEN = re.compile(r"[^\t\x20-\x7e]")
"""What a value must not hold. RFC 9110 allows more, and no API asks for more."""

_TRANSPORTS = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Fields that say how a message travels: whoever writes them by hand breaks the framing."""


def is_value(text: str) -> bool:
    """Whether `text` can be a field's value: printable ASCII, and so in one line."""
    return _FORBIDDEN.search(text) is None


def field(name: str, value: str) -> bytes:
    """One header field, ended by CRLF.

    Raises:
        ConfigError: Name or value cannot stand in a header. The value is not shown.
    """
    if _NAME.fullmatch(name) is None:
        raise ConfigError(f"header name {name!r} is not a token", hint="letters, digits and '-'")
    value = value.strip()
    if not is_value(value):
        raise ConfigError(
            f"the value of header {name!r} holds a control or non-ASCII character",
            hint="look for a line break, a typographic quote or an invisible character in it",
        )
    return f"{name.lower()}: {value}\r\n".encode("ascii")


def block(*layers: Mapping[str, str]) -> bytes:
    """Header fields, each ended by CRLF; a later layer wins over an earlier, in any case.

    Raises:
        ConfigError: A field is not one, or is the transport's.
    """
    merged: dict[str, str] = {}
    for layer in layers:
        for name, value in layer.items():
            if name.lower() in _TRANSPORTS:
                raise ConfigError(
                    f"header {name!r} cannot be set", hint="it is part of how a request travels"
                )
            merged[name.lower()] = value
    return b"".join([field(name, value) for name, value in merged.items()])
