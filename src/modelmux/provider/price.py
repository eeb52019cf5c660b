"""What a model's tokens cost."""

from datetime import date
from decimal import Decimal

from msgspec import Struct

from modelmux.ir.response import Usage

_MILLION = Decimal(1_000_000)

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
        rates: Rates = self
        if self.long is not None and usage.input_tokens > self.long.over_tokens:
            rates = self.long
        read = usage.cache_read_input_tokens
        written = usage.cache_creation_input_tokens
        written_1h = min(usage.cache_creation_1h_input_tokens, written)
        total = Decimal(0)
        for tokens, rate in (
            (usage.input_tokens - read - written, rates.input),
            (usage.output_tokens, rates.output),
            (read, rates.cache_read),
            (written - written_1h, rates.cache_write),
            (written_1h, rates.cache_write_1h),
        ):
            if tokens > 0:
                if rate is None:
                    return None
                total += rate * tokens
        return total / _MILLION
