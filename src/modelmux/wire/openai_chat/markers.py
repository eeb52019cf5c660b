"""Cache markers of two kinds.

Anthropic's `cache_control`, which callers of gateways write on this wire too, and OpenAI's own
`prompt_cache_breakpoint`.
"""

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.parts import CacheControl, Extra
from modelmux.wire import extra
from modelmux.wire.openai.values import objects, present
from modelmux.wire.openai_chat.schema import NAME

BREAKPOINT = "/prompt_cache_breakpoint"
"""Where a marker of OpenAI's own kind is kept: of it, only the wish to cache is neutral.

Its lifetimes are not Anthropic's: https://developers.openai.com/api/docs/guides/prompt-caching,
read 2026-11-20.
"""


class _Cache(Struct):
    type: str = ""
    ttl: str | None = None


_cache = msgspec.json.Decoder(_Cache)


def decode(cache_control: Raw, breakpoint_: Raw, at: str) -> CacheControl | None:
    """The marker in the fields of one object, `None` where there is none.

    Args:
        cache_control: The field of that name, or nothing.
        breakpoint_: `prompt_cache_breakpoint`, or nothing.
        at: JSON Pointer of the object.
    """
    if present(breakpoint_):
        return CacheControl(extra=Extra(NAME, {BREAKPOINT: breakpoint_}, at))
    if not present(cache_control):
        return None
    try:
        cache = _cache.decode(cache_control)
        fields = objects.decode(cache_control)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, f"{at}/cache_control") from None
    at += "/cache_control"
    unknown = {
        f"/{extra.escape(name)}": value
        for name, value in fields.items()
        if name not in {"type", "ttl"} or (name == "type" and cache.type != "ephemeral")
    }
    return CacheControl(cache.ttl, extra.keep(unknown, NAME, at))


def encode(marker: CacheControl, place: dict[str, object]) -> None:
    """Write a marker that came on this wire back into the object it stood in."""
    if marker.extra is not None and BREAKPOINT in marker.extra.fields:
        place["prompt_cache_breakpoint"] = marker.extra.fields[BREAKPOINT]
        return
    cache: dict[str, object] = {"type": "ephemeral"}
    if marker.ttl is not None:
        cache["ttl"] = marker.ttl
    place["cache_control"] = extra.merge(cache, marker.extra, NAME)
