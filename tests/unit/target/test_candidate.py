from decimal import Decimal

from modelmux.ir.response import Usage
from modelmux.target.candidate import NO_TRAITS, Standing, Traits
from modelmux.target.health import HealthBook
from tests.support.choices import House
from tests.support.targets import Fake, FakeClock


class Tariff:
    def __init__(self, usd: str | None) -> None:
        self._usd = Decimal(usd) if usd is not None else None

    def cost_usd(self, usage: Usage) -> Decimal | None:
        return None if self._usd is None else self._usd * usage.input_tokens


def test_what_rules_may_know_of_a_candidate():
    house = House()
    made = house.candidate(Fake(name="p/m"), tariff=Tariff("0.000002"))
    assert (made.latency_ms, made.error_rate, made.in_flight) == (0.0, 0.0, 0)
    made.health.streamed.observe(0.25, house.clock())
    made.health.begin(house.clock())
    assert (made.name, made.latency_ms, made.in_flight) == ("p/m", 250.0, 1)
    assert made.price == 2.0


def test_what_is_not_known_costs_nothing_that_is_known():
    health = HealthBook(FakeClock()).of("p/m")
    assert Standing("p/m", health).cost_usd(5, 5) is None
    assert Standing("p/m", health, Traits(tariff=Tariff(None))).price == 0.0
    assert not NO_TRAITS.regions


def test_a_cost_is_that_of_the_size():
    health = HealthBook(FakeClock()).of("p/m")
    assert Standing("p/m", health, Traits(tariff=Tariff("0.5"))).cost_usd(4, 0) == 2.0
