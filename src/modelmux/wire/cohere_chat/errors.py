"""Errors of the API to neutral failures and back: a message, and the HTTP status says the rest.

https://docs.cohere.com/reference/errors, read 2026-11-20
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from modelmux.errors import ErrorKind
from modelmux.ir.response import Failure
from modelmux.wire import extra
from modelmux.wire.cohere_chat import schema
from modelmux.wire.cohere_chat.schema import NAME

MAX_QUOTE_CHARS: Final = 500
"""How much is quoted of an error that is not understood: enough for a title and a cause."""

_KINDS: Final[Mapping[int, ErrorKind]] = {
    400: "invalid_request",
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    413: "too_large",
    422: "invalid_request",
    429: "rate_limit",
    498: "authentication",  # a token that is none
    499: "timeout",
    500: "internal",
    503: "overloaded",
    504: "timeout",
}

_error = msgspec.json.Decoder(schema.Error)


def decode(status: int, body: bytes) -> Failure:
    """An error in neutral words. What is not understood is quoted.

    Args:
        status: HTTP status it came with; below 400 where it came with a success.
        body: The body.
    """
    try:
        found = _error.decode(body)
    except extra.MALFORMED:
        found = schema.Error()
    kind = _KINDS.get(status) or ("invalid_request" if 400 <= status < 500 else "internal")
    message = found.message or _quoted(body)
    return Failure(kind, message, "", status=status if status >= 400 else 500)


def in_stream(error: str | None) -> Failure:
    """What the end of a stream says that failed."""
    message = error or "the model failed without a word"
    return Failure("unavailable", message, "generation_failed", status=502)


def _quoted(body: bytes) -> str:
    text = body[: 4 * MAX_QUOTE_CHARS].decode(errors="replace").strip()[:MAX_QUOTE_CHARS]
    return f"the answer is no error of {NAME}: {text}" if text else "an empty error"


def encode(failure: Failure) -> bytes:
    """The body of an error."""
    said: dict[str, object] = {"message": failure.message}
    if failure.request_id is not None:
        said["id"] = failure.request_id
    return msgspec.json.encode(said)


def status(failure: Failure) -> int:
    """The HTTP status with which the API says so."""
    return failure.status if failure.status >= 400 else 500
