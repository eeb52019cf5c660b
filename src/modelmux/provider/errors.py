"""What a provider's error answer means: one of the gateway's own exceptions.

The status decides first, because retries, key rotation and fallback depend on it; what the body
says decides where a status means several things, and gives the words.
"""

from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from modelmux.errors import ErrorKind, ProtocolViolation, Rejected, TargetError
from modelmux.ir.response import Failure
from modelmux.provider.quoting import quoted, shows_key
from modelmux.provider.retry_after import retry_after_s, span_s
from modelmux.target.failures import error_of
from modelmux.transport.base import Headers
from modelmux.wire.base import Wire
from modelmux.wire.bedrock_converse import errors as bedrock_errors

MAX_ERROR_BODY_BYTES: Final = 65_536
"""Longest error body that is read and passed on; what is longer is no API's answer."""

_KEY_KINDS: Final = frozenset[ErrorKind]({"authentication", "billing", "permission"})
_NOT_OF_400: Final = frozenset[ErrorKind]({"internal", "unavailable", "permission"})
_BUSY_KINDS: Final = frozenset[ErrorKind]({"rate_limit", "overloaded", "timeout"})

_GOOGLE_KINDS: Final[dict[str, ErrorKind]] = {
    "UNAUTHENTICATED": "authentication",
    "PERMISSION_DENIED": "permission",
    "RESOURCE_EXHAUSTED": "rate_limit",
    "NOT_FOUND": "not_found",
    "INVALID_ARGUMENT": "invalid_request",
    "FAILED_PRECONDITION": "invalid_request",
    "OUT_OF_RANGE": "invalid_request",
    "UNAVAILABLE": "overloaded",
    "DEADLINE_EXCEEDED": "timeout",
}
"""google.rpc.Code by name. https://cloud.google.com/apis/design/errors, read 2026-11-20"""


class _Detail(Struct):
    retry_delay: str = msgspec.field(default="", name="retryDelay")


class _GoogleError(Struct):
    message: str
    status: str
    code: int = 0
    details: list[_Detail] = []


class _GoogleBody(Struct):
    error: _GoogleError


_google_body = msgspec.json.Decoder(_GoogleBody)
_list = msgspec.json.Decoder(list[msgspec.Raw])
_object = msgspec.json.Decoder(dict[str, msgspec.Raw])


def error_from(
    status: int,
    headers: Headers,
    body: bytes,
    wire: Wire,
    *,
    unix_time: float,
    passthrough: bool = False,
) -> TargetError:
    """The exception for an answer that is not a success.

    Args:
        status: Its HTTP status.
        headers: Its header fields.
        body: Its body; at most `MAX_ERROR_BODY_BYTES` of it are of use.
        wire: The wire the target was spoken to on.
        unix_time: To which dates in `headers` are compared.
        passthrough: The credential was the caller's own: a refusal of it is for the caller.
    """
    if 300 <= status < 400:
        return ProtocolViolation(
            f"expected an answer, got {status}: redirects are not followed, "
            "because they would take the key along; correct base_url",
            status=status,
        )
    if not 400 <= status < 600:
        return ProtocolViolation(f"expected an answer, got status {status}", status=status)
    body = _unwrapped(body)
    foreign = _google(status, body) or _amazon(status, headers, body)
    failure = foreign or wire.decode_error(status, body[:MAX_ERROR_BODY_BYTES])
    if foreign is not None:
        status = foreign.status
    told_s = retry_after_s(headers, unix_time)
    kind = _kind(status, failure)
    message = quoted(failure.message, about_keys=kind in _KEY_KINDS)
    failure = replace(
        failure,
        message=message or f"it answered with status {status}",
        retry_after_s=told_s if told_s is not None else failure.retry_after_s,
    )
    if passthrough and status in {401, 402, 403}:
        error: TargetError = _rejected(failure, status)
    else:
        error = error_of(replace(failure, kind=kind), status=status)
    if isinstance(error, Rejected):
        error.kind = failure.kind
        # What is not of the wire's own shape is said again in it, and so is what shows a key.
        if foreign is None and _passes(body, wire, failure):
            error.body, error.wire = body, wire.name
    return error


def _passes(body: bytes, wire: Wire, failure: Failure) -> bool:
    """Whether a caller on `wire` can be given `body` as it came."""
    if len(body) > MAX_ERROR_BODY_BYTES or shows_key(body):
        return False
    try:
        told = _object.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    shape = _object.decode(wire.encode_error(failure))
    return all(
        name in told and bytes(told[name])[:1] == bytes(value)[:1] for name, value in shape.items()
    )


def _kind(status: int, failure: Failure) -> ErrorKind:
    """What went wrong, in the word that stands for the right exception."""
    kind = failure.kind
    match status:
        case 401 | 402:
            return kind if kind in _KEY_KINDS else "authentication"
        case 403:
            # Also how some say that a model is not for this project, or that content is not.
            return kind if kind not in {"internal", "unavailable"} else "permission"
        case 408 | 504:
            return "timeout"
        case 429:
            # OpenAI says so when the credit is used up, too: no pause helps against that.
            return "billing" if kind == "billing" else "rate_limit"
        case 503 | 529:
            return "overloaded"
        case 409 | 424:  # 424: Amazon's, for a model that failed
            return "unavailable"
        case _ if status >= 500:
            return kind if kind in _BUSY_KINDS else "unavailable"
        case _:
            return "invalid_request" if kind in _NOT_OF_400 else kind


def _rejected(failure: Failure, status: int) -> Rejected:
    error = Rejected(
        failure.message,
        status=status,
        retry_after_s=failure.retry_after_s,
        upstream_code=failure.code,
        param=failure.param,
    )
    error.status = status
    return error


def _unwrapped(body: bytes) -> bytes:
    """`body`, or the first error of the list that Google's streaming endpoints put it in."""
    if body[:1] != b"[":
        return body
    try:
        items = _list.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return body
    return bytes(items[0]) if items else body


def _google(status: int, body: bytes) -> Failure | None:
    """An error of Google's own front end, whatever API is behind it."""
    try:
        error = _google_body.decode(body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    delays = [s for detail in error.details if (s := span_s(detail.retry_delay)) is not None]
    return Failure(
        _GOOGLE_KINDS.get(error.status, "invalid_request" if status < 500 else "internal"),
        error.message,
        error.status,
        status=status,
        retry_after_s=max(delays, default=None),
    )


def _amazon(status: int, headers: Headers, body: bytes) -> Failure | None:
    """An error of Amazon's own front end: its type is in a header, its words are in the body."""
    told = next((value for name, value in headers if name.lower() == b"x-amzn-errortype"), None)
    if told is None:
        return None
    failure = bedrock_errors.decode(status, body[:MAX_ERROR_BODY_BYTES], told.decode("latin-1"))
    if failure.kind == "authentication":
        # Amazon says 403, which others say of keys that are good for something else.
        return replace(failure, status=401)
    return failure
