"""Rules between values of who answers: rules, strategies, regions."""

from collections.abc import Iterator, Sequence

from modelmux.config import strategies
from modelmux.config.check import Checked, Rule
from modelmux.config.check_names import BY_WEIGHT, check_target, provider_names
from modelmux.config.origin import KeyPath
from modelmux.config.problem import did_you_mean
from modelmux.config.schema_routing import MirrorTarget, Model, WeightedTarget
from modelmux.errors import ConfigError
from modelmux.target.rules import ExpressionError, compile_condition


def rules(checked: Checked) -> None:
    """Every rule is an expression, and leads to somebody."""
    for index, rule in enumerate(checked.config.routing.rules):
        path: KeyPath = ("routing", "rules", index)
        _condition(checked, (*path, "when"), rule.when)
        said = [key for key in ("target", "provider", "model") if getattr(rule, key)]
        if len(said) != 1:
            came = " and ".join(said) or "none of them"
            checked.place.error(path, f"expected target, provider or model, got {came}")
        if rule.target:
            check_target(checked, (*path, "target"), rule.target)
        if rule.model:
            check_target(checked, (*path, "model"), rule.model)
        if rule.provider:
            _provider(checked, (*path, "provider"), rule.provider)


def choices(checked: Checked) -> None:
    """Every model's way of choosing can be used, and what it says has an effect."""
    routing = checked.config.routing
    _custom(checked, ("routing",), routing.strategy, routing.custom)
    for index, model in enumerate(checked.config.models):
        path: KeyPath = ("models", index)
        _custom(checked, path, model.strategy, model.custom)
        for inside, text in _conditions(model):
            _condition(checked, (*path, *inside), text)
        for reason in ("context_length", "content_policy", "capability"):
            for at, name in enumerate(getattr(model.fallback_for, reason)):
                check_target(checked, (*path, "fallback_for", reason, at), name)
        for at, each in enumerate(model.mirror):
            name = each.target if isinstance(each, MirrorTarget) else each
            check_target(checked, (*path, "mirror", at), name)
        _effects(checked, path, model)


def _effects(checked: Checked, path: KeyPath, model: Model) -> None:
    place = checked.place
    weighs = {model.strategy, model.then} & BY_WEIGHT or model.affinity != "none"
    for at, each in enumerate(model.targets):
        if isinstance(each, WeightedTarget) and each.weight != 1 and not weighs:
            message = f"has no effect with the strategy {model.strategy!r}"
            place.warn((*path, "targets", at, "weight"), message)
    rest = len(model.targets) + len(model.fallback)
    if model.hedge.enabled and rest < 2:
        place.warn((*path, "hedge"), "has no effect with one target: a second one is what it asks")
    if model.then != "priority" and model.strategy != "hybrid":
        place.warn((*path, "then"), f"has no effect with the strategy {model.strategy!r}")
    has_rule = any(isinstance(each, WeightedTarget) and each.when for each in model.targets)
    if model.strategy == "hybrid" and not has_rule:
        message = "'hybrid' takes the targets first whose `when` fits, and none has one"
        place.warn((*path, "strategy"), message)


def regions(checked: Checked) -> None:
    """Regions name providers and regions there are, and are there where they are needed."""
    config, place = checked.config, checked.place
    known = {each.name for each in config.regions}
    known |= {each.region for each in config.providers if each.region}
    first: dict[str, int] = {}
    for index, region in enumerate(config.regions):
        path: KeyPath = ("regions", index)
        if region.name in first:
            place.error((*path, "name"), f"the region {region.name!r} is there twice")
        first.setdefault(region.name, index)
        for at, name in enumerate(region.providers):
            _provider(checked, (*path, "providers", at), name)
        for at, name in enumerate(region.near):
            if name not in known:
                near = did_you_mean(name, known)
                place.error((*path, "near", at), f"there is no region {name!r}{near}")
    routing = config.routing
    if (
        routing.data_residency == "enforced"
        and config.cache.enabled
        and config.cache.scope != "key"
    ):
        message = (
            f"'enforced' and a cache of the scope {config.cache.scope!r}: answers would travel"
        )
        place.error(("routing", "data_residency"), message, 'set cache.scope = "key"')
    if known:
        return
    if routing.data_residency == "enforced":
        message = "'enforced' needs to know where providers are, and none says so"
        hint = 'add [[regions]], or region = "…" to providers'
        place.error(("routing", "data_residency"), message, hint)
    elif routing.geographic or routing.strategy == "geographic":
        key = "geographic" if routing.geographic else "strategy"
        place.warn(("routing", key), "has no effect: nothing says where providers are")


def _conditions(model: Model) -> Iterator[tuple[KeyPath, str]]:
    """Every expression of a model, with its place in it."""
    arrays: Sequence[tuple[str, Sequence[object]]] = (
        ("targets", model.targets),
        ("mirror", model.mirror),
    )
    for key, entries in arrays:
        for at, each in enumerate(entries):
            if isinstance(each, WeightedTarget | MirrorTarget) and each.when:
                yield (key, at, "when"), each.when


def _condition(checked: Checked, path: KeyPath, text: str) -> None:
    try:
        compile_condition(text)
    except ExpressionError as exc:
        checked.place.error(path, exc.message, exc.hint)


def _custom(checked: Checked, path: KeyPath, strategy: str, custom: str) -> None:
    if strategy != "custom":
        if custom:
            message = f"has no effect with the strategy {strategy!r}"
            checked.place.warn((*path, "custom"), message)
        return
    if not custom:
        hint = 'custom = "module:name", or an entry point of the group modelmux.strategies'
        checked.place.error((*path, "custom"), "required by the strategy 'custom'", hint)
        return
    try:
        strategies.load(custom)
    except ConfigError as exc:
        checked.place.error((*path, "custom"), exc.message, exc.hint)


def _provider(checked: Checked, path: KeyPath, name: str) -> None:
    known = provider_names(checked.config)
    if name not in known:
        near = did_you_mean(name, known)
        hint = f"providers are: {', '.join(known)}"
        checked.place.error(path, f"there is no provider {name!r}{near}", hint)


ROUTING_RULES: tuple[Rule, ...] = (rules, choices, regions)
