"""What a caller wants of the cache for one call: the header `x-modelmux-cache`."""

from typing import Final, Literal, TypeAlias

from msgspec import Struct

from modelmux.errors import InvalidRequest

CacheWord: TypeAlias = Literal["", "hit", "miss", "bypass"]
"""What the cache had to do with an answer. `hit`: no target was asked for it. `bypass`: the cache
was not to be used. Empty: there is none."""

HEADER: Final = "x-modelmux-cache"


class Freshness(Struct, frozen=True):
    """How fresh an answer has to be. May be shared."""

    reads: bool = True
    """A kept answer will do."""
    writes: bool = True
    """The answer may be kept for others."""
    max_age_s: float | None = None
    """Oldest answer that will do; `None`: as old as the configuration allows."""


ANY: Final = Freshness()
NO_STORE: Final = Freshness(reads=False, writes=False)
NO_CACHE: Final = Freshness(reads=False)


def parse(value: str) -> Freshness:
    """The wish that a header field says: `no-store`, `no-cache`, `max-age=N`, or several.

    Raises:
        InvalidRequest: It says something else.
    """
    wish = ANY
    for item in value.lower().split(","):
        name, _, text = item.strip().partition("=")
        if name == "no-store":
            return NO_STORE
        if name == "no-cache":
            wish = NO_CACHE
        elif name == "max-age" and text.strip().isdigit():
            if wish.reads:
                wish = Freshness(max_age_s=float(text[:10]))
        else:
            raise InvalidRequest(
                f"expected no-store, no-cache or max-age=SECONDS, got {value!r}", param=HEADER
            )
    return wish
