"""When a provider wants a call again, from the header fields of its refusal."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import Final

from modelmux.transport.base import Headers

MAX_RETRY_AFTER_S: Final = 86_400.0
"""A day: longer is a mistake, or no use to anybody who waits."""

_EPOCH_S: Final = 1e9
_EPOCH_MS: Final = 1e12
_UNITS_S: Final = {"d": 86_400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|us|d|h|m|s)")
_SPANS: Final = re.compile(rf"(?:{_SPAN.pattern})+")
_LIMITS: Final = (
    # OpenAI's names, which many have; the span until the limit is whole again.
    ("x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"),
    ("x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"),
    ("x-ratelimit-remaining", "x-ratelimit-reset"),
    # Anthropic's, with the time at which it will be.
    ("anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"),
    ("anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"),
    ("anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"),
    ("anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"),
)
"""Each limit's fields: what is left of it, and when it will be whole again."""


def retry_after_s(fields: Headers, now: float) -> float | None:
    """Seconds from `now` (Unix time) after which the call may be made again; `None`: not said.

    The provider's own word comes first (`retry-after-ms`, `retry-after`); without it, the limits
    that are used up, of which the last to be whole again counts.
    """
    said = {name.decode("latin-1"): value.decode("latin-1").strip() for name, value in fields}
    for name, parse in (("retry-after-ms", _milliseconds), ("retry-after", _delay)):
        if name in said:
            seconds = parse(said[name], now)
            if seconds is not None:
                return _bounded(seconds)
    used_up = [
        seconds
        for left, reset in _LIMITS
        if reset in said
        and _is_nothing(said.get(left))
        and (seconds := moment_s(said[reset], now)) is not None
    ]
    return _bounded(max(used_up)) if used_up else None


def span_s(text: str) -> float | None:
    """Seconds of a span such as `6m0s`, `1.5s` or `120ms`; `None`: it is none."""
    text = text.strip()
    if _SPANS.fullmatch(text) is None:
        return None
    return sum(float(amount) * _UNITS_S[unit] for amount, unit in _SPAN.findall(text))


def _milliseconds(text: str, _now: float) -> float | None:
    value = number(text)
    return None if value is None else value / 1000


def _delay(text: str, now: float) -> float | None:
    """`retry-after`: seconds, or an HTTP date. RFC 9110, 10.2.3."""
    value = number(text)
    if value is not None:
        return value
    return _until(text, now, parsedate_to_datetime)


def moment_s(text: str, now: float) -> float | None:
    """Seconds from `now` (Unix time) to what a field says; `None`: it says nothing of the kind.

    It may be a span, a time, or a number: of seconds, or if it is large a Unix time.
    """
    value = number(text)
    if value is not None:
        if value >= _EPOCH_MS:
            return value / 1000 - now
        return value - now if value >= _EPOCH_S else value
    span = span_s(text)
    return span if span is not None else _until(text, now, datetime.fromisoformat)


def _until(text: str, now: float, parse: Callable[[str], datetime]) -> float | None:
    try:
        moment = parse(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return moment.timestamp() - now
    except (ValueError, OverflowError):
        return None


def number(text: str) -> float | None:
    """The number that `text` is, if it is one and finite."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if isfinite(value) else None


def _is_nothing(left: str | None) -> bool:
    """Whether a limit is used up; where what is left is not said, it is."""
    return left is None or (number(left) or 0.0) <= 0


def _bounded(seconds: float) -> float:
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_S)
