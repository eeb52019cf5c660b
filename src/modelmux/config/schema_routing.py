"""What a configuration can say of who answers: models, strategies, rules, regions, breakers."""

from typing import Annotated, Literal

from msgspec import Meta

from modelmux.config.table import Limit, Name, Seconds, Table

Strategy = Annotated[
    Literal[
        "priority",
        "round_robin",
        "weighted",
        "least_connections",
        "latency",
        "cost",
        "availability",
        "geographic",
        "model_specific",
        "hybrid",
        "custom",
    ],
    Meta(extra={"aliases": {"cost_optimized": "cost"}}),
]
PlainStrategy = Annotated[
    Literal[
        "priority",
        "round_robin",
        "weighted",
        "least_connections",
        "latency",
        "cost",
        "availability",
    ],
    Meta(extra={"aliases": {"cost_optimized": "cost"}}),
]
Share = Annotated[float, Meta(ge=0, le=1)]
Weight = Annotated[float, Meta(gt=0)]


class WeightedTarget(Table, frozen=True):
    """A target with its share of the calls, and the calls that it takes."""

    target: Name
    """`provider/model`, or the name of a model."""
    weight: Weight = 1.0
    """Share of the calls, for strategies that balance."""
    when: str = ""
    """Rule (CEL) that must hold of a call and of this target; empty: every call."""


class MirrorTarget(Table, frozen=True):
    """A target that gets copies of calls; its answers are dropped."""

    target: Name
    """`provider/model`, or the name of a model."""
    share: Share = 1.0
    """How many of the calls are copied, from 0 to 1."""
    when: str = ""
    """Rule (CEL) for the calls that are; empty: every call."""


class FallbackFor(Table, frozen=True):
    """Who answers, in this order, what the target chosen refused. Empty: nobody else is asked."""

    context_length: tuple[Name, ...] = ()
    """A prompt that is too long for it. Without this, those of `targets` and `fallback` are asked
    that are known to take more."""
    content_policy: tuple[Name, ...] = ()
    """What it will not answer."""
    capability: tuple[Name, ...] = ()
    """What it cannot do, or cannot be told, when no other of `targets` and `fallback` could."""


class Hedge(Table, frozen=True):
    """A second target is asked when the first is slower than it mostly is. First answer wins."""

    enabled: bool = False
    """Whether."""
    percentile: Annotated[float, Meta(gt=0, lt=100)] = 95.0
    """After the time in which this share of its last answers, in percent, had begun."""
    min_delay_ms: Limit = 50
    """Never sooner than after so many milliseconds."""
    max_delay_ms: Annotated[int, Meta(ge=1)] = 60_000
    """Never later, once its times are known."""
    budget: Share = 0.1
    """Most second requests for each call, over time."""


class Model(Table, frozen=True):
    """A name callers may ask for, and who answers."""

    name: Name
    """What callers ask for."""
    strategy: Strategy = "priority"
    """How one of `targets` is chosen. priority: in the order written."""
    targets: tuple[str | WeightedTarget, ...] = ()
    """Who answers: `provider/model`, or the name of a model."""
    fallback: tuple[Name, ...] = ()
    """Who answers, in this order, when no target did."""
    fallback_for: FallbackFor = FallbackFor()
    """Who answers what was refused for a reason."""
    then: PlainStrategy = "priority"
    """`hybrid`: how one is chosen of the targets without a `when`, where none with one fits."""
    custom: str = ""
    """`custom`: a Python entry point of the group `modelmux.strategies`, or `module:name`."""
    affinity: Literal["none", "session", "prompt"] = "none"
    """Which calls go to the same target, as long as it is well. session: those with the same
    `x-modelmux-session` or end user. prompt: those whose prompts begin the same way."""
    hedge: Hedge = Hedge()
    """Whether a second target is asked when the first is slow."""
    mirror: tuple[str | MirrorTarget, ...] = ()
    """Who gets copies of calls, for comparison."""

    @property
    def target_names(self) -> tuple[str, ...]:
        """The targets in the order written, without their weights and without `fallback`."""
        return tuple(
            each.target if isinstance(each, WeightedTarget) else each for each in self.targets
        )


class RoutingFallback(Table, frozen=True):
    """What happens when the target chosen fails before its answer began."""

    enabled: bool = True
    """Whether the next one is tried."""
    max_retries: Limit = 3
    """How many more are tried."""
    backoff: Literal["exponential"] = "exponential"
    """How waits between tries grow."""


class Rule(Table, frozen=True):
    """Calls of which `when` is true are answered as the rule says. The first that fits decides."""

    EXCLUSIVE = (("target", "provider", "model"),)

    when: Name
    """Rule (CEL) over the facts of a call."""
    target: str = ""
    """`provider/model` that answers."""
    provider: str = ""
    """Provider that answers with the model asked for."""
    model: str = ""
    """Name of a model that answers."""


class Breaker(Table, frozen=True):
    """When calls go elsewhere because a target fails."""

    enabled: bool = True
    """Whether they do."""
    failures: Annotated[int, Meta(ge=1)] = 5
    """So many failures in a row open a target's breaker."""
    error_rate: Annotated[float, Meta(gt=0, le=1)] = 0.5
    """So large a share of failures among its last calls opens it."""
    min_calls: Annotated[int, Meta(ge=1)] = 20
    """Fewer calls than this have no such share."""
    window_s: Annotated[float, Meta(gt=0, le=3600)] = 30.0
    """How far back its last calls go, in seconds."""
    open_s: Annotated[float, Meta(gt=0, le=3600)] = 5.0
    """How long it stays open before one call is tried; twice as long each time that fails."""
    max_open_s: Annotated[float, Meta(gt=0, le=3600)] = 60.0
    """Longest time that it stays open."""
    probes: Annotated[int, Meta(ge=1)] = 1
    """So many answers in a row close it."""
    slow_start_s: Seconds = 20.0
    """After that: how long until it has its full share of calls again."""


class HealthCheck(Table, frozen=True):
    """Asking providers whether they would answer, apart from any call."""

    enabled: bool = False
    """Whether. Without, calls themselves are what finds out."""
    interval_s: Annotated[float, Meta(ge=1, le=3600)] = 30.0
    """How often each is asked; a list of models is what is asked for."""


class Routing(Table, frozen=True):
    """Who answers, and what happens when they fail."""

    strategy: Strategy = "priority"
    """How one of several providers of equal priority that offer the model is chosen. hybrid: as
    `rules` say, else in the order of the file."""
    custom: str = ""
    """`custom`: a Python entry point of the group `modelmux.strategies`, or `module:name`."""
    default: str = ""
    """Target for a model nobody offers; empty: the caller gets 404 with the nearest names."""
    rules: tuple[Rule, ...] = ()
    """Rules that decide before any name does."""
    geographic: bool = False
    """Whether targets near to the caller come first, with every strategy."""
    data_residency: Literal["off", "enforced"] = "off"
    """enforced: only targets in the caller's region answer."""
    region: str = ""
    """Where callers are of whom nothing else is known."""
    fallback: RoutingFallback = RoutingFallback()
    """When the one chosen fails."""
    breaker: Breaker = Breaker()
    """When a target is left alone for a while."""
    health_check: HealthCheck = HealthCheck()
    """Asking whether providers are there."""


class Region(Table, frozen=True):
    """A region: who answers in it, and which callers are in it."""

    name: Name
    """What it is called; providers whose `region` is this name are in it too."""
    providers: tuple[Name, ...] = ()
    """Names of the providers in it."""
    callers: tuple[Name, ...] = ()
    """Other words for it, names or globs (`eu-*`), that keys, listeners and callers may use."""
    near: tuple[Name, ...] = ()
    """Regions to turn to when nobody in it answers, the nearest first."""
