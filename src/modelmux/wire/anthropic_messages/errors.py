"""Errors of the API, in whole bodies and in streams, to neutral failures and back.

Follows platform.claude.com/docs/en/api/errors, read 2026-11-20.
"""

from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from msgspec import Raw

from modelmux.errors import ErrorKind, InvalidRequest
from modelmux.ir.parts import Extra
from modelmux.ir.response import Failure
from modelmux.wire import extra
from modelmux.wire.anthropic_messages import schema
from modelmux.wire.anthropic_messages.block_encode import Block
from modelmux.wire.anthropic_messages.schema import NAME

MAX_QUOTE_BYTES = 500
"""How much is quoted of an error that is not understood: enough for a title and a cause."""

OVERLOADED = 529


class _Meaning(NamedTuple):
    kind: ErrorKind
    status: int


_MEANINGS: Mapping[str, _Meaning] = {
    "invalid_request_error": _Meaning("invalid_request", 400),
    "authentication_error": _Meaning("authentication", 401),
    "billing_error": _Meaning("billing", 402),
    "permission_error": _Meaning("permission", 403),
    "not_found_error": _Meaning("not_found", 404),
    "conflict_error": _Meaning("invalid_request", 409),
    "request_too_large": _Meaning("too_large", 413),
    "rate_limit_error": _Meaning("rate_limit", 429),
    "api_error": _Meaning("internal", 500),
    "timeout_error": _Meaning("timeout", 504),
    "overloaded_error": _Meaning("overloaded", OVERLOADED),
}
_KINDS: Mapping[int, ErrorKind] = {
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    429: "rate_limit",
    500: "internal",
    504: "timeout",
    OVERLOADED: "overloaded",
}
_TYPES: Mapping[ErrorKind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "billing": "billing_error",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "too_large": "request_too_large",
    "rate_limit": "rate_limit_error",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "content_filter": "invalid_request_error",
    "unavailable": "api_error",
    "internal": "api_error",
}

_response = extra.Schema(schema.ErrorResponse)
_error = extra.Schema(schema.Error)
_details = msgspec.json.Decoder(schema.ErrorDetails)
_string = msgspec.json.Decoder(str)


def decode(status: int, body: bytes) -> Failure:
    """An error in neutral words. What is not understood is quoted.

    Args:
        status: HTTP status it came with; below 400 where it came in a stream that had begun.
        body: The body, or the data of the stream's event.
    """
    try:
        response, unknown = _response.decode(body)
        error, fields = _parse(response.error)
    except InvalidRequest:  # not in the API's shape: a proxy's page, or nothing
        return _quoted(status, body)
    kept = dict(unknown)
    kept.update((f"/error{pointer}", raw) for pointer, raw in fields.items())
    code = ""
    if error.details:
        kept["/error/details"] = error.details
        code = _code(error.details)
    meaning = _MEANINGS.get(error.type)
    kind = meaning.kind if meaning else _kind(status)
    if _TYPES[kind] != error.type and error.type:
        kept["/error/type"] = Raw(msgspec.json.encode(error.type))
    if status < 400:
        status = meaning.status if meaning else 500
    return Failure(
        kind,
        error.message or _quote(body),
        code or error.type,
        status=status,
        request_id=response.request_id,
        extra=Extra(NAME, kept) if kept else None,
    )


def _parse(raw: Raw) -> tuple[schema.Error, Mapping[str, Raw]]:
    try:
        return schema.Error(message=_string.decode(raw)), {}
    except msgspec.DecodeError:  # an object, as it should be
        return _error.decode(raw)


def _code(details: Raw) -> str:
    try:
        return _details.decode(details).error_code
    except extra.MALFORMED:  # no code, or of a later form
        return ""


def _quoted(status: int, body: bytes) -> Failure:
    quote = _quote(body)
    message = f"the answer is no error of {NAME}: {quote}" if quote else "an empty error"
    return Failure(_kind(status), message, status=status if status >= 400 else 500)


def _quote(body: bytes) -> str:
    return body[:MAX_QUOTE_BYTES].decode(errors="replace").strip()


def _kind(status: int) -> ErrorKind:
    known = _KINDS.get(status)
    if known is not None:
        return known
    if status < 400:
        return "internal"
    return "invalid_request" if status < 500 else "unavailable"


def encode(failure: Failure) -> bytes:
    """The body of an error, which is the data of a stream's `error` event too."""
    error: Block = {"type": _TYPES[failure.kind], "message": failure.message}
    own = failure.extra is not None and failure.extra.wire == NAME
    if failure.code and failure.code not in _MEANINGS and not own:
        error["details"] = {"error_code": failure.code}
    out: Block = {"type": "error", "error": error}
    if failure.request_id is not None:
        out["request_id"] = failure.request_id
    return msgspec.json.encode(extra.merge(out, failure.extra, NAME))


def status(failure: Failure) -> int:
    """The HTTP status with which the API says so."""
    if failure.kind == "overloaded":
        return OVERLOADED
    return failure.status if failure.status >= 400 else 500
