"""Token counts and finish reasons, which whole answers and streams share."""

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.response import NO_USAGE, FinishReason, Usage
from modelmux.wire import extra
from modelmux.wire.extra import Fields
from modelmux.wire.openai_chat.schema import objects, present


class PromptDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class CompletionDetails(Struct):
    reasoning_tokens: int | None = None


class CompletionUsage(Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None
    """DeepSeek's: https://api-docs.deepseek.com/guides/kv_cache, read 2026-11-20."""
    cached_tokens: int | None = None
    """Moonshot's."""


_usage = msgspec.json.Decoder(CompletionUsage, strict=False)

_DETAILS = {
    name: f"/usage/{name}" for name in ("prompt_tokens_details", "completion_tokens_details")
}
"""Pointers of what OpenAI's own usage always has beside its counts."""

_REASONS: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_call",
    "function_call": "tool_call",
    "content_filter": "content_filter",
    "error": "error",  # OpenRouter's
}

_NAMES: dict[FinishReason, str] = {
    "stop": "stop",
    "length": "length",
    "tool_call": "tool_calls",
    "content_filter": "content_filter",
    "error": "error",  # OpenRouter's again, for OpenAI has no word for what is no success
}


def decode(raw: Raw) -> Usage | None:
    """The counts in a `usage` object; `None` where it is null, nothing, or says none."""
    u = _read(raw)
    return None if u is None else _counted(u)


def decode_whole(raw: Raw) -> tuple[Usage, Fields]:
    """The counts, and what the object says beside them, by pointer in the whole answer."""
    u = _read(raw)
    if u is None:
        return NO_USAGE, {}
    counted = _counted(u)
    fields = objects.decode(raw)
    for name, count in _counts(counted).items():
        if getattr(u, name) == count:  # else the sum of other parts than ours
            fields.pop(name, None)
    kept = {_DETAILS.get(k) or f"/usage/{extra.escape(k)}": v for k, v in fields.items()}
    return counted, kept


def _read(raw: Raw) -> CompletionUsage | None:
    if not present(raw):
        return None
    try:
        u = _usage.decode(raw)
    except extra.MALFORMED:
        return None  # counts in another shape are no reason to lose an answer
    return None if u.prompt_tokens is None and u.completion_tokens is None else u


def _counted(u: CompletionUsage) -> Usage:
    prompt, completion = u.prompt_tokens or 0, u.completion_tokens or 0
    read = written = thought = 0
    if u.prompt_tokens_details is not None:
        read = u.prompt_tokens_details.cached_tokens or 0
        written = u.prompt_tokens_details.cache_write_tokens or 0
    if u.completion_tokens_details is not None:
        thought = u.completion_tokens_details.reasoning_tokens or 0
    # xAI counts reasoning beside the completion and not in it: docs.x.ai, read 2026-11-20.
    if thought and u.total_tokens == prompt + completion + thought:
        completion += thought
    read = read or u.prompt_cache_hit_tokens or u.cached_tokens or 0
    return Usage(prompt, completion, read, written, reasoning_output_tokens=thought)


def encode(counted: Usage) -> dict[str, object]:
    """A `usage` object. Cached tokens are part of the prompt's, as everywhere in the model."""
    out: dict[str, object] = {**_counts(counted)}
    if counted.cache_read_input_tokens or counted.cache_creation_input_tokens:
        details = {"cached_tokens": counted.cache_read_input_tokens}
        if counted.cache_creation_input_tokens:
            details["cache_write_tokens"] = counted.cache_creation_input_tokens
        out["prompt_tokens_details"] = details
    if counted.reasoning_output_tokens:
        out["completion_tokens_details"] = {"reasoning_tokens": counted.reasoning_output_tokens}
    return out


def _counts(counted: Usage) -> dict[str, int]:
    return {
        "prompt_tokens": counted.input_tokens,
        "completion_tokens": counted.output_tokens,
        "total_tokens": counted.input_tokens + counted.output_tokens,
    }


def first(*places: Raw) -> Raw:
    """The first `usage` that says something, of the places where servers put it; empty: none."""
    return next(filter(present, places), Raw())


def reason(name: str | None) -> FinishReason:
    """Why the answer ended. Missing and unknown reasons are taken for `stop`."""
    return _REASONS.get(name or "stop", "stop")


def reason_name(found: FinishReason, *, called: bool, legacy: bool) -> str:
    """The API's word for a reason.

    Args:
        found: The reason.
        called: The answer calls a tool. Some call this a plain stop; the caller's SDK would then
            not run the tool.
        legacy: The call is a function's and not a tool's.
    """
    if found == "tool_call" or (found == "stop" and called):
        return "function_call" if legacy else "tool_calls"
    return _NAMES[found]


def kept_reason(name: str | None, *, called: bool) -> dict[str, Raw]:
    """The API's own word, by pointer, where `reason_name` would not give it back."""
    if not name or name == "function_call":  # which depends on the request alone
        return {}
    if name == reason_name(reason(name), called=called, legacy=False):
        return {}
    return {"/choices/0/finish_reason": Raw(msgspec.json.encode(name))}
