"""What a model's tokens cost."""

from datetime import date
from decimal import Decimal

from msgspec import Struct

from modelmux.ir.response import Usage

_MILLION = Decimal(1_000_000)
_PICO = Decimal("1e-12")

Rate = Decimal | None
"""US dollars per million tokens; `None`: not known, which is not the same as free."""


class Rates(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rate for each class of tokens."""

    input: Rate = None
    """Prompt tokens that no cache is concerned with."""
    output: Rate = None
    """Tokens of the answer, reasoning included."""
    cache_read: Rate = None
    cache_write: Rate = None
    """Prompt tokens written to the provider's cache for its default time."""
    cache_write_1h: Rate = None
    """Prompt tokens written to it for an hour."""

    def __post_init__(self) -> None:
        """Refuse what is no price. Raises `ValueError`."""
        for name in Rates.__struct_fields__:
            rate: Rate = getattr(self, name)
            if rate is not None and not (rate.is_finite() and rate >= 0):
                raise ValueError(f"{name} must be 0 or more US dollars, not {rate}")


class LongRates(Rates, frozen=True):
    """Rates for the whole of a call whose prompt is long."""

    over_tokens: int
    """They apply to a prompt of more tokens than this, cached ones included."""


class Price(Rates, frozen=True):
    """Rates of one model at one provider."""

    long: LongRates | None = None
    """Other rates for long prompts. One without rates says that they are not known."""
    source: str = ""
    """The page on which the rates were found."""
    read: date | None = None
    """When they were found there."""

    def cost_usd(self, usage: Usage) -> Decimal | None:
        """What `usage` costs; `None` where a rate that it needs is not known."""
        return Tariff(self).cost_usd(usage)


class Tariff:
    """A price ready for use: each call asks, and decimals cost ten times what integers do."""

    __slots__ = ("_long", "_long_over", "_rates")

    def __init__(self, price: Price) -> None:
        """Make the rates of `price` ready."""
        self._rates = _picodollars(price)
        self._long = self._rates if price.long is None else _picodollars(price.long)
        self._long_over = None if price.long is None else price.long.over_tokens

    def cost_usd(self, usage: Usage) -> Decimal | None:
        """What `usage` costs; `None` where a rate that it needs is not known."""
        tokens = usage.input_tokens
        rates = self._rates
        if self._long_over is not None and tokens > self._long_over:
            rates = self._long
        read = usage.cache_read_input_tokens
        written = usage.cache_creation_input_tokens
        if not (read or written):  # most calls
            input_rate, output_rate = rates[0], rates[1]
            if input_rate is not None and output_rate is not None and tokens >= 0:
                return _dollars(tokens * input_rate + usage.output_tokens * output_rate)
        written_1h = min(usage.cache_creation_1h_input_tokens, written)
        counts = (
            tokens - read - written,
            usage.output_tokens,
            read,
            written - written_1h,
            written_1h,
        )
        total: int | Decimal = 0
        for count, rate in zip(counts, rates, strict=True):
            if count > 0:
                if rate is None:
                    return None
                total += rate * count
        return _dollars(total)


def _dollars(picodollars: int | Decimal) -> Decimal:
    return picodollars * _PICO


def _picodollars(rates: Rates) -> tuple[int | Decimal | None, ...]:
    """Rates in trillionths of a dollar per token: whole numbers, but for the oddest price."""
    out: list[int | Decimal | None] = []
    for rate in (
        rates.input,
        rates.output,
        rates.cache_read,
        rates.cache_write,
        rates.cache_write_1h,
    ):
        if rate is None:
            out.append(None)
            continue
        scaled = rate * _MILLION
        out.append(int(scaled) if scaled == scaled.to_integral_value() else scaled)
    return tuple(out)
