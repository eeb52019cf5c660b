"""What answers say of themselves: why they ended, when, and how many tokens they took.

`done_reason` is a plain `stop` for calls of tools too. Counts come with the last line; a prompt
that was cached may have none (docs.ollama.com/api/usage, read 2026-11-20).
"""

from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Raw

from modelmux.ir.parts import Extra
from modelmux.ir.response import FinishReason, Usage
from modelmux.wire.ollama_chat import schema
from modelmux.wire.ollama_chat.settings import Body

_NEUTRAL: Mapping[str, FinishReason] = {"stop": "stop", "length": "length"}
_SAID: Mapping[FinishReason, str] = {"length": "length"}

_DURATIONS = ("total_duration", "load_duration", "prompt_eval_duration", "eval_duration")


def reason(done_reason: str | None, *, called: bool) -> FinishReason:
    """Why an answer ended; `called`: it calls a tool."""
    found = _NEUTRAL.get(done_reason or "", "stop")
    return "tool_call" if called and found == "stop" else found


def said_reason(reason_: FinishReason) -> str:
    """The API's word."""
    return _SAID.get(reason_, "stop")


def usage(prompt: int | None, answer: int | None) -> Usage:
    """The counts."""
    return Usage(prompt or 0, answer or 0)


def kept(counts: schema.Counts, unknown: Mapping[str, Raw], name: str) -> Extra | None:
    """What of an answer the neutral model has no word for."""
    fields = dict(unknown)
    for duration in _DURATIONS:
        raw: Raw = getattr(counts, duration)
        if raw:
            fields[f"/{duration}"] = raw
    if counts.created_at:
        fields["/created_at"] = Raw(msgspec.json.encode(counts.created_at))
    if counts.done_reason is None:
        fields["/done_reason"] = Raw(b"null")
    elif counts.done_reason not in _NEUTRAL:
        fields["/done_reason"] = Raw(msgspec.json.encode(counts.done_reason))
    for field, count in (
        ("prompt_eval_count", counts.prompt_eval_count),
        ("eval_count", counts.eval_count),
    ):
        if count is None:
            fields[f"/{field}"] = Raw(b"null")
    return Extra(name, fields) if fields else None


def created_at_s(text: str) -> int:
    """When an answer was made; 0 where that cannot be read."""
    try:
        return int(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError):
        return 0


def created_at(seconds: int) -> str:
    """When an answer was made, as the API writes it."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return "1970-01-01T00:00:00Z"


def ending(reason_: FinishReason, counted: Usage) -> Body:
    """What the last line of an answer says."""
    return {
        "done": True,
        "done_reason": said_reason(reason_),
        "prompt_eval_count": counted.input_tokens,
        "eval_count": counted.output_tokens,
    }
