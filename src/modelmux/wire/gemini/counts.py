"""Token counts of an answer.

`candidatesTokenCount` leaves out what the model thought and `promptTokenCount` what its own
tools brought in, while cached tokens are in the latter (`GenerateContentResponseUsageMetadata`
of Google's SDK, `google-genai` 3.4.0, read 2026-11-20). In a stream each count is of all so far.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import Extra
from modelmux.ir.response import Usage
from modelmux.wire import extra
from modelmux.wire.gemini import schema
from modelmux.wire.gemini.schema import NAME

_NOTHING: Mapping[str, Raw] = {}
_NULL = Raw(b"null")
_ABSENT = _NULL
"""Stands in `extra` for a count that the API left out and that we would write."""

_usage = extra.Schema(schema.UsageMetadata, ProtocolViolation)

_DETAILS = (
    ("promptTokensDetails", "prompt_tokens_details"),
    ("cacheTokensDetails", "cache_tokens_details"),
    ("candidatesTokensDetails", "candidates_tokens_details"),
)
_COUNTS = (
    ("promptTokenCount", "prompt_token_count"),
    ("candidatesTokenCount", "candidates_token_count"),
    ("cachedContentTokenCount", "cached_content_token_count"),
    ("thoughtsTokenCount", "thoughts_token_count"),
    ("totalTokenCount", "total_token_count"),
)


def decode(counts: schema.UsageMetadata, unknown: Mapping[str, Raw] = _NOTHING) -> Usage:
    """The counts. Their `extra` says that they are this wire's own, even when it is empty."""
    thoughts = counts.thoughts_token_count or 0
    tools = counts.tool_use_prompt_token_count or 0
    usage = Usage(
        (counts.prompt_token_count or 0) + tools,
        (counts.candidates_token_count or 0) + thoughts,
        counts.cached_content_token_count or 0,
        reasoning_output_tokens=thoughts,
    )
    fields: dict[str, Raw] = {}
    if counts.tool_use_prompt_token_count is not None:
        fields["/toolUsePromptTokenCount"] = Raw(msgspec.json.encode(tools))
    for name, attribute in _DETAILS:
        raw: Raw = getattr(counts, attribute)
        if raw:
            fields[f"/{name}"] = raw
    plain = _plain(usage, tools)
    for name, attribute in _COUNTS:
        count: int | None = getattr(counts, attribute)
        if plain.get(name) != count:
            fields[f"/{name}"] = Raw(msgspec.json.encode(count)) if count is not None else _ABSENT
    if unknown:
        fields.update(unknown)
    return Usage(
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_input_tokens,
        reasoning_output_tokens=thoughts,
        extra=Extra(NAME, fields),
    )


def read(raw: Raw) -> Usage:
    """The counts as they came. Raises `ProtocolViolation`."""
    return decode(*_usage.decode(raw))


def encode(usage: Usage) -> dict[str, object]:
    """The counts as the API has them."""
    own = usage.extra is not None and usage.extra.wire == NAME
    tools = 0
    if own and usage.extra is not None:
        raw = usage.extra.fields.get("/toolUsePromptTokenCount")
        tools = int(bytes(raw)) if raw is not None else 0
    out: dict[str, object] = {**_plain(usage, tools)}
    if own:
        extra.merge(out, usage.extra, NAME)
        return {name: value for name, value in out.items() if value is not _ABSENT}
    return out


def _plain(usage: Usage, tools: int) -> dict[str, int]:
    """The counts as they are mostly written: without those that are 0, but for the first."""
    said = usage.output_tokens - usage.reasoning_output_tokens
    out = {"promptTokenCount": max(0, usage.input_tokens - tools)}
    if usage.cache_read_input_tokens:
        out["cachedContentTokenCount"] = usage.cache_read_input_tokens
    if said > 0:
        out["candidatesTokenCount"] = said
    if usage.reasoning_output_tokens:
        out["thoughtsTokenCount"] = usage.reasoning_output_tokens
    out["totalTokenCount"] = usage.input_tokens + usage.output_tokens
    return out
