"""Who answers, as the configuration says: its models, rules and regions as objects."""

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from msgspec import Struct

from modelmux.config import strategies
from modelmux.config.providers import Built
from modelmux.config.schema import Config
from modelmux.config.schema_routing import Model, Routing, WeightedTarget
from modelmux.ir.profile import UNKNOWN
from modelmux.ir.response import Usage
from modelmux.layer.record import Record, Recorder
from modelmux.layer.watch import Watch
from modelmux.provider import echo
from modelmux.target import affinity
from modelmux.target.balance import Balance
from modelmux.target.base import Layer, Target, compose
from modelmux.target.call import Call
from modelmux.target.candidate import Candidate, Standing, Traits
from modelmux.target.choice import Chooser
from modelmux.target.facts import CandidateFacts, World
from modelmux.target.health import BreakerPolicy, HealthBook
from modelmux.target.hedge import Hedge, HedgePolicy
from modelmux.target.mirror import Background, Mirror, Shadow
from modelmux.target.refusal import Reason
from modelmux.target.regions import Region, Regions
from modelmux.target.registry import Entry, Member, Plan, Registry, Role
from modelmux.target.rules import Condition, compile_condition
from modelmux.target.steer import Rule, Steering
from modelmux.target.strategy import EXPECTED_OUTPUT_TOKENS, Strategy

_REASONS: tuple[Reason, ...] = ("context_length", "content_policy", "capability")


class Alias(Struct, frozen=True):
    """A name of `[[models]]`."""

    name: str
    entries: Mapping[Role, Sequence[Entry]]
    said: Model

    @property
    def is_plain(self) -> bool:
        """It is only a list, in order."""
        said = self.said
        is_list = said.strategy == "priority" and len(self.entries) == 1
        return is_list and not said.fallback and said.affinity == "none" and not said.hedge.enabled


class Clock(Struct, frozen=True):
    """Time and chance, so that nobody depends on them in tests."""

    now: Callable[[], float]
    """Monotonic, the event loop's."""
    rng: Callable[[], float]
    """Random numbers of at least 0 and below 1."""


def aliases(config: Config) -> list[Alias]:
    """The names of `[[models]]`. Raises `ConfigError`."""
    return [_alias(model, config) for model in config.models]


def regions(config: Config) -> Regions:
    """Where callers and providers are."""
    routing = config.routing
    return Regions(
        [
            Region(each.name, frozenset(each.providers), each.callers, each.near)
            for each in config.regions
        ],
        default=routing.region,
        enforced=routing.data_residency == "enforced",
    )


def breaker_policy(routing: Routing) -> BreakerPolicy:
    """When breakers open and close."""
    said = routing.breaker
    return BreakerPolicy(
        said.enabled,
        said.failures,
        said.error_rate,
        said.min_calls,
        said.window_s,
        said.open_s,
        said.max_open_s,
        said.probes,
        said.slow_start_s,
        routing.health_check.enabled,
    )


class Router:
    """Makes the routes of one configuration."""

    def __init__(
        self,
        config: Config,
        built: Built,
        recorder: Recorder,
        health: HealthBook,
        retries: Sequence[Layer],
        clock: Clock,
    ) -> None:
        """Begin.

        Args:
            config: What it says.
            built: Its providers.
            recorder: Makes the records.
            health: How targets fare.
            retries: The layers between a whole call's record and its targets.
            clock: Time and chance.
        """
        self._config = config
        self._built = built
        self._recorder = recorder
        self._health = health
        self._retries = tuple(retries)
        self._clock = clock
        self.regions = regions(config)
        self._regions_of = {each.name: each.region for each in config.providers}
        self._registry: Registry | None = None
        self.background = Background(health.counts)
        self.world = World(_hour, self.regions.of_call, self._cost_usd)

    def registry(self) -> Registry:
        """Everything that can be asked for.

        Raises:
            ConfigError: A name leads nowhere, or a rule cannot be used.
        """
        rules = [
            Rule(compile_condition(each.when), each.target, each.provider, each.model)
            for each in self._config.routing.rules
        ]
        self._registry = Registry(
            self._built.offers,
            aliases(self._config),
            self.combine,
            built_in={echo.NAME: echo.Echo(time.time)},
            default=self._config.routing.default,
            steering=Steering(rules, self.world, self._facts_of),
        )
        return self._registry

    def combine(self, plan: Plan) -> Target:
        """One target of a plan, round it `record, mirror, retry` (ADR 11)."""
        said = plan.alias.said if isinstance(plan.alias, Alias) else None
        target = self._one_of(plan, said)
        record = partial(Record, recorder=self._recorder, composite=isinstance(target, Balance))
        if plan.is_nested:
            if isinstance(target, Balance):
                health = self._health.of(target.name)
                target = Watch(target, health=health, now=self._clock.now)
            return compose(target, record)
        layers: list[Layer] = [record]
        if mirrors := plan.members.get("mirror"):
            layers.append(partial(self._mirror, mirrors))
        return compose(target, *layers, *self._retries)

    def _one_of(self, plan: Plan, said: Model | None) -> Target:
        """The only target there is, or one that chooses."""
        members = plan.targets
        specials: dict[Reason, Sequence[Candidate]] = {
            reason: [self._candidate(each) for each in found]
            for reason in _REASONS
            if (found := plan.members.get(reason))
        }
        word = said.strategy if said is not None else self._config.routing.strategy
        has_rules = any(member.entry.when is not None for member in members)
        is_plain = not (has_rules or self.regions.enforced or word == "model_specific")
        if len(members) == 1 and is_plain and not specials:
            return members[0].target
        is_geographic = word == "geographic" or self._config.routing.geographic
        chooser = Chooser(
            tiers=self._tiers(members),
            strategy=self._strategy(word, said),
            now=self._clock.now,
            rng=self._clock.rng,
            world=self.world,
            regions=self.regions,
            geographic=is_geographic,
            by_capability=word == "model_specific",
            rules_first=word == "hybrid",
            max_tries=self._max_tries(),
            specials=specials,
            is_plain=is_plain and not is_geographic,
        )
        return Balance(plan.name, chooser, hedge=self._hedge(said))

    def _tiers(self, members: Sequence[Member]) -> Sequence[Sequence[Candidate]]:
        tiers: dict[int, list[Candidate]] = {}
        for member in members:
            tiers.setdefault(member.entry.tier, []).append(self._candidate(member))
        return [tiers[tier] for tier in sorted(tiers)]

    def _candidate(self, member: Member) -> Candidate:
        entry, target = member.entry, member.target
        if not isinstance(target, Record):
            target = Record(target, recorder=self._recorder)
        return Candidate(
            target,
            self._health.of(target.name),
            weight=entry.weight,
            tier=entry.tier,
            when=entry.when,
            traits=self._traits(target.name),
        )

    def _traits(self, name: str) -> Traits:
        provider, _, _ = name.partition("/")
        own = self._regions_of.get(provider, "")
        return Traits(
            self._built.profile(name) or UNKNOWN,
            self._built.tariff(name),
            self.regions.of_provider(provider, own),
            is_here=name == echo.NAME,
        )

    def _strategy(self, word: str, said: Model | None) -> Strategy:
        if said is None:
            custom = self._config.routing.custom
        else:
            custom = said.custom
            word = said.then if word == "hybrid" else word
        now, rng = self._clock.now, self._clock.rng
        made = strategies.named(word, custom, now=now, rng=rng)
        match said.affinity if said is not None else "none":
            case "session":
                return affinity.Affinity(affinity.session, made)
            case "prompt":
                return affinity.Affinity(affinity.prompt, made)
            case "none":
                return made

    def _hedge(self, said: Model | None) -> Hedge | None:
        if said is None or not said.hedge.enabled:
            return None
        hedge = said.hedge
        policy = HedgePolicy(
            hedge.percentile / 100,
            hedge.min_delay_ms / 1000,
            hedge.max_delay_ms / 1000,
            hedge.budget,
        )
        return Hedge(policy, self._clock.now, self._health.counts)

    def _mirror(self, mirrors: Sequence[Member], target: Target) -> Target:
        shadows = [
            Shadow(Record(each.target, recorder=self._recorder), each.entry.share, each.entry.when)
            for each in mirrors
        ]
        return Mirror(
            target,
            shadows=shadows,
            background=self.background,
            world=self.world,
            rng=self._clock.rng,
        )

    def _max_tries(self) -> int:
        fallback = self._config.routing.fallback
        return 1 + (fallback.max_retries if fallback.enabled else 0)

    def _cost_usd(self, call: Call, tokens: int) -> float:
        """What a call may cost at whom it would go to first by its name; 0: not known."""
        if self._registry is None:
            return 0.0
        names = self._registry.targets(call.envelope.model, call.caller)
        tariff = self._built.tariff(names[0]) if names else None
        if tariff is None:
            return 0.0
        return float(tariff.cost_usd(Usage(tokens, EXPECTED_OUTPUT_TOKENS)) or 0)

    def _facts_of(self, name: str) -> CandidateFacts | None:
        """What rules may know of a target that has been asked before."""
        health = self._health.known(name)
        if health is None:
            return None
        return Standing(name, health, self._traits(name))


def _alias(model: Model, config: Config) -> Alias:
    entries: dict[Role, Sequence[Entry]] = {}
    targets = [
        Entry(each.target, each.weight, when=_condition(each.when))
        if isinstance(each, WeightedTarget)
        else Entry(each)
        for each in model.targets
    ]
    if config.routing.fallback.enabled:
        behind = [Entry(name, tier=tier) for tier, name in enumerate(model.fallback, 1)]
        entries["target"] = [*targets, *behind]
        for reason in _REASONS:
            names: Sequence[str] = getattr(model.fallback_for, reason)
            if names:
                entries[reason] = [Entry(name) for name in names]
    else:
        entries["target"] = targets
    if model.mirror:
        entries["mirror"] = [
            Entry(each)
            if isinstance(each, str)
            else Entry(each.target, share=each.share, when=_condition(each.when))
            for each in model.mirror
        ]
    return Alias(model.name, entries, model)


def _condition(text: str) -> Condition | None:
    return compile_condition(text) if text else None


def _hour() -> int:
    return time.localtime().tm_hour
