from modelmux.config.schema_routing import (
    Breaker,
    FallbackFor,
    Hedge,
    Model,
    Routing,
    RoutingFallback,
    Rule,
    WeightedTarget,
)


def test_without_a_word_targets_are_asked_in_order_and_nothing_else_happens():
    model = Model(name="x", targets=("a/m",))
    assert (model.strategy, model.then, model.affinity) == ("priority", "priority", "none")
    assert not model.hedge.enabled
    assert (model.mirror, model.fallback_for) == ((), FallbackFor())


def test_target_names_are_those_of_all_forms():
    model = Model(name="x", targets=("a/m", WeightedTarget(target="b/m", weight=2)))
    assert model.target_names == ("a/m", "b/m")


def test_routing_falls_back_and_breaks_without_being_told():
    routing = Routing()
    assert routing.fallback == RoutingFallback(enabled=True, max_retries=3)
    assert routing.breaker == Breaker(enabled=True, failures=5)
    assert not routing.health_check.enabled
    assert routing.data_residency == "off"


def test_a_rule_leads_to_one():
    assert Rule.EXCLUSIVE == (("target", "provider", "model"),)
    assert Hedge().percentile == 95.0
