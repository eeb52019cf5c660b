"""Token counts and the reason of an end, in the words of the API and in neutral ones.

`inputTokens` is the prompt *without* what was read from or written to the cache
(docs.aws.amazon.com/bedrock/latest/userguide/prompt-caching.html, read 2026-11-20); in the neutral
model it is the whole prompt.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import Extra
from modelmux.ir.response import NO_USAGE, FinishReason, Usage
from modelmux.wire import extra
from modelmux.wire.bedrock_converse import schema
from modelmux.wire.bedrock_converse.schema import NAME

_NEUTRAL: Final[Mapping[str, FinishReason]] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_call",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}
_SAID: Final[Mapping[FinishReason, str]] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_call": "tool_use",
    "content_filter": "content_filtered",
    "error": "malformed_model_output",
}
_NOTHING: Mapping[str, Raw] = {}
_HOUR: Final = "1h"

_usage = extra.Schema(schema.TokenUsage, ProtocolViolation)
_details = msgspec.json.Decoder(list[schema.CacheDetail])


def reason(stop_reason: str) -> FinishReason:
    """The neutral word; what the API says later than this was written is a plain stop."""
    return _NEUTRAL.get(stop_reason, "stop")


def spelling(stop_reason: str) -> Raw | None:
    """What to keep of `stop_reason` because its neutral word would come back as another."""
    if _SAID[reason(stop_reason)] == stop_reason:
        return None
    return Raw(msgspec.json.encode(stop_reason))


def said(finish: FinishReason, stop_sequence: str | None, called: bool) -> str:
    """The API's word.

    Args:
        finish: The neutral word.
        stop_sequence: What the caller asked to stop at, and came.
        called: The answer calls a tool, which some servers say was a plain stop.
    """
    if finish == "stop":
        return (
            "tool_use" if called else "stop_sequence" if stop_sequence is not None else "end_turn"
        )
    return _SAID[finish]


def read(raw: Raw) -> Usage | None:
    """The counts of an answer; `None` where there are none. Raises `ProtocolViolation`."""
    return decode(*_usage.decode(raw)) if raw and bytes(raw) != b"null" else None


def decode(usage: schema.TokenUsage | None, unknown: Mapping[str, Raw] = _NOTHING) -> Usage:
    """The counts. Their `extra` says that they are this wire's own, even when it is empty.

    Args:
        usage: The API's counts, if it gave any.
        unknown: Other fields of theirs by pointer.
    """
    if usage is None:
        return NO_USAGE
    read_, written = usage.cacheReadInputTokens, usage.cacheWriteInputTokens
    fields: dict[str, Raw] = dict(unknown)
    if read_ == 0:
        fields["/cacheReadInputTokens"] = Raw(b"0")
    if written == 0:
        fields["/cacheWriteInputTokens"] = Raw(b"0")
    if usage.cacheDetails:
        fields["/cacheDetails"] = usage.cacheDetails
    if usage.totalTokens is not None:
        fields["/totalTokens"] = Raw(b"%d" % usage.totalTokens)
    return Usage(
        usage.inputTokens + (read_ or 0) + (written or 0),
        usage.outputTokens,
        read_ or 0,
        written or 0,
        _kept_for_an_hour(usage.cacheDetails) if written else 0,
        extra=Extra(NAME, fields),
    )


def _kept_for_an_hour(raw: Raw) -> int:
    try:
        return sum(detail.inputTokens for detail in _details.decode(raw) if detail.ttl == _HOUR)
    except extra.MALFORMED:  # absent, null, or of a later form: the total is what counts
        return 0


def encode(usage: Usage) -> dict[str, object]:
    """The counts as the API has them. Tokens it does not tell apart are left out."""
    read_, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    own = usage.extra is not None and usage.extra.wire == NAME
    out: dict[str, object] = {
        "inputTokens": max(0, usage.input_tokens - read_ - written),
        "outputTokens": usage.output_tokens,
    }
    if not own:
        out["totalTokens"] = usage.input_tokens + usage.output_tokens
    if read_:
        out["cacheReadInputTokens"] = read_
    if written:
        out["cacheWriteInputTokens"] = written
    if not own and usage.cache_creation_1h_input_tokens:
        long = usage.cache_creation_1h_input_tokens
        details = [
            {"ttl": "5m", "inputTokens": written - long},
            {"ttl": _HOUR, "inputTokens": long},
        ]
        out["cacheDetails"] = details
    return extra.merge(out, usage.extra, NAME)
