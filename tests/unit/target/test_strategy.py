import random
from collections import Counter
from collections.abc import Sequence
from decimal import Decimal

import msgspec
import pytest

from modelmux.errors import Unreachable
from modelmux.ir.response import Usage
from modelmux.target.call import Call
from modelmux.target.candidate import Candidate
from modelmux.target.strategy import (
    EXPECTED_OUTPUT_TOKENS,
    Availability,
    Cost,
    Latency,
    LeastConnections,
    Priority,
    RoundRobin,
    Strategy,
    Weighted,
    expected_s,
    size_of,
)
from modelmux.wire import openai_chat
from tests.support import targets
from tests.support.choices import House
from tests.support.targets import Fake


def candidates(house: House, *weights: float) -> list[Candidate]:
    return [
        house.candidate(Fake(name=f"{name}/m"), weight=weight)
        for name, weight in zip("abcdef", weights, strict=False)
    ]


def chosen(strategy: Strategy, among: Sequence[Candidate], calls: int) -> list[str]:
    return [strategy.choose(targets.call(), among).name[0] for _ in range(calls)]


def chat(**more: object) -> Call:
    body = {"model": "m", "messages": [{"role": "user", "content": "x" * 4000}], **more}
    raw = msgspec.json.encode(body)
    return Call(openai_chat.WIRE, raw, openai_chat.WIRE.envelope(raw))


class PerToken:
    def __init__(self, input_usd: str, output_usd: str) -> None:
        self._rates = (Decimal(input_usd), Decimal(output_usd))

    def cost_usd(self, usage: Usage) -> Decimal | None:
        return usage.input_tokens * self._rates[0] + usage.output_tokens * self._rates[1]


def test_priority_takes_the_first():
    assert chosen(Priority(), candidates(House(), 1, 1), 3) == ["a", "a", "a"]


def test_round_robin_takes_each_in_turn():
    assert "".join(chosen(RoundRobin(), candidates(House(), 1, 1, 1), 7)) == "abcabca"


def test_weights_are_kept_and_the_heavy_spread():
    assert "".join(chosen(Weighted(), candidates(House(), 5, 1, 1), 7)) == "aabacaa"


def test_weights_are_kept_among_those_who_are_left():
    house, strategy = House(), Weighted()
    among = candidates(house, 4, 2, 2)
    chosen(strategy, among, 5)
    counts = Counter(chosen(strategy, among[1:], 100))
    assert counts == {"b": 50, "c": 50}


def test_the_fewest_calls_for_its_weight():
    house, strategy = House(), LeastConnections()
    among = candidates(house, 1, 1, 2)
    for each, count in zip(among, (2, 1, 4), strict=True):
        each.health.in_flight = count
    assert chosen(strategy, among, 2) == ["b", "b"]
    among[1].health.in_flight = 2
    assert chosen(strategy, among, 1) == ["c"]


def test_equals_take_turns():
    assert set(chosen(LeastConnections(), candidates(House(), 1, 1, 1), 3)) == set("abc")


def test_the_quicker_of_two_drawn_at_random():
    house = House()
    among = candidates(house, 1, 1, 1)
    for each, seconds in zip(among, (3.0, 0.2, 0.3), strict=True):
        each.health.whole.observe(seconds, house.clock())
    strategy = Latency(house.clock, random.Random(1).random)
    counts = Counter(chosen(strategy, among, 1000))
    assert counts["a"] == 0
    assert counts["b"] > counts["c"] > 200


def test_both_draws_are_of_different_candidates():
    house = House()
    among = candidates(house, 1, 1)
    among[0].health.whole.observe(9.0, house.clock())
    among[1].health.whole.observe(0.1, house.clock())
    strategy = Latency(house.clock, random.Random(2).random)
    assert set(chosen(strategy, among, 100)) == {"b"}


def test_who_never_answered_gets_one_call_and_not_a_flood():
    house = House()
    known, untried = candidates(house, 1, 1)
    known.health.whole.observe(0.5, house.clock())
    now = house.clock()
    assert expected_s(untried, now, stream=False) < expected_s(known, now, stream=False)
    untried.health.in_flight = 1
    assert expected_s(untried, now, stream=False) > expected_s(known, now, stream=False)


def test_failures_count_as_time():
    house = House()
    sound, failing = candidates(house, 1, 1)
    for each in (sound, failing):
        each.health.whole.observe(0.5, house.clock())
    failing.health.begin(house.clock())
    failing.health.failed(Unreachable("x"), targets.call(), house.clock(), house.clock())
    now = house.clock()
    assert expected_s(failing, now, stream=False) > 2 * expected_s(sound, now, stream=False)


def test_the_cheapest_for_this_call():
    house = House()
    reader = house.candidate(Fake(name="reader/m"), tariff=PerToken("0.001", "0.1"))
    writer = house.candidate(Fake(name="writer/m"), tariff=PerToken("0.01", "0.001"))
    strategy = Cost()
    assert strategy.choose(chat(max_tokens=10), [writer, reader]).name == "reader/m"
    assert strategy.choose(chat(max_tokens=9000), [reader, writer]).name == "writer/m"


def test_unknown_prices_come_last_and_equals_take_turns():
    house = House()
    unknown = house.candidate(Fake(name="u/m"))
    cheap = [house.candidate(Fake(name=f"{n}/m"), tariff=PerToken("1", "1")) for n in "ab"]
    strategy = Cost()
    assert set(chosen(strategy, [unknown, *cheap], 4)) == {"a", "b"}
    assert chosen(strategy, [unknown, unknown], 1) == ["u"]


@pytest.mark.parametrize(
    ("more", "output"),
    [({}, EXPECTED_OUTPUT_TOKENS), ({"max_tokens": 7}, 7), ({"max_tokens": 9000}, 500)],
)
def test_the_size_of_a_call_is_estimated(more: dict[str, object], output: int):
    assert size_of(chat(**more)) == (1004, output)


def test_the_healthiest():
    house = House()
    among = candidates(house, 1, 1, 1)
    for each in among[:2]:
        each.health.begin(house.clock())
        each.health.failed(Unreachable("x"), targets.call(), house.clock(), house.clock())
    assert chosen(Availability(), among, 3) == ["c", "c", "c"]


def test_the_equally_healthy_take_turns():
    assert Counter(chosen(Availability(), candidates(House(), 1, 1), 10)) == {"a": 5, "b": 5}
