"""Token counts and finish reasons, which whole answers and streams share."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.response import FinishReason, Usage
from modelmux.wire import extra
from modelmux.wire.openai.values import present


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

_NOTHING: Mapping[str, Raw] = {}

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
    if not present(raw):
        return None
    try:
        u = _usage.decode(raw)
    except extra.MALFORMED:
        return None  # counts in another shape are no reason to lose an answer
    if u.prompt_tokens is None and u.completion_tokens is None:
        return None
    prompt, completion = u.prompt_tokens or 0, u.completion_tokens or 0
    read = written = thought = 0
    if u.prompt_tokens_details is not None:
        read = u.prompt_tokens_details.cached_tokens or 0
        written = u.prompt_tokens_details.cache_write_tokens or 0
    if u.completion_tokens_details is not None:
        thought = u.completion_tokens_details.reasoning_tokens or 0
    # Grok counts reasoning beside the completion and not in it. https://docs.cloud.google.com/
    # vertex-ai/generative-ai/docs/partner-models/grok/capabilities/reasoning, read 2026-11-20.
    if thought and u.total_tokens == prompt + completion + thought:
        completion += thought
    read = read or u.prompt_cache_hit_tokens or u.cached_tokens or 0
    return Usage(prompt, completion, read, written, reasoning_output_tokens=thought)


def encode(counted: Usage) -> dict[str, object]:
    """A `usage` object. Cached tokens are part of the prompt's, as everywhere in the model.

    Where the answer came on this wire, its own object is kept beside the counts and stands instead.
    """
    out: dict[str, object] = {
        "prompt_tokens": counted.input_tokens,
        "completion_tokens": counted.output_tokens,
        "total_tokens": counted.input_tokens + counted.output_tokens,
    }
    if counted.cache_read_input_tokens or counted.cache_creation_input_tokens:
        details = {"cached_tokens": counted.cache_read_input_tokens}
        if counted.cache_creation_input_tokens:
            details["cache_write_tokens"] = counted.cache_creation_input_tokens
        out["prompt_tokens_details"] = details
    if counted.reasoning_output_tokens:
        out["completion_tokens_details"] = {"reasoning_tokens": counted.reasoning_output_tokens}
    return out


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


def kept_reason(name: str | None, *, called: bool) -> Mapping[str, Raw]:
    """The API's own word, by pointer, where `reason_name` would not give it back."""
    if not name or name == ("tool_calls" if called else "stop"):
        return _NOTHING
    if name == "function_call":  # which depends on the request alone
        return _NOTHING
    if name == reason_name(reason(name), called=called, legacy=False):
        return _NOTHING
    return {"/choices/0/finish_reason": Raw(msgspec.json.encode(name))}
