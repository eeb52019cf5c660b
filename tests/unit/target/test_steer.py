import pytest

from modelmux.target.facts import CandidateFacts, World
from modelmux.target.rules import compile_condition
from modelmux.target.steer import Rule, Steering
from tests.support import targets

WORLD = World(hour=lambda: 12)


class Fast:
    latency_ms = 20.0
    error_rate = 0.0
    in_flight = 0
    price = 1.0


def known(name: str) -> CandidateFacts | None:
    return Fast() if name == "fast/m" else None


def steering(*rules: Rule) -> Steering:
    return Steering(rules, WORLD, known)


def rule(when: str, **leads: str) -> Rule:
    return Rule(compile_condition(when), **leads)


def names(made: Steering) -> list[str]:
    return [name for _, name in made.matches(targets.call())]


def test_the_rules_that_hold_come_in_their_order():
    made = steering(
        rule("stream", target="never/x"),
        rule('model == "m"', target="first/x"),
        rule("hour == 12", target="second/x"),
    )
    assert names(made) == ["first/x", "second/x"]


@pytest.mark.parametrize(
    ("leads", "name"),
    [({"target": "p/x"}, "p/x"), ({"provider": "p"}, "p/m"), ({"model": "other"}, "other")],
)
def test_a_rule_leads_to_a_target_a_provider_or_a_model(leads: dict[str, str], name: str):
    assert names(steering(rule("true", **leads))) == [name]


def test_a_rule_may_speak_of_whom_it_leads_to():
    made = steering(
        rule("latency_ms > 100.0", target="fast/m"),
        rule("latency_ms > 0.0 && latency_ms < 100.0", provider="fast"),
        rule("latency_ms > 0.0", target="unknown/m"),
    )
    assert names(made) == ["fast/m"]
