"""Errors of the API: a status and a sentence. In a stream there is only the sentence."""

from collections.abc import Mapping

import msgspec

from modelmux.errors import ErrorKind
from modelmux.ir.response import Failure
from modelmux.wire import extra
from modelmux.wire.ollama_chat import schema

MAX_QUOTE_BYTES = 500
"""How much is quoted of an error that is not understood: enough for a title and a cause."""

_KINDS: Mapping[int, ErrorKind] = {
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    429: "rate_limit",
    500: "internal",
    503: "overloaded",
    504: "timeout",
}

_error = msgspec.json.Decoder(schema.Error)
_string = msgspec.json.Decoder(str)


def decode(status: int, body: bytes) -> Failure:
    """An error in neutral words. What is not understood is quoted.

    Args:
        status: HTTP status it came with; below 400 where it came in a stream that had begun.
        body: The body, or a line of the stream.
    """
    try:
        raw = _error.decode(body).error
    except extra.MALFORMED:
        message = body[:MAX_QUOTE_BYTES].decode(errors="replace").strip() or "an empty error"
    else:
        try:
            message = _string.decode(raw)
        except extra.MALFORMED:  # an object, as servers of other APIs have it
            message = bytes(raw)[:MAX_QUOTE_BYTES].decode(errors="replace")
    return Failure(_kind(status), message, status=status if status >= 400 else 500)


def _kind(status: int) -> ErrorKind:
    known = _KINDS.get(status)
    if known is not None:
        return known
    if status < 400:
        return "internal"
    return "invalid_request" if status < 500 else "unavailable"


def encode(failure: Failure) -> bytes:
    """The body of an error, which is a line of a stream too."""
    return msgspec.json.encode({"error": failure.message})


def status(failure: Failure) -> int:
    """The HTTP status with which the API says so."""
    return failure.status if failure.status >= 400 else 500
