"""Why an answer ended, in the words of the API and in neutral ones."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from modelmux.ir.response import FinishReason

_NEUTRAL: Mapping[str, FinishReason] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "MALFORMED_FUNCTION_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "NO_IMAGE": "error",
    "IMAGE_OTHER": "error",
}
_SAID: Mapping[FinishReason, str] = {
    "stop": "STOP",
    "length": "MAX_TOKENS",
    "tool_call": "STOP",
    "content_filter": "SAFETY",
    "error": "OTHER",
}


def neutral(finish_reason: str | None, *, called: bool = False) -> FinishReason:
    """The neutral word; what the API says later than this was written is a plain stop.

    Args:
        finish_reason: The API's word.
        called: The answer calls a function, which the API calls a plain stop.
    """
    reason = _NEUTRAL.get(finish_reason or "", "stop")
    return "tool_call" if called and reason == "stop" else reason


def said(reason: FinishReason) -> str:
    """The API's word."""
    return _SAID[reason]


def spelling(finish_reason: str | None, reason: FinishReason) -> Raw | None:
    """What to keep of `finish_reason` because its neutral word would come back as another."""
    if finish_reason is None or said(reason) == finish_reason:
        return None
    return Raw(msgspec.json.encode(finish_reason))
