"""Why an answer ended, in the words of the API and in neutral ones."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from modelmux.ir.response import FinishReason

_NEUTRAL: Mapping[str, FinishReason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_call",
    "max_tokens": "length",
    "refusal": "content_filter",
    "pause_turn": "stop",  # the provider's own tools paused: sent back, the answer goes on
    "model_context_window_exceeded": "length",
    "compaction": "stop",
}
_SAID: Mapping[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_call": "tool_use",
    "content_filter": "refusal",
    "error": "end_turn",  # there is no word for it: what broke ends in an error event instead
}


def neutral(stop_reason: str | None) -> FinishReason:
    """The neutral word; what the API says later than this was written is a plain stop."""
    return _NEUTRAL.get(stop_reason or "", "stop")


def spelling(stop_reason: str | None, stop_sequence: str | None) -> Raw | None:
    """What to keep of `stop_reason` because its neutral word would come back as another."""
    if stop_reason == "end_turn" and stop_sequence is None:  # as a rule
        return None
    if said(neutral(stop_reason), stop_sequence) == stop_reason:
        return None
    return Raw(msgspec.json.encode(stop_reason))


def said(
    reason: FinishReason,
    stop_sequence: str | None,
    called: bool = False,
    refused: bool = False,
) -> str:
    """The API's word.

    Args:
        reason: The neutral word.
        stop_sequence: What the caller asked to stop at, and came.
        called: The answer calls a tool of the caller's. Some servers call this a plain stop; the
            caller's SDK would not run the tool.
        refused: The answer holds a refusal, which others call a plain stop too.
    """
    if reason == "stop":
        if called:
            return "tool_use"
        if refused:
            return "refusal"
        if stop_sequence is not None:
            return "stop_sequence"
    return _SAID[reason]
