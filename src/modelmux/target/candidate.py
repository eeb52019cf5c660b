"""Candidates: targets that could answer a call, with what is known of them."""

from decimal import Decimal
from typing import Final, Protocol

from msgspec import Struct

from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.response import Usage
from modelmux.target.base import Target
from modelmux.target.health import TargetHealth
from modelmux.target.rules import Condition


class Tariff(Protocol):
    """What tokens cost."""

    def cost_usd(self, usage: Usage, /) -> Decimal | None:
        """US dollars; `None` where a rate that it needs is not known."""
        ...


class Traits(Struct, frozen=True):
    """What is known of a target beside how it fares."""

    profile: Profile = UNKNOWN
    tariff: Tariff | None = None
    regions: frozenset[str] = frozenset()
    """The regions it is in; empty: not known."""
    is_here: bool = False
    """It is the gateway itself that answers, and no data leaves it."""


NO_TRAITS: Final = Traits()

_MILLION: Final = 1_000_000


class Standing:
    """What is known of one target: how it fares, what it can do and costs.

    Attributes:
        name: Its name: `provider/model`, or that of another choice.
        health: How it fares.
        traits: What it can do, costs, and where it is.
    """

    __slots__ = ("health", "name", "traits")

    def __init__(self, name: str, health: TargetHealth, traits: Traits = NO_TRAITS) -> None:
        self.name = name
        self.health = health
        self.traits = traits

    @property
    def latency_ms(self) -> float:
        """Milliseconds until its answers begin, as of late; 0: not known."""
        return self.health.latency(stream=True).seconds * 1000

    @property
    def error_rate(self) -> float:
        """Share of its last calls that failed, from 0 to 1."""
        return self.health.error_rate

    @property
    def in_flight(self) -> int:
        """Calls that it is answering."""
        return self.health.in_flight

    @property
    def price(self) -> float:
        """US dollars for a million tokens of a prompt; 0: not known."""
        return self.cost_usd(_MILLION, 0) or 0.0

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float | None:
        """What a call of that size costs; `None`: not known."""
        if self.traits.tariff is None:
            return None
        cost = self.traits.tariff.cost_usd(Usage(input_tokens, output_tokens))
        return None if cost is None else float(cost)


class Candidate(Standing):
    """One of several that could answer.

    Attributes:
        target: Who answers.
        weight: Its share of the calls, for strategies that balance.
        tier: Of those with the lowest tier one is chosen, as long as there is one.
        when: The calls that may go to it; `None`: all.
    """

    __slots__ = ("target", "tier", "weight", "when")

    def __init__(
        self,
        target: Target,
        health: TargetHealth,
        *,
        weight: float = 1.0,
        tier: int = 0,
        when: Condition | None = None,
        traits: Traits = NO_TRAITS,
    ) -> None:
        super().__init__(target.name, health, traits)
        self.target = target
        self.weight = weight
        self.tier = tier
        self.when = when
