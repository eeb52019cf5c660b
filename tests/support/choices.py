"""Choices among fake targets, with a clock that stands still."""

from collections.abc import Callable, Sequence
from itertools import cycle
from typing import TypedDict

from typing_extensions import Unpack

from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.layer.watch import Watch
from modelmux.target.balance import Balance
from modelmux.target.base import Target
from modelmux.target.candidate import Candidate, Tariff, Traits
from modelmux.target.choice import Chooser, Tiers
from modelmux.target.facts import World
from modelmux.target.health import BreakerPolicy, HealthBook
from modelmux.target.hedge import Hedge
from modelmux.target.regions import Regions
from modelmux.target.rules import compile_condition
from modelmux.target.strategy import Priority, Strategy
from tests.support.targets import FakeClock

WORLD = World(hour=lambda: 12)


class Choosing(TypedDict, total=False):
    """What a `Chooser` may be told beside its candidates."""

    strategy: Strategy
    regions: Regions
    geographic: bool
    by_capability: bool
    rules_first: bool
    max_tries: int
    specials: dict[str, Sequence[Candidate]]
    is_plain: bool
    rng: Callable[[], float]


class House:
    """Where candidates live: a clock, and the book of their health."""

    def __init__(self, policy: BreakerPolicy | None = None) -> None:
        self.clock = FakeClock()
        self.book = HealthBook(self.clock, policy)

    def candidate(
        self,
        target: Target,
        *,
        weight: float = 1.0,
        tier: int = 0,
        when: str = "",
        profile: Profile = UNKNOWN,
        tariff: Tariff | None = None,
        regions: Sequence[str] = (),
        is_here: bool = False,
    ) -> Candidate:
        """A candidate whose health is kept."""
        health = self.book.of(target.name)
        return Candidate(
            Watch(target, health=health, now=self.clock),
            health,
            weight=weight,
            tier=tier,
            when=compile_condition(when) if when else None,
            traits=Traits(profile, tariff, frozenset(regions), is_here),
        )

    def chooser(self, tiers: Tiers, **more: Unpack[Choosing]) -> Chooser:
        """How one of them is chosen: by default in the order given."""
        settings: Choosing = {
            "strategy": Priority(),
            "regions": Regions(),
            "max_tries": 10,
            "rng": chances(0.5),
            **more,
        }
        return Chooser(tiers=tiers, now=self.clock, world=WORLD, **settings)  # type: ignore[arg-type]

    def balance(
        self, *candidates: Candidate, hedge: Hedge | None = None, **more: Unpack[Choosing]
    ) -> Balance:
        """A choice among `candidates`, in tiers if they say so."""
        tiers = [
            [each for each in candidates if each.tier == tier]
            for tier in sorted({each.tier for each in candidates})
        ]
        return Balance("chain", self.chooser(tiers, **more), hedge=hedge)


def balance(*members: Target, **more: Unpack[Choosing]) -> Balance:
    """A choice among targets that are all well."""
    house = House()
    return house.balance(*[house.candidate(each) for each in members], **more)


def chances(*numbers: float) -> Callable[[], float]:
    """Random numbers that are known."""
    found = cycle(numbers)
    return lambda: next(found)
