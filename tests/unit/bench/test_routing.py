import pytest

from bench.routing import built, calls, choose, configuration, measured


def test_every_name_has_its_targets():
    registry = built(configuration(30, "priority"))
    asked = calls(30, 100)
    assert {choose(registry, call) for call in asked} <= {f"p{number}/m" for number in range(30)}


def test_what_a_call_costs_does_not_grow_with_the_names():
    few = min(measured(20)[2] for _ in range(3))
    many = min(measured(2_000)[2] for _ in range(3))
    # Caches of the processor make some difference; looking through names would make a hundredfold.
    assert many < 10 * few


@pytest.mark.parametrize("names", [2_000])
def test_building_is_quick(names: int):
    assert measured(names)[0] < 2.0
