"""Token counts and the reason of an end, in the words of the API and in neutral ones.

The API counts twice: `tokens` is what the model read and wrote, `billed_units` what is paid for.
The neutral counts are those that are paid for; https://docs.cohere.com/v2/docs/rate-limits and
…/how-does-cohere-pricing-work, read 2026-11-20.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import Extra
from modelmux.ir.response import NO_USAGE, FinishReason, Usage
from modelmux.wire import extra
from modelmux.wire.cohere_chat import schema
from modelmux.wire.cohere_chat.schema import NAME

_NEUTRAL: Final[Mapping[str, FinishReason]] = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_call",
    "ERROR": "error",
    "TIMEOUT": "error",
}
_SAID: Final[Mapping[FinishReason, str]] = {
    "stop": "COMPLETE",
    "length": "MAX_TOKENS",
    "tool_call": "TOOL_CALL",
    "content_filter": "COMPLETE",
    "error": "ERROR",
}

_usage = msgspec.json.Decoder(schema.Usage)
_NOTHING: Final = schema.Tokens()


def reason(finish_reason: str) -> FinishReason:
    """The neutral word; what the API says later than this was written is a plain stop."""
    return _NEUTRAL.get(finish_reason, "stop")


def spelling(finish_reason: str) -> Raw | None:
    """What to keep of `finish_reason` because its neutral word would come back as another."""
    if _SAID[reason(finish_reason)] == finish_reason:
        return None
    return Raw(msgspec.json.encode(finish_reason))


def said(finish: FinishReason, stop_sequence: str | None, called: bool) -> str:
    """The API's word.

    Args:
        finish: The neutral word.
        stop_sequence: What the caller asked to stop at, and came.
        called: The answer calls a tool, which some servers say was a plain stop.
    """
    if finish == "stop":
        if called:
            return "TOOL_CALL"
        return "COMPLETE" if stop_sequence is None else "STOP_SEQUENCE"
    return _SAID[finish]


def decode(raw: Raw) -> Usage:
    """The counts of an answer, kept as they came. Raises `ProtocolViolation`."""
    if not raw or bytes(raw) == b"null":
        return NO_USAGE
    try:
        found = _usage.decode(raw)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "/usage", ProtocolViolation) from None
    billed, read = found.billed_units or _NOTHING, found.tokens or _NOTHING
    return Usage(
        _count(billed.input_tokens, read.input_tokens),
        _count(billed.output_tokens, read.output_tokens),
        _count(found.cached_tokens),
        extra=Extra(NAME, {"": raw}),
    )


def _count(*values: float | None) -> int:
    """The first that is there: the API writes whole numbers with a fraction of 0."""
    return next((int(value) for value in values if value is not None and value == value), 0)  # noqa: PLR0124


def encode(usage: Usage) -> object:
    """The counts as the API has them: its own as they came."""
    own = usage.extra
    if own is not None and own.wire == NAME and "" in own.fields:
        return own.fields[""]
    tokens = {"input_tokens": usage.input_tokens, "output_tokens": usage.output_tokens}
    out: dict[str, object] = {"billed_units": tokens, "tokens": tokens}
    if usage.cache_read_input_tokens:
        out["cached_tokens"] = usage.cache_read_input_tokens
    return out
