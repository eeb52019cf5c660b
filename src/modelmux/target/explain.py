"""Whom a call would go to, and why: the rules and candidates, looked at without asking anybody."""

from collections.abc import Sequence

from msgspec import Struct

from modelmux.errors import GatewayError
from modelmux.target import capability
from modelmux.target.balance import Balance
from modelmux.target.base import Target
from modelmux.target.call import Call
from modelmux.target.candidate import Candidate
from modelmux.target.choice import Choice, Chooser
from modelmux.target.facts import Facts, request_of
from modelmux.target.registry import Registry

MAX_DEPTH = 8
"""How far choices inside of choices are followed."""


class RuleSeen(Struct, frozen=True):
    """A rule of `routing.rules`, and what became of it."""

    when: str
    leads_to: str
    outcome: str
    """`decides`, `does not hold`, `comes too late`, or why it is passed over."""
    facts: dict[str, object]
    """What it speaks of, as it is for this call."""


class CandidateSeen(Struct, frozen=True):
    """A target that could answer."""

    name: str
    outcome: str
    """`is asked first`, `is asked then`, or why it is left out."""
    tier: int
    weight: float
    state: str
    """Of its breaker."""
    error_rate: float
    in_flight: int
    latency_ms: float
    price_usd_per_million: float
    regions: Sequence[str]


class Explanation(Struct, frozen=True):
    """Why a call would go where it would go."""

    model: str
    region: str
    rules: Sequence[RuleSeen]
    answered_as: str
    """The name that answers: the model's, or where a rule leads."""
    strategy: str
    """Empty: there is nothing to choose."""
    target: str
    """Who is asked first; empty: nobody."""
    candidates: Sequence[CandidateSeen]
    problem: str = ""
    """Why nobody is."""


def explain(registry: Registry, call: Call, region: str) -> Explanation:
    """Why `call` would go where it would go. Nobody is asked.

    A strategy that takes turns takes one for it.

    Args:
        registry: Everything that can be asked for.
        call: The call.
        region: Where its caller is.
    """
    rules, name = _rules(registry, call)
    model = call.envelope.model
    try:
        target = registry.route(call)
        balance = _choice_in(target)
        if balance is None:
            return Explanation(model, region, rules, name, "", target.name, ())
        first, candidates = _candidates(balance, call)
    except GatewayError as exc:
        return Explanation(model, region, rules, name, "", "", (), exc.message)
    strategy = type(balance.chooser.strategy).__name__
    problem = "" if first else "none of the targets takes this call"
    return Explanation(model, region, rules, name, strategy, first, candidates, problem)


def _rules(registry: Registry, call: Call) -> tuple[list[RuleSeen], str]:
    """What becomes of each rule, and the name that answers."""
    steering, model = registry.steering, call.envelope.model
    if steering is None:
        return [], model
    facts = steering.facts(call)
    seen: list[RuleSeen] = []
    answers = ""
    for rule in steering.rules:
        name = rule.leads_to(model)
        outcome = "does not hold"
        if answers:
            outcome = "comes too late"
        elif steering.holds(rule, name, facts):
            outcome = _decides(registry, call, name)
            answers = name if outcome == "decides" else ""
        seen.append(RuleSeen(rule.when.text, name, outcome, facts.named(rule.when.names)))
    return seen, answers or model


def _decides(registry: Registry, call: Call, name: str) -> str:
    try:
        target = registry.steered(call.envelope.model, name, call.caller)
    except GatewayError as exc:
        return exc.message
    return "decides" if target is not None else f"is passed over: nobody offers {name!r}"


def _choice_in(target: Target) -> Balance | None:
    """The choice that the layers of a whole call are round."""
    inner: object = target
    for _ in range(MAX_DEPTH):
        if isinstance(inner, Balance) or inner is None:
            return inner
        inner = getattr(inner, "_inner", None)
    return None


def _candidates(balance: Balance, call: Call) -> tuple[str, list[CandidateSeen]]:
    """Who is asked first, and what becomes of each."""
    chooser = balance.chooser
    choice = Choice(chooser, call)
    order = [each.name for each in iter(choice.next, None)]
    takes = {each.name for tier in chooser.tiers_for(call) for each in tier}
    everybody = [each for tier in chooser.tiers for each in tier]
    outcomes = {each.name: _outcome(chooser, call, each, order, takes) for each in everybody}
    ranked = sorted(
        everybody, key=lambda each: order.index(each.name) if each.name in order else len(order)
    )
    return (order[0] if order else ""), [_seen(each, outcomes[each.name]) for each in ranked]


def _outcome(
    chooser: Chooser, call: Call, candidate: Candidate, order: Sequence[str], takes: set[str]
) -> str:
    if candidate.name in order:
        place = order.index(candidate.name)
        return "is asked first" if place == 0 else f"is asked as number {place + 1}"
    if candidate.name in takes:
        waits_s = candidate.health.waits_s(chooser.now())
        return f"is left alone for {waits_s:.1f} s" if waits_s else "is not reached"
    facts = Facts(call, chooser.world).about(candidate)
    if candidate.when is not None and not candidate.when.holds(facts):
        return f"its `when` does not hold: {candidate.when.text}"
    request = request_of(call) if chooser.by_capability else None
    lacks = capability.missing(request, candidate.traits.profile) if request is not None else ""
    return lacks or "is not in the caller's region"


def _seen(candidate: Candidate, outcome: str) -> CandidateSeen:
    health = candidate.health
    return CandidateSeen(
        candidate.name,
        outcome,
        candidate.tier,
        candidate.weight,
        health.state,
        round(candidate.error_rate, 3),
        candidate.in_flight,
        round(candidate.latency_ms, 1),
        round(candidate.price, 4),
        sorted(candidate.traits.regions),
    )
