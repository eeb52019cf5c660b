import pytest

from modelmux.errors import Unreachable
from modelmux.target.balance import Balance
from modelmux.target.base import Target
from modelmux.target.call import Call, Caller
from modelmux.target.candidate import Candidate
from modelmux.target.explain import Explanation, explain
from modelmux.target.facts import World
from modelmux.target.registry import Plan, Registry
from modelmux.target.rules import compile_condition
from modelmux.target.steer import Rule, Steering
from tests.support import linewire, targets
from tests.support.choices import Choosing, House
from tests.support.linewire import LineWire
from tests.support.targets import Fake

WIRE = LineWire()


class Layer:
    """A layer of a whole call."""

    def __init__(self, inner: Target) -> None:
        self.name = inner.name
        self._inner = inner


class Offered:
    """A provider of two models."""

    name = "p"
    priority = 1
    weight = 1.0
    models = ("m", "n")
    takes_any = False

    def exact(self, model: str) -> str | None:
        return model if model in self.models else None

    def matches(self, model: str) -> bool:
        return False

    def target(self, model: str) -> Target:
        return Fake(name=f"p/{model}")


def explained(
    *rules: Rule,
    candidates: tuple[Candidate, ...] = (),
    house: House | None = None,
    model: str = "m",
    **more: object,
) -> Explanation:
    house = house or House()
    settings: Choosing = more  # type: ignore[assignment]

    def combine(plan: Plan) -> Target:
        if candidates:
            made: Balance = house.balance(*candidates, **settings)
            return Layer(Layer(made))  # type: ignore[return-value, arg-type]
        return Layer(plan.targets[0].target)  # type: ignore[return-value]

    steering = Steering(rules, World(hour=lambda: 12), lambda _name: None)
    registry = Registry([Offered()], [], combine, steering=steering)
    body = linewire.request_body(model=model)
    call = Call(WIRE, body, WIRE.envelope(body), caller=Caller("k"))
    return explain(registry, call, "eu")


def rule(when: str, **leads: str) -> Rule:
    return Rule(compile_condition(when), **leads)


def test_each_rule_is_told_with_what_it_looked_at():
    found = explained(
        rule("stream", target="p/n"),
        rule('model == "m"', provider="nobody"),
        rule("hour == 12", target="p/n"),
        rule("true", target="p/m"),
    )
    assert [each.outcome for each in found.rules] == [
        "does not hold",
        "is passed over: nobody offers 'nobody/m'",
        "decides",
        "comes too late",
    ]
    assert found.rules[0].facts == {"stream": False}
    assert (found.answered_as, found.target, found.region) == ("p/n", "p/n", "eu")


def test_without_rules_the_name_decides():
    found = explained(model="n")
    assert (found.answered_as, found.target, found.strategy) == ("n", "p/n", "")


def test_a_name_that_nobody_offers_is_a_problem():
    found = explained(model="zzz")
    assert found.target == ""
    assert "no provider offers the model 'zzz'" in found.problem


def test_candidates_are_told_in_the_order_in_which_they_would_be_asked():
    house = House()
    first = house.candidate(Fake(name="a/m"), tier=1)
    second = house.candidate(Fake(name="b/m"), regions=["eu"], weight=2.0)
    found = explained(candidates=(first, second), house=house)
    assert [(each.name, each.outcome) for each in found.candidates] == [
        ("b/m", "is asked first"),
        ("a/m", "is asked as number 2"),
    ]
    assert found.strategy == "Priority"
    assert (found.candidates[0].regions, found.candidates[0].weight) == (["eu"], 2.0)


def test_who_is_left_out_is_told_why():
    house = House()
    well = house.candidate(Fake(name="a/m"))
    not_meant = house.candidate(Fake(name="b/m"), when="stream")
    broken = house.candidate(Fake(name="c/m"))
    for _ in range(5):
        broken.health.begin(house.clock())
        broken.health.failed(Unreachable("x"), targets.call(), house.clock(), house.clock())
    found = explained(candidates=(well, not_meant, broken), house=house)
    assert {each.name: each.outcome for each in found.candidates} == {
        "a/m": "is asked first",
        "b/m": "its `when` does not hold: stream",
        "c/m": "is left alone for 5.0 s",
    }
    assert found.candidates[-1].state == "open"


@pytest.mark.parametrize(("most", "outcome"), [(1, "is not reached"), (2, "is asked as number 2")])
def test_who_is_not_reached_is_told(most: int, outcome: str):
    house = House()
    candidates = tuple(house.candidate(Fake(name=f"{name}/m")) for name in "ab")
    found = explained(candidates=candidates, house=house, max_tries=most)
    assert found.candidates[1].outcome == outcome


def test_where_nobody_takes_the_call_that_is_the_problem():
    house = House()
    candidate = house.candidate(Fake(name="a/m"), when="stream")
    found = explained(candidates=(candidate,), house=house)
    assert (found.target, found.problem) == ("", "none of the targets takes this call")
