"""Errors inside streams. Error bodies are those of all of OpenAI's APIs."""

from collections.abc import Mapping, Sequence

import msgspec

from modelmux.errors import ErrorKind
from modelmux.ir.response import Failure
from modelmux.wire.framing import sse

_CODES: dict[ErrorKind, str] = {
    "rate_limit": "rate_limit_exceeded",
    "billing": "insufficient_quota",
    "overloaded": "server_is_overloaded",
    "content_filter": "content_filter",
    "invalid_request": "invalid_prompt",
}
"""Codes by which clients tell what to do: Codex tries again after all but a few."""

_OTHER = "server_error"


def event(
    failure: Failure, head: Mapping[str, object], items: Sequence[object], sequence: int
) -> bytes:
    """The event with which a stream fails.

    Args:
        failure: Why.
        head: What the answer began with; empty: it had not begun.
        items: What of it had been said.
        sequence: The event's number.
    """
    code = failure.code or _CODES.get(failure.kind, _OTHER)
    if not head:
        error: dict[str, object] = {
            "type": "error",
            "code": code,
            "message": failure.message,
            "param": failure.param,
            "sequence_number": sequence,
        }
        return sse.encode(msgspec.json.encode(error), "error")
    response = {
        **head,
        "status": "failed",
        "error": {"code": code, "message": failure.message},
        "output": items,
    }
    failed = {"type": "response.failed", "response": response, "sequence_number": sequence}
    return sse.encode(msgspec.json.encode(failed), "response.failed")
