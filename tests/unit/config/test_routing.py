from collections.abc import Sequence

import pytest

from modelmux.config import routing
from modelmux.config.build import surface
from modelmux.config.lasting import Lasting, Telemetry
from modelmux.config.schema import Config, Key, Provider
from modelmux.config.schema_routing import (
    Breaker,
    FallbackFor,
    Hedge,
    MirrorTarget,
    Model,
    Region,
    Routing,
    Rule,
    WeightedTarget,
)
from modelmux.errors import ConfigError
from modelmux.layer.record import Record
from modelmux.layer.watch import Watch
from modelmux.target import strategy
from modelmux.target.affinity import Affinity
from modelmux.target.balance import Balance
from modelmux.target.base import Target
from modelmux.target.call import ANONYMOUS
from modelmux.target.mirror import Mirror
from modelmux.target.registry import Registry
from tests.unit.config.gateways import Lines, loaded


def provider(name: str, **more: object) -> Provider:
    said: dict[str, object] = {"type": "openai", "api_key": "sk-123456789", "models": ("m",)}
    return Provider(name=name, **{**said, **more})  # type: ignore[arg-type]


PROVIDERS = (provider("a", region="eu"), provider("b", weight=3.0), provider("c", priority=2))


def registry(*models: Model, said: Routing | None = None, **more: object) -> Registry:
    config = Config(providers=PROVIDERS, models=models, routing=said or Routing(), **more)  # type: ignore[arg-type]
    return surface(loaded(config), Lasting(Telemetry(config, output=Lines())))[0].registry


def model(*targets: str | WeightedTarget, **more: object) -> Model:
    return Model(name="x", targets=targets or ("a/m", "b/m"), **more)  # type: ignore[arg-type]


def inside(target: Target, kind: type[object]) -> object:
    """The layer or choice of that kind inside of a target."""
    inner: object = target
    while inner is not None and not isinstance(inner, kind):
        inner = getattr(inner, "_inner", None)
    return inner


def choice(made: Registry, name: str = "x") -> Balance:
    found = inside(made.resolve(name, ANONYMOUS), Balance)
    assert isinstance(found, Balance)
    return found


def tiers(target: Balance) -> list[list[str]]:
    return [[each.name for each in tier] for tier in target.chooser.tiers]


@pytest.mark.parametrize(
    ("word", "made"),
    [
        ("round_robin", strategy.RoundRobin),
        ("latency", strategy.Latency),
        ("cost", strategy.Cost),
        ("geographic", strategy.Priority),
    ],
)
def test_a_model_is_chosen_by_its_strategy(word: str, made: type):
    chooser = choice(registry(model(strategy=word))).chooser
    assert type(chooser.strategy) is made
    assert chooser.geographic is (word == "geographic")


def test_providers_of_equal_priority_are_balanced_and_the_others_come_after():
    found = choice(registry(said=Routing(strategy="weighted")), "m")
    assert tiers(found) == [["a/m", "b/m"], ["c/m"]]
    assert [each.weight for each in found.chooser.tiers[0]] == [1.0, 3.0]
    assert isinstance(found.chooser.strategy, strategy.Weighted)


def test_each_fallback_is_a_tier_behind_the_targets():
    found = choice(registry(model("a/m", "b/m", fallback=("c/m", "modelmux/echo"))))
    assert tiers(found) == [["a/m", "b/m"], ["c/m"], ["modelmux/echo"]]


def test_hybrid_is_rules_first_and_then_another_strategy():
    targets = (WeightedTarget(target="a/m", when="stream"), "b/m")
    chooser = choice(registry(model(*targets, strategy="hybrid", then="round_robin"))).chooser
    assert chooser.rules_first
    assert isinstance(chooser.strategy, strategy.RoundRobin)
    assert chooser.tiers[0][0].when is not None


def test_affinity_stands_before_the_strategy():
    chooser = choice(registry(model(affinity="session", strategy="cost"))).chooser
    assert isinstance(chooser.strategy, Affinity)
    assert isinstance(chooser.strategy._others, strategy.Cost)


def test_a_hedge_is_as_it_is_told():
    said = Hedge(enabled=True, percentile=90, min_delay_ms=10, max_delay_ms=500, budget=0.2)
    hedge = choice(registry(model(hedge=said))).hedge
    assert hedge is not None
    policy = hedge.policy
    assert (policy.percentile, policy.min_delay_s, policy.max_delay_s) == (0.9, 0.01, 0.5)
    assert policy.budget == 0.2
    assert choice(registry(model())).hedge is None


def test_copies_go_past_retries_and_are_recorded():
    said = (MirrorTarget(target="c/m", share=0.5, when="stream"), "b/m")
    target = registry(model("a/m", mirror=said)).resolve("x", ANONYMOUS)
    assert isinstance(target, Record)
    mirror = target._inner
    assert isinstance(mirror, Mirror)
    assert [shadow.target.name for shadow in mirror._shadows] == ["c/m", "b/m"]
    assert [shadow.share for shadow in mirror._shadows] == [0.5, 1.0]
    assert all(isinstance(shadow.target, Record) for shadow in mirror._shadows)


def test_who_is_there_for_refusals_is_no_usual_target():
    said = FallbackFor(context_length=("c/m",), content_policy=("b/m",))
    found = choice(registry(model("a/m", fallback_for=said)))
    assert tiers(found) == [["a/m"]]
    specials = {key: [each.name for each in found] for key, found in found.chooser.specials.items()}
    assert specials == {"context_length": ["c/m"], "content_policy": ["b/m"]}


def test_one_target_needs_no_choice():
    assert inside(registry(model("a/m")).resolve("x", ANONYMOUS), Balance) is None


@pytest.mark.parametrize(
    ("said", "more"),
    [
        (Routing(data_residency="enforced"), {}),
        (Routing(), {"strategy": "model_specific"}),
        (Routing(), {"fallback_for": FallbackFor(capability=("b/m",))}),
    ],
)
def test_one_target_is_a_choice_where_it_may_not_be_chosen(said: Routing, more: dict[str, object]):
    made = registry(model("a/m", **more), said=said)
    assert choice(made).chooser.max_tries == 4


def test_traits_are_those_of_the_provider():
    regions = (Region(name="home", providers=("a",)),)
    found = choice(registry(model("a/m", "modelmux/echo"), regions=regions)).chooser.tiers[0]
    assert found[0].traits.regions == {"eu", "home"}
    assert [each.traits.is_here for each in found] == [False, True]


def test_a_choice_inside_another_has_health_of_its_own():
    inner = Model(name="inner", targets=("a/m", "b/m"), strategy="round_robin")
    outer = Model(name="x", targets=("inner", "c/m"))
    found = choice(registry(inner, outer))
    assert tiers(found) == [["inner", "c/m"]]
    nested = found.chooser.tiers[0][0]
    watch = inside(nested.target, Watch)
    assert isinstance(watch, Watch)
    assert watch._health is nested.health


def test_a_list_inside_another_is_part_of_it():
    inner = Model(name="inner", targets=("a/m", "b/m"))
    assert tiers(choice(registry(inner, Model(name="x", targets=("inner", "c/m"))))) == [
        ["a/m", "b/m", "c/m"]
    ]


def test_rules_are_those_of_the_configuration():
    said = Routing(rules=(Rule(when="stream", target="b/m"), Rule(when="true", provider="c")))
    config = Config(providers=PROVIDERS, routing=said)
    made = surface(loaded(config), Lasting(Telemetry(config, output=Lines())))[0].registry
    assert made.steering is not None
    assert [rule.leads_to("m") for rule in made.steering.rules] == ["b/m", "c/m"]


def test_a_rule_that_leads_nowhere_cannot_be_built():
    with pytest.raises(ConfigError, match=r"routing.rules\[0\]"):
        registry(said=Routing(rules=(Rule(when="true", target="z/m"),)))


def test_a_key_has_the_region_it_is_given():
    config = Config(providers=PROVIDERS, keys=(Key(name="k", secret="s" * 20, region="eu"),))
    made = surface(loaded(config), Lasting(Telemetry(config, output=Lines())))[0]
    callers: Sequence[object] = [caller.region for _, caller in made.keyring._callers.values()]
    assert callers == ["eu"]


def test_a_breaker_is_as_it_is_told():
    policy = routing.breaker_policy(Routing(breaker=Breaker(failures=9, open_s=1, max_open_s=2)))
    assert (policy.failures, policy.open_s, policy.max_open_s) == (9, 1, 2)
    assert policy.enabled
    assert not policy.is_checked
