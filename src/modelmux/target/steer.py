"""Steering by rules: who answers a call is decided by what is true of it, before its model is."""

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from modelmux.target.call import Call
from modelmux.target.facts import OF_CANDIDATE, CandidateFacts, Facts, World
from modelmux.target.rules import Condition


class Rule(Struct, frozen=True):
    """Calls of which the condition is true go where the rule says. One of the three is set."""

    when: Condition
    target: str = ""
    """`provider/model`."""
    provider: str = ""
    """The model that was asked for, of this provider."""
    model: str = ""
    """Another name that callers may ask for."""

    def leads_to(self, model: str) -> str:
        """The name that answers a call for `model`."""
        return self.target or self.model or f"{self.provider}/{model}"


class Steering:
    """The rules, in their order."""

    def __init__(
        self,
        rules: Sequence[Rule],
        world: World,
        candidate: Callable[[str], CandidateFacts | None],
    ) -> None:
        """Take the rules.

        Args:
            rules: The first that holds decides.
            world: What is not in a call itself.
            candidate: What is known of a target by its full name.
        """
        self.rules = tuple(rules)
        self._world = world
        self._candidate = candidate

    def matches(self, call: Call) -> Iterator[tuple[Rule, str]]:
        """The rules that hold for `call`, each with the name it leads to, the first one first."""
        facts = Facts(call, self._world)
        model = call.envelope.model
        for rule in self.rules:
            name = rule.leads_to(model)
            if self.holds(rule, name, facts):
                yield rule, name

    def holds(self, rule: Rule, name: str, facts: Facts) -> bool:
        """Whether a rule that leads to `name` holds; a target's facts are those of `name`."""
        if not OF_CANDIDATE.isdisjoint(rule.when.names):
            candidate = self._candidate(name)
            if candidate is not None:
                facts = facts.about(candidate)
        return rule.when.holds(facts)

    def facts(self, call: Call) -> Facts:
        """The facts of `call`, for whoever explains."""
        return Facts(call, self._world)
