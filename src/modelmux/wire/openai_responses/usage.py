"""Token counts and the way answers end, which whole answers and streams share."""

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.response import FinishReason, Usage
from modelmux.wire import extra
from modelmux.wire.openai.values import present


class _InputDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(Struct):
    reasoning_tokens: int | None = None


class _Usage(Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None


_usage = msgspec.json.Decoder(_Usage, strict=False)

_INCOMPLETE: dict[str, FinishReason] = {
    "max_output_tokens": "length",
    "max_tokens": "length",
    "content_filter": "content_filter",
}

_REASONS: dict[FinishReason, str] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}


def decode(raw: Raw) -> Usage | None:
    """The counts in a `usage` object; `None` where it is null, nothing, or says none."""
    if not present(raw):
        return None
    try:
        u = _usage.decode(raw)
    except extra.MALFORMED:
        return None  # counts in another shape are no reason to lose an answer
    if u.input_tokens is None and u.output_tokens is None:
        return None
    read = written = thought = 0
    if u.input_tokens_details is not None:
        read = u.input_tokens_details.cached_tokens or 0
        written = u.input_tokens_details.cache_write_tokens or 0
    if u.output_tokens_details is not None:
        thought = u.output_tokens_details.reasoning_tokens or 0
    return Usage(
        u.input_tokens or 0, u.output_tokens or 0, read, written, reasoning_output_tokens=thought
    )


def encode(counted: Usage) -> dict[str, object]:
    """A `usage` object. Cached tokens are part of the prompt's, as everywhere in the model."""
    return {
        "input_tokens": counted.input_tokens,
        "input_tokens_details": {
            "cached_tokens": counted.cache_read_input_tokens,
            "cache_write_tokens": counted.cache_creation_input_tokens,
        },
        "output_tokens": counted.output_tokens,
        "output_tokens_details": {"reasoning_tokens": counted.reasoning_output_tokens},
        "total_tokens": counted.input_tokens + counted.output_tokens,
    }


def reason(status: str | None, incomplete: str | None, *, called: bool) -> FinishReason:
    """Why the answer ended.

    Args:
        status: The answer's state.
        incomplete: Why it is incomplete, if it is.
        called: It asks the caller to do something.
    """
    if status == "incomplete":
        return _INCOMPLETE.get(incomplete or "", "length")
    return "tool_call" if called else "stop"


def ending(found: FinishReason) -> tuple[str, str | None]:
    """The answer's state, and why it is incomplete; the inverse of `reason`."""
    name = _REASONS.get(found)
    return ("completed", None) if name is None else ("incomplete", name)
