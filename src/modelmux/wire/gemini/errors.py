"""Errors of the API, in whole bodies and in streams, to neutral failures and back.

Follows ai.google.dev/gemini-api/docs/troubleshooting and cloud.google.com/apis/design/errors,
read 2026-11-20. Streams, and Vertex, wrap an error in a list.
"""

import math
from collections.abc import Mapping
from typing import NamedTuple

import msgspec
from msgspec import Raw

from modelmux.errors import ErrorKind, InvalidRequest
from modelmux.ir.parts import Extra
from modelmux.ir.response import Failure
from modelmux.wire import extra
from modelmux.wire.gemini import schema
from modelmux.wire.gemini.schema import NAME

MAX_QUOTE_BYTES = 500
"""How much is quoted of an error that is not understood: enough for a title and a cause."""


class _Meaning(NamedTuple):
    kind: ErrorKind
    status: int


_MEANINGS: Mapping[str, _Meaning] = {
    "INVALID_ARGUMENT": _Meaning("invalid_request", 400),
    "FAILED_PRECONDITION": _Meaning("invalid_request", 400),
    "OUT_OF_RANGE": _Meaning("invalid_request", 400),
    "UNAUTHENTICATED": _Meaning("authentication", 401),
    "PERMISSION_DENIED": _Meaning("permission", 403),
    "NOT_FOUND": _Meaning("not_found", 404),
    "ABORTED": _Meaning("unavailable", 409),
    "ALREADY_EXISTS": _Meaning("invalid_request", 409),
    "RESOURCE_EXHAUSTED": _Meaning("rate_limit", 429),
    "CANCELLED": _Meaning("unavailable", 499),
    "INTERNAL": _Meaning("internal", 500),
    "UNKNOWN": _Meaning("internal", 500),
    "DATA_LOSS": _Meaning("internal", 500),
    "UNIMPLEMENTED": _Meaning("invalid_request", 501),
    "UNAVAILABLE": _Meaning("overloaded", 503),
    "DEADLINE_EXCEEDED": _Meaning("timeout", 504),
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
    503: "overloaded",
    504: "timeout",
}
_STATUSES: Mapping[ErrorKind, str] = {
    "invalid_request": "INVALID_ARGUMENT",
    "authentication": "UNAUTHENTICATED",
    "billing": "FAILED_PRECONDITION",
    "permission": "PERMISSION_DENIED",
    "not_found": "NOT_FOUND",
    "too_large": "INVALID_ARGUMENT",
    "rate_limit": "RESOURCE_EXHAUSTED",
    "overloaded": "UNAVAILABLE",
    "timeout": "DEADLINE_EXCEEDED",
    "content_filter": "INVALID_ARGUMENT",
    "unavailable": "UNAVAILABLE",
    "internal": "INTERNAL",
}
_BAD_KEYS = frozenset({"API_KEY_INVALID", "API_KEY_EXPIRED"})
"""Reasons behind an `INVALID_ARGUMENT` that is not the caller's."""

_DOMAIN = "modelmux"
_TYPES = "type.googleapis.com/google.rpc."

_response = extra.Schema(schema.ErrorResponse)
_error = extra.Schema(schema.Error)
_info = msgspec.json.Decoder(schema.ErrorInfo)
_array = msgspec.json.Decoder(list[Raw])
_string = msgspec.json.Decoder(str)


def decode(status: int, body: bytes) -> Failure:
    """An error in neutral words. What is not understood is quoted.

    Args:
        status: HTTP status it came with; below 400 where it came in a stream that had begun.
        body: The body, or the data of the stream's event.
    """
    try:
        if body.lstrip()[:1] == b"[":
            items = _array.decode(body)
            body = bytes(items[0]) if items else b""
        response, unknown = _response.decode(body)
        error, fields = _parse(response.error)
    except (InvalidRequest, *extra.MALFORMED):  # not in the API's shape: a proxy's page, or nothing
        return _quoted(status, body)
    kept = dict(unknown)
    kept.update((f"/error{pointer}", raw) for pointer, raw in fields.items())
    if error.details:
        kept["/error/details"] = Raw(msgspec.json.encode(error.details))
    meaning = _MEANINGS.get(error.status)
    reason = _reason(error.details or ())
    code = error.code if isinstance(error.code, int) else 0
    if status < 400:
        status = code if 400 <= code < 600 else meaning.status if meaning else 500
    kind = meaning.kind if meaning else _kind(status)
    if reason in _BAD_KEYS:
        kind = "authentication"
    if error.status and _STATUSES[kind] != error.status:
        kept["/error/status"] = Raw(msgspec.json.encode(error.status))
    if error.code is not None and error.code != status:
        kept["/error/code"] = Raw(msgspec.json.encode(error.code))
    return Failure(
        kind,
        error.message or _quote(body),
        reason or error.status,
        status=status,
        extra=Extra(NAME, kept) if kept else None,
    )


def _parse(raw: Raw) -> tuple[schema.Error, Mapping[str, Raw]]:
    try:
        return schema.Error(message=_string.decode(raw)), {}
    except msgspec.DecodeError:  # an object, as it should be
        return _error.decode(raw)


def _reason(details: "list[Raw] | tuple[()]") -> str:
    """The reason that an `ErrorInfo` among the details gives."""
    for raw in details:
        try:
            reason = _info.decode(raw).reason
        except extra.MALFORMED:  # another kind of detail
            continue
        if reason:
            return reason
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
    """The body of an error, which is the data of a stream's event too."""
    error: dict[str, object] = {
        "code": status(failure),
        "message": failure.message,
        "status": _STATUSES[failure.kind],
    }
    if failure.extra is None or failure.extra.wire != NAME:
        details = _details(failure)
        if details:
            error["details"] = details
    return msgspec.json.encode(extra.merge({"error": error}, failure.extra, NAME))


def _details(failure: Failure) -> list[dict[str, object]]:
    """What clients read beside the message: Gemini CLI, for one, waits as `RetryInfo` says."""
    details: list[dict[str, object]] = []
    if failure.code and failure.code not in _MEANINGS:
        info = {"@type": f"{_TYPES}ErrorInfo", "reason": failure.code, "domain": _DOMAIN}
        details.append(dict(info))
    if failure.retry_after_s is not None:
        delay = f"{math.ceil(failure.retry_after_s)}s"
        details.append({"@type": f"{_TYPES}RetryInfo", "retryDelay": delay})
    return details


def status(failure: Failure) -> int:
    """The HTTP status with which the API says so."""
    return failure.status if failure.status >= 400 else 500
