"""How targets fare, as Prometheus metrics. Import it with `exposition` only."""

from collections.abc import Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from modelmux.target.counts import ChoiceCounts
from modelmux.target.health import TargetHealth
from modelmux.telemetry.metrics import MAX_MODELS

_TARGET = ("provider", "model")
_STATES = {"closed": 0, "half_open": 1, "open": 2}


def of_targets(targets: Iterable[TargetHealth]) -> Iterator[Metric]:
    """Breakers, error rates, times and load of each target that was asked."""
    state = GaugeMetricFamily(
        "modelmux_breaker_state",
        "0: closed, 1: half open, 2: open, and calls go elsewhere.",
        labels=_TARGET,
    )
    opened = CounterMetricFamily(
        "modelmux_breaker_opened", "How often a target's breaker opened.", labels=_TARGET
    )
    errors = GaugeMetricFamily(
        "modelmux_target_error_rate", "Share of the last calls that failed.", labels=_TARGET
    )
    in_flight = GaugeMetricFamily(
        "modelmux_target_in_flight", "Calls a target is answering.", labels=_TARGET
    )
    latency = GaugeMetricFamily(
        "modelmux_target_latency_seconds",
        "Average time until an answer begins, slow ones counting at once.",
        labels=(*_TARGET, "stream"),
    )
    # Those in trouble first, where not all can be shown.
    ranked = sorted(_asked(targets), key=lambda each: not each.has_trouble)
    for each in ranked[:MAX_MODELS]:
        provider, slash, model = each.name.partition("/")
        labels = (provider, model) if slash else ("", provider)
        state.add_metric(labels, _STATES[each.state])
        opened.add_metric(labels, each.opened)
        errors.add_metric(labels, each.error_rate)
        in_flight.add_metric(labels, each.in_flight)
        for kind, times in (("true", each.streamed), ("false", each.whole)):
            if times.count:
                latency.add_metric((*labels, kind), times.seconds)
    yield from (state, opened, errors, in_flight, latency)


def of_choices(counts: ChoiceCounts) -> Iterator[Metric]:
    """Hedges and copies."""
    hedges = CounterMetricFamily(
        "modelmux_hedges",
        "Second requests: made, and those of them that answered first.",
        labels=("outcome",),
    )
    hedges.add_metric(("made",), counts.hedges)
    hedges.add_metric(("won",), counts.hedges_won)
    mirrors = CounterMetricFamily(
        "modelmux_mirrors",
        "Copies of calls: sent, and left out because too many were under way.",
        labels=("outcome",),
    )
    mirrors.add_metric(("sent",), counts.mirrored)
    mirrors.add_metric(("dropped",), counts.mirrors_dropped)
    yield from (hedges, mirrors)


def _asked(targets: Iterable[TargetHealth]) -> Iterator[TargetHealth]:
    """Those who have been asked: of the others there is nothing to tell."""
    for each in targets:
        if each.has_trouble or each.in_flight or each.answers:
            yield each
