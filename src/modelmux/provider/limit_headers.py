"""What a provider says of its rate limits in the header fields of its answers.

Three families of names are understood:

- OpenAI's, which many have: `x-ratelimit-{limit,remaining,reset}-{requests,tokens}`, and the same
  without a kind; https://platform.openai.com/docs/guides/rate-limits, read 2026-11-20.
- Anthropic's: `anthropic-ratelimit-{requests,tokens,input-tokens,output-tokens}-{limit,…}`;
  https://docs.claude.com/en/api/rate-limits, read 2026-11-20.
- The IETF's: `ratelimit` with `ratelimit-policy`, and the three fields of its earlier drafts;
  draft-ietf-httpapi-ratelimit-headers-11, read 2026-11-20.
"""

import re
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Final, Literal

from msgspec import Struct

from modelmux.provider.retry_after import moment_s, number
from modelmux.transport.base import Headers

Kind = Literal["requests", "tokens", "input_tokens", "output_tokens"]
"""What is limited. `tokens` are those of prompt and answer together."""

MAX_SAID: Final = 1e15
"""A greater number is no limit; it would not be exact any more either."""


class Said(Struct, frozen=True):
    """One limit, as one answer tells it."""

    kind: Kind
    remaining: float
    limit: float | None = None
    reset_s: float | None = None
    """From now until all of it is there again."""
    is_window: bool = False
    """Nothing comes back before that; otherwise it comes back steadily."""
    imprecision_s: float = 0.0
    """By how much `reset_s` may be too short: some round it to whole seconds."""


_KINDS: Final[Mapping[str, Kind]] = {
    "requests": "requests",
    "tokens": "tokens",
    "input-tokens": "input_tokens",
    "output-tokens": "output_tokens",
}
_Piece = Literal["limit", "remaining", "reset"]
_PIECES: Final[tuple[_Piece, ...]] = ("limit", "remaining", "reset")


def _names() -> Iterator[tuple[bytes, tuple[str, Kind, _Piece]]]:
    for piece in _PIECES:
        for word, kind in _KINDS.items():
            yield f"anthropic-ratelimit-{word}-{piece}".encode(), ("anthropic", kind, piece)
            yield f"x-ratelimit-{piece}-{word}".encode(), ("openai", kind, piece)
        yield f"x-ratelimit-{piece}".encode(), ("plain", "requests", piece)
        yield f"ratelimit-{piece}".encode(), ("ietf", "requests", piece)


_FIELDS: Final = dict(_names())
_EPOCH_DIGITS: Final = 10
"""Of a Unix time in seconds, since 2001."""
_IETF: Final = b"ratelimit"
_POLICY: Final = b"ratelimit-policy"

_ITEM: Final = re.compile(r'\s*"?([\w.-]+)"?\s*((?:;\s*[a-z]+=[^;,]*)*)\s*(?:,|$)')
_PARAMETER: Final = re.compile(r';\s*([a-z]+)="?([^;",]*)"?')
_OLD_IETF: Final = re.compile(r"(limit|remaining|reset)\s*=\s*(\d+)")
_UNITS: Final[Mapping[str, Kind]] = {"requests": "requests", "tokens": "tokens"}


def said(headers: Headers, unix_time: float) -> list[Said]:
    """Every limit that `headers` tell of; `unix_time` is that of their coming.

    Times are compared with the provider's own clock, where it tells its date: ours may differ.
    """
    pieces: dict[tuple[str, Kind], dict[str, str]] = {}
    ietf = policy = ""
    for name, value in headers:
        if b"ratelimit" not in name:
            continue
        if field := _FIELDS.get(name):
            family, kind, piece = field
            pieces.setdefault((family, kind), {})[piece] = value.decode("latin-1").strip()
        elif name == _IETF:
            ietf = value.decode("latin-1")
        elif name == _POLICY:
            policy = value.decode("latin-1")
    found: list[Said] = []
    if any(_is_time(texts.get("reset", "")) for texts in pieces.values()):
        unix_time = _date(headers, unix_time)
    for (family, kind), texts in pieces.items():
        limit = _said(family, kind, texts, unix_time)
        if limit is not None:
            found.append(limit)
    if ietf:
        found += _of_ietf(ietf, policy)
    return _without_summary(found) if len(found) > 1 else found


def _said(family: str, kind: Kind, texts: Mapping[str, str], unix_time: float) -> Said | None:
    remaining = _amount(texts.get("remaining", ""))
    if remaining is None:
        return None
    limit = _amount(texts.get("limit", ""))
    reset = texts.get("reset", "")
    if limit == 0 or (limit is None and not reset):
        return None  # how some say that there is none, or nothing that could be kept to
    reset_s = moment_s(reset, unix_time) if reset else None
    return Said(
        kind,
        remaining,
        limit,
        max(0.0, reset_s) if reset_s is not None else None,
        # Names without a kind come from fixed windows, as do the IETF's.
        is_window=family in {"plain", "ietf"} or limit is None,
        # Whole seconds of a time are cut off, or of a number rounded.
        imprecision_s=0.0 if reset.endswith("s") else 1.0,
    )


def _is_time(reset: str) -> bool:
    """Whether a limit comes back at a time, and not after one."""
    return "T" in reset or (reset.isdigit() and len(reset) >= _EPOCH_DIGITS)


def _date(headers: Headers, unix_time: float) -> float:
    """The provider's time when it answered, as far as it says."""
    for name, value in headers:
        if name == b"date":
            try:
                return parsedate_to_datetime(value.decode("latin-1")).timestamp()
            except (ValueError, OverflowError):
                return unix_time
    return unix_time


def _of_ietf(fields: str, policy: str) -> Iterator[Said]:
    policies = dict(_items(policy))
    if old := dict(_OLD_IETF.findall(fields)):  # drafts up to 7: one list of three numbers
        limit = _said("ietf", "requests", old, 0.0)
        if limit is not None:
            yield limit
        return
    for name, parameters in _items(fields):
        its_policy = policies.get(name, {})
        kind = _UNITS.get(its_policy.get("qu", "requests"))
        remaining = _amount(parameters.get("r", ""))
        if kind is None or remaining is None or "pk" in parameters:
            continue  # a unit that is not counted here, or a share of somebody else's
        yield Said(
            kind,
            remaining,
            _amount(its_policy.get("q", "")),
            _amount(parameters.get("t", "")),
            is_window=True,
            imprecision_s=1.0,
        )


def _items(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    for match in _ITEM.finditer(text):
        yield match[1], {name: value.strip() for name, value in _PARAMETER.findall(match[2])}


def _without_summary(found: list[Said]) -> list[Said]:
    """Without Anthropic's `tokens` where prompt and answer have limits of their own.

    It repeats the one of them that is nearest to its end.
    """
    kinds = {each.kind for each in found}
    if "input_tokens" in kinds or "output_tokens" in kinds:
        return [each for each in found if each.kind != "tokens"]
    return found


def _amount(text: str) -> float | None:
    """A number of at least 0; some say -1 for what has no limit."""
    value = number(text)
    return value if value is not None and 0 <= value <= MAX_SAID else None
