from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.ir.response import Usage
from modelmux.provider.price import LongRates, Price

FULL = Price(
    input=Decimal(2),
    output=Decimal(10),
    cache_read=Decimal("0.1"),
    cache_write=Decimal("2.5"),
    cache_write_1h=Decimal(4),
)


def test_each_class_of_tokens_has_its_own_rate():
    usage = Usage(
        input_tokens=1_000_000,
        output_tokens=100_000,
        cache_read_input_tokens=500_000,
        cache_creation_input_tokens=200_000,
        cache_creation_1h_input_tokens=50_000,
    )
    # 300k plain, 100k out, 500k read, 150k written, 50k written for an hour.
    expected = Decimal("0.6") + 1 + Decimal("0.05") + Decimal("0.375") + Decimal("0.2")
    assert FULL.cost_usd(usage) == expected


def test_nothing_used_costs_nothing():
    assert Price().cost_usd(Usage()) == 0


def test_an_unknown_rate_makes_the_cost_unknown_only_where_it_is_needed():
    price = Price(input=Decimal(1), output=Decimal(1))
    assert price.cost_usd(Usage(input_tokens=10, output_tokens=1)) is not None
    cached = Usage(input_tokens=10, output_tokens=1, cache_read_input_tokens=5)
    assert price.cost_usd(cached) is None


def test_a_free_model_costs_nothing_and_is_not_unknown():
    assert Price(input=Decimal(0), output=Decimal(0)).cost_usd(Usage(5, 5)) == 0


def test_a_long_prompt_has_its_own_rates_for_the_whole_call():
    long = LongRates(over_tokens=100, input=Decimal(4), output=Decimal(15))
    price = msgspec.structs.replace(FULL, long=long)
    assert price.cost_usd(Usage(100, 10)) == (Decimal(200) + 100) / 1_000_000
    assert price.cost_usd(Usage(101, 10)) == (Decimal(404) + 150) / 1_000_000


def test_a_long_prompt_whose_rates_are_not_known_has_an_unknown_cost():
    price = msgspec.structs.replace(FULL, long=LongRates(over_tokens=100))
    assert price.cost_usd(Usage(100, 10)) is not None
    assert price.cost_usd(Usage(101, 10)) is None


def test_counts_that_contradict_each_other_cost_no_less_than_nothing():
    usage = Usage(5, 0, cache_read_input_tokens=50, cache_creation_1h_input_tokens=9)
    assert FULL.cost_usd(usage) == Decimal(50) * Decimal("0.1") / 1_000_000


@given(
    st.builds(
        Usage,
        input_tokens=st.integers(0, 10**7),
        output_tokens=st.integers(0, 10**6),
        cache_read_input_tokens=st.integers(0, 10**6),
        cache_creation_input_tokens=st.integers(0, 10**6),
        cache_creation_1h_input_tokens=st.integers(0, 10**6),
    )
)
def test_a_cost_is_exact_and_never_negative(usage):
    cost = FULL.cost_usd(usage)
    assert cost is not None
    assert cost >= 0
    assert cost == cost.quantize(Decimal("1e-9"))


@pytest.mark.parametrize("rate", [-1, float("nan"), float("inf")])
def test_what_is_no_amount_of_money_is_no_rate(rate):
    with pytest.raises(msgspec.ValidationError, match="input must be 0 or more"):
        msgspec.convert({"input": rate}, Price)
