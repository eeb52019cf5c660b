"""Errors of the API, in whole bodies and in streams, to neutral failures and back.

Their type is in the header `x-amzn-errortype` of an answer, in `__type` of a body, or in the
headers of a stream's frame. docs.aws.amazon.com/bedrock/latest/APIReference has them under
API_runtime_Converse.html and CommonErrors.html, read 2026-11-20.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

import msgspec

from modelmux.errors import ErrorKind
from modelmux.ir.response import Failure
from modelmux.wire import extra
from modelmux.wire.bedrock_converse import schema
from modelmux.wire.bedrock_converse.schema import NAME
from modelmux.wire.framing.eventstream import Frame

MAX_QUOTE_CHARS: Final = 500
"""How much is quoted of an error that is not understood: enough for a title and a cause."""


class _Meaning(NamedTuple):
    kind: ErrorKind
    status: int


MEANINGS: Final[Mapping[str, _Meaning]] = {
    "AccessDeniedException": _Meaning("permission", 403),
    "ExpiredTokenException": _Meaning("authentication", 403),
    "IncompleteSignatureException": _Meaning("authentication", 403),
    "InternalServerException": _Meaning("internal", 500),
    "InvalidSignatureException": _Meaning("authentication", 403),
    "ModelErrorException": _Meaning("unavailable", 424),
    "ModelNotReadyException": _Meaning("overloaded", 429),
    "ModelStreamErrorException": _Meaning("unavailable", 424),
    "ModelTimeoutException": _Meaning("timeout", 408),
    "ResourceNotFoundException": _Meaning("not_found", 404),
    "ServiceQuotaExceededException": _Meaning("rate_limit", 400),
    "ServiceUnavailableException": _Meaning("overloaded", 503),
    "ThrottlingException": _Meaning("rate_limit", 429),
    "UnrecognizedClientException": _Meaning("authentication", 403),
    "ValidationException": _Meaning("invalid_request", 400),
}

_STATUSES: Final[Mapping[int, ErrorKind]] = {
    401: "authentication",
    402: "billing",
    403: "permission",
    404: "not_found",
    408: "timeout",
    413: "too_large",
    424: "unavailable",
    429: "rate_limit",
    503: "overloaded",
    504: "timeout",
}
_TYPES: Final[Mapping[ErrorKind, str]] = {
    "invalid_request": "ValidationException",
    "authentication": "UnrecognizedClientException",
    "billing": "AccessDeniedException",
    "permission": "AccessDeniedException",
    "not_found": "ResourceNotFoundException",
    "too_large": "ValidationException",
    "rate_limit": "ThrottlingException",
    "overloaded": "ServiceUnavailableException",
    "timeout": "ModelTimeoutException",
    "content_filter": "ValidationException",
    "unavailable": "ModelErrorException",
    "internal": "InternalServerException",
}
_IN_STREAMS: Final[Mapping[str, str]] = {
    "ModelErrorException": "modelStreamErrorException",
    "ModelTimeoutException": "modelStreamErrorException",
    "ThrottlingException": "throttlingException",
    "ValidationException": "validationException",
    "ServiceUnavailableException": "serviceUnavailableException",
}

_error = msgspec.json.Decoder(schema.Error)


def decode(status: int, body: bytes, type_: str = "") -> Failure:
    """An error in neutral words. What is not understood is quoted.

    Args:
        status: HTTP status it came with; below 400 where it came in a stream that had begun.
        body: The body, or the payload of a frame.
        type_: What a header calls it, if one does.
    """
    try:
        error = _error.decode(body)
    except extra.MALFORMED:
        error = schema.Error()
    # `namespace#Name`, or `Name:http://…`: Amazon's SDKs take either apart.
    code = (type_ or error.type_ or "").partition(":")[0].rpartition("#")[2].strip()
    meaning = MEANINGS.get(code[:1].upper() + code[1:])
    if meaning is not None:
        kind = meaning.kind
    else:
        kind = _STATUSES.get(status) or ("invalid_request" if 400 <= status < 500 else "internal")
    if status < 400:
        status = meaning.status if meaning is not None else 500
    words = error.message or error.Message or error.originalMessage
    return Failure(kind, words or _quoted(body), code, status=status)


def of_frame(frame: Frame) -> Failure:
    """What an exception or error frame says. `frame.kind` is not `event`."""
    if frame.kind == "error":  # an error has its words in a header
        words = frame.headers.get(":error-message", "")
        payload = msgspec.json.encode({"message": words}) if words else frame.payload
        return decode(200, payload, frame.name)
    return decode(200, frame.payload, frame.name)


def _quoted(body: bytes) -> str:
    text = body[: 4 * MAX_QUOTE_CHARS].decode(errors="replace").strip()[:MAX_QUOTE_CHARS]
    return f"the answer is no error of {NAME}: {text}" if text else "an empty error"


def type_of(failure: Failure) -> str:
    """What the API calls it."""
    return failure.code if failure.code in MEANINGS else _TYPES[failure.kind]


def encode(failure: Failure) -> bytes:
    """The body of an error."""
    return msgspec.json.encode({"__type": type_of(failure), "message": failure.message})


def in_stream(failure: Failure) -> str:
    """Which of the few exceptions of a stream says it."""
    return _IN_STREAMS.get(type_of(failure), "internalServerException")


def status(failure: Failure) -> int:
    """The HTTP status with which the API says so."""
    return failure.status if failure.status >= 400 else 500
