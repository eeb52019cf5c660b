"""Token counts and finish reasons, which whole answers and streams share."""

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.parts import Extra
from modelmux.ir.response import FinishReason, Usage
from modelmux.wire import extra
from modelmux.wire.openai_chat.schema import NAME, objects, present


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

_COUNTS = frozenset({"prompt_tokens", "completion_tokens", "total_tokens"})

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


def decode(raw: Raw, keep: bool = True) -> Usage | None:
    """The counts in a `usage` object; `None` where there is none to read.

    Args:
        raw: The object, `null`, or nothing.
        keep: Remember what the model has no word for, so that it can be given back.
    """
    if not present(raw):
        return None
    try:
        u = _usage.decode(raw)
    except extra.MALFORMED:
        return None  # counts in another shape are no reason to lose an answer
    if u.prompt_tokens is None and u.completion_tokens is None:
        return None
    prompt, completion = u.prompt_tokens or 0, u.completion_tokens or 0
    details = u.prompt_tokens_details
    read = (details.cached_tokens or 0) if details is not None else 0
    written = (details.cache_write_tokens or 0) if details is not None else 0
    read = read or u.prompt_cache_hit_tokens or u.cached_tokens or 0
    thought = 0
    if u.completion_tokens_details is not None:
        thought = u.completion_tokens_details.reasoning_tokens or 0
    total = prompt + completion if u.total_tokens is None else u.total_tokens
    # xAI counts reasoning beside the completion and not in it: docs.x.ai, read 2026-11-20.
    apart = thought > 0 and total == prompt + completion + thought
    return Usage(
        prompt,
        completion + thought if apart else completion,
        read,
        written,
        reasoning_output_tokens=thought,
        extra=_kept(raw, total != prompt + completion) if keep else None,
    )


def _kept(raw: Raw, odd: bool) -> Extra | None:
    """The fields of `raw` that its counts do not say again; with an odd sum, all of them."""
    fields = {
        f"/{extra.escape(name)}": value
        for name, value in objects.decode(raw).items()
        if odd or name not in _COUNTS
    }
    return extra.keep(fields, NAME)


def encode(usage: Usage) -> dict[str, object]:
    """A `usage` object. Cached tokens are part of the prompt's, as everywhere in the model."""
    out: dict[str, object] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
    if usage.extra is not None and usage.extra.wire == NAME:
        return extra.merge(out, usage.extra, NAME)
    if usage.cache_read_input_tokens or usage.cache_creation_input_tokens:
        details = {"cached_tokens": usage.cache_read_input_tokens}
        if usage.cache_creation_input_tokens:
            details["cache_write_tokens"] = usage.cache_creation_input_tokens
        out["prompt_tokens_details"] = details
    if usage.reasoning_output_tokens:
        out["completion_tokens_details"] = {"reasoning_tokens": usage.reasoning_output_tokens}
    return out


def first(*places: Raw) -> Raw:
    """The first `usage` that says something, of the places where servers put it; empty: none."""
    return next(filter(present, places), Raw())


def reason(name: str | None, *, called: bool = False, refused: bool = False) -> FinishReason:
    """Why the answer ended. Missing and unknown reasons are taken for `stop`.

    Args:
        name: The API's word. Ollama and others send none.
        called: The answer calls a tool. OpenAI says `stop` for a call that was forced.
        refused: The answer is a refusal, for which OpenAI says `stop`.
    """
    found = _REASONS.get(name or "stop", "stop")
    if found == "stop":
        if called:
            return "tool_call"
        if refused:
            return "content_filter"
    return found


def reason_name(found: FinishReason, *, legacy: bool = False) -> str:
    """The API's word for a reason. `legacy`: the answer calls a function and not a tool."""
    if legacy and found == "tool_call":
        return "function_call"
    return _NAMES[found]


def kept_reason(name: str | None, found: FinishReason) -> dict[str, Raw]:
    """The API's own word, by pointer, where `found` does not give it back."""
    if name is None or name == _NAMES[found] or (name, found) == ("function_call", "tool_call"):
        return {}
    return {"/choices/0/finish_reason": Raw(msgspec.json.encode(name))}
