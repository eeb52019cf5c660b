"""Error bodies, and error objects inside streams, to and from failures.

The shape is OpenAI's `{"error": {"message", "type", "param", "code"}}`. Servers of its wire also
say `{"error": "…"}`, `{"object": "error", "message": …}`, `{"detail": …}`, and Google's wraps the
whole in a list. OpenRouter's `code` is an HTTP status:
https://openrouter.ai/docs/api/reference/errors-and-debugging, read 2026-11-20.
"""

import msgspec
from msgspec import Raw

from modelmux.errors import ErrorKind
from modelmux.ir.parts import Extra
from modelmux.ir.response import Failure
from modelmux.wire import extra
from modelmux.wire.extra import Fields
from modelmux.wire.openai.values import objects, present, raws

DIALECT = "openai"
"""Stands for the wire in the `extra` of a failure: all of OpenAI's APIs say errors alike."""

MAX_QUOTED = 500
"""Most characters of a body that is not understood which go into a message."""

_TYPES: dict[ErrorKind, str] = {
    "invalid_request": "invalid_request_error",
    "authentication": "authentication_error",
    "billing": "insufficient_quota",
    "permission": "permission_error",
    "not_found": "not_found_error",
    "too_large": "request_too_large",
    "rate_limit": "rate_limit_error",
    "overloaded": "overloaded_error",
    "timeout": "timeout_error",
    "content_filter": "content_filter",
    "unavailable": "service_unavailable_error",
    "internal": "server_error",
}

_STATUSES: dict[ErrorKind, int] = {
    "invalid_request": 400,
    "authentication": 401,
    "billing": 402,
    "permission": 403,
    "not_found": 404,
    "too_large": 413,
    "rate_limit": 429,
    "overloaded": 503,
    "timeout": 504,
    "content_filter": 400,
    "unavailable": 502,
    "internal": 500,
}
"""The status of an error that came without one, inside an answer."""

_BY_STATUS: dict[int, ErrorKind] = {
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    408: "timeout",
    409: "unavailable",  # another call holds what this one needs: the SDKs try again
    413: "too_large",
    429: "rate_limit",
    500: "internal",
    503: "overloaded",
    504: "timeout",
    529: "overloaded",
}

# Codes and types that say more than the status, and of each word every spelling that was met.
# `ResponsibleAIPolicyViolation` is the inner code of Azure's REST API for a filtered prompt.
_BY_WORD: dict[str, ErrorKind] = {
    "billing_hard_limit_reached": "billing",
    "insufficient_quota": "billing",
    "content_filter": "content_filter",
    "content_policy_violation": "content_filter",
    "ResponsibleAIPolicyViolation": "content_filter",
    "context_length_exceeded": "invalid_request",
    "invalid_api_key": "authentication",
    "authentication_error": "authentication",
    "permission_error": "permission",
    "model_not_found": "not_found",
    "not_found_error": "not_found",
    "request_too_large": "too_large",
    "rate_limit_error": "rate_limit",
    "rate_limit_exceeded": "rate_limit",
    "requests": "rate_limit",
    "tokens": "rate_limit",
    "overloaded": "overloaded",
    "overloaded_error": "overloaded",
    "engine_overloaded_error": "overloaded",
    "server_is_overloaded": "overloaded",
    "timeout": "timeout",
    "timeout_error": "timeout",
    "service_unavailable_error": "unavailable",
}

# Types that say less than a status does.
_BY_TYPE: dict[str, ErrorKind] = {
    "invalid_request_error": "invalid_request",
    "BadRequestError": "invalid_request",
    "server_error": "internal",
    "api_error": "internal",
    "InternalServerError": "internal",
}

_NAMED = frozenset({"message", "type", "param", "code"})

_scalar = msgspec.json.Decoder(str | int | float | bool | None)


def decode(status: int, body: bytes) -> Failure:
    """The failure in an error answer. Never raises: what is not understood is quoted."""
    fields = _object(body)
    if fields is None:
        return Failure(_kind(status, (), None), _quoted(body) or f"HTTP {status}", status=status)
    if present(fields.get("error", Raw())):
        return from_error(fields["error"], status)
    return _from_fields(fields, status, body)


def from_error(error: Raw, status: int | None = None) -> Failure:
    """The failure in the value of an `error` field.

    Args:
        error: An object, or a message.
        status: The answer's HTTP status; `None` inside an answer, where the error itself may
            say one.
    """
    fields = _object(bytes(error))
    if fields is not None:
        return _from_fields(fields, status, bytes(error))
    message = _text(error)
    kind = _kind(status, (), None)
    return Failure(
        kind,
        _quoted(bytes(error)) if message is None else message,
        status=_STATUSES[kind] if status is None else status,
    )


def encode(failure: Failure) -> bytes:
    """The error body that this wire's SDKs parse, which is also an event of a stream."""
    error: dict[str, object] = {
        "message": failure.message,
        "type": _TYPES[failure.kind],
        "param": failure.param,
        "code": failure.code or None,
    }
    return msgspec.json.encode({"error": extra.merge(error, failure.extra, DIALECT)})


def _from_fields(fields: Fields, status: int | None, whole: bytes) -> Failure:
    type_, code = _text(fields.get("type")), _text(fields.get("code"))
    inner = _object(bytes(fields.get("innererror", b""))) or {}  # Azure's
    words = (code, type_, _text(inner.get("code")))
    if code is not None and code.isdecimal():
        if status is None and 400 <= int(code) < 600:
            status = int(code)
        code = None
    kind = _kind(status, words, type_)
    message = _text(fields.get("message")) or _text(fields.get("detail")) or _quoted(whole)
    if type_ == _TYPES[kind]:
        type_ = None
    kept = _kept(fields, type_ is not None, code is None)
    return Failure(
        kind,
        message,
        code or type_ or "",
        _text(fields.get("param")),
        _STATUSES[kind] if status is None else status,
        request_id=_text(fields.get("request_id")),
        extra=kept,
    )


def _kept(fields: Fields, odd_type: bool, odd_code: bool) -> Extra | None:
    """What of an error object the failure does not say again."""
    kept = {
        f"/{extra.escape(name)}": value
        for name, value in fields.items()
        if name not in _NAMED
        or (name == "type" and odd_type)
        or (name == "code" and odd_code and present(value))
    }
    return extra.keep(kept, DIALECT)


def _kind(status: int | None, words: tuple[str | None, ...], type_: str | None) -> ErrorKind:
    for word in words:
        if word in _BY_WORD:
            return _BY_WORD[word]
    if status is not None and status in _BY_STATUS:
        return _BY_STATUS[status]
    if status is not None and status >= 400:
        return "invalid_request" if status < 500 else "unavailable"
    return _BY_TYPE.get(type_ or "", "unavailable")


def _object(body: bytes) -> Fields | None:
    """The fields of a JSON object, also of one that stands alone in a list."""
    try:
        return objects.decode(body)
    except extra.MALFORMED:
        pass
    try:
        items = raws.decode(body)
        return objects.decode(items[0]) if items else None
    except extra.MALFORMED:
        return None


def _text(raw: Raw | None) -> str | None:
    """A scalar as text; an object or a list as the JSON it is; `None` for null."""
    if raw is None or not present(raw):
        return None
    try:
        value = _scalar.decode(raw)
    except extra.MALFORMED:
        return _quoted(bytes(raw))
    return value if isinstance(value, str) else str(value)


def _quoted(body: bytes) -> str:
    text = body[: 4 * MAX_QUOTED].decode(errors="replace").strip()
    return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 1] + "…"


def status(failure: Failure) -> int:
    """The HTTP status: 529 is Anthropic's own, and OpenAI's clients know 503 for it."""
    return 503 if failure.status == 529 else failure.status
