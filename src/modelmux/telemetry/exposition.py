"""The counts as Prometheus metrics. Import it when they are asked for: its library is slow to load.

| Metric | Labels | Is |
|---|---|---|
| `modelmux_requests_total` | wire, provider, model, status | callers' requests that are over |
| `modelmux_failures_total` | wire, provider, model, kind | those that failed, by kind of error |
| `modelmux_in_flight` | | requests under way |
| `modelmux_request_duration_seconds` | wire, provider, model | from coming in to the end |
| `modelmux_time_to_first_token_seconds` | wire, provider, model | to a stream's first event |
| `modelmux_overhead_seconds` | wire | the gateway's own time until the answer began |
| `modelmux_attempts_total` | provider, model, outcome | tries of a target |
| `modelmux_retries_total` | provider, model | tries after the first |
| `modelmux_tokens_total` | provider, model, type | classes apart: their sum is all |
| `modelmux_cost_usd_total` | provider, model | where the price is known |
| `modelmux_breaker_state` | provider, model | 0 closed, 1 half open, 2 open |
| `modelmux_breaker_opened_total` | provider, model | how often a breaker opened |
| `modelmux_target_error_rate` | provider, model | share of the last calls that failed |
| `modelmux_target_in_flight` | provider, model | calls a target is answering |
| `modelmux_target_latency_seconds` | provider, model, stream | until an answer begins |
| `modelmux_hedges_total` | outcome | second requests: `made`, `won` |
| `modelmux_mirrors_total` | outcome | copies: `sent`, `dropped` |
| `modelmux_upstream_connections` | provider, state | `busy` and `idle` |
| `modelmux_limit_waiting` | provider | calls that wait because of a limit |
| `modelmux_limit_waits_total` | provider | calls that had to |
| `modelmux_limit_wait_seconds_total` | provider | how long they did, together |
| `modelmux_limit_refusals_total` | provider | calls that were not sent because of a limit |
| `modelmux_shed_total` | | calls sent away because the gateway had too much to do |
| `modelmux_log_lines_dropped_total` | | log lines that were not written |
| `modelmux_reloads_total` | outcome | reloads: `ok`, `error` |

Beside them those of the process (CPU, memory, descriptors), where the system tells them.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector
from typing_extensions import override

from modelmux.target.health import HealthBook
from modelmux.telemetry.health_metrics import of_choices, of_targets
from modelmux.telemetry.metrics import TOKEN_TYPES, Metrics

_TARGET = ("provider", "model")
_REQUEST = ("wire", *_TARGET)


class Connections(NamedTuple):
    """Upstream connections of one provider."""

    provider: str
    busy: int
    idle: int


class Queue(Protocol):
    """Calls that wait because of one provider's limits."""

    @property
    def waiting(self) -> int: ...

    @property
    def waited(self) -> int: ...

    @property
    def waited_s(self) -> float: ...

    @property
    def refused(self) -> int: ...


class Exposition(Collector):
    """The text of `GET /metrics`, made anew each time it is asked for."""

    def __init__(
        self,
        metrics: Metrics,
        *,
        connections: Callable[[], Iterable[Connections]],
        queues: Callable[[], Iterable[tuple[str, Queue]]],
        health: HealthBook,
        dropped_log_lines: Callable[[], int],
        version: str,
    ) -> None:
        """Show `metrics`, and what the callbacks say at the moment."""
        self._metrics = metrics
        self._connections = connections
        self._queues = queues
        self._health = health
        self._dropped_log_lines = dropped_log_lines
        self._version = version
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """All metrics in Prometheus's text format 0.0.4."""
        return generate_latest(self._registry)

    @override
    def collect(self) -> Iterator[Metric]:
        yield from self._of_requests()
        yield from self._of_targets()
        yield from of_targets(self._health)
        yield from of_choices(self._health.counts)
        yield from self._of_limits()
        yield from self._of_the_process()

    def _of_requests(self) -> Iterator[Metric]:
        requests = CounterMetricFamily(
            "modelmux_requests", "Requests that are over.", labels=(*_REQUEST, "status")
        )
        failures = CounterMetricFamily(
            "modelmux_failures", "Requests that failed.", labels=(*_REQUEST, "kind")
        )
        duration = HistogramMetricFamily(
            "modelmux_request_duration_seconds",
            "From a request's coming in to the end of its answer.",
            labels=_REQUEST,
        )
        first = HistogramMetricFamily(
            "modelmux_time_to_first_token_seconds",
            "From a request's coming in to the first event of its streamed answer.",
            labels=_REQUEST,
        )
        for counts in self._metrics.by_wire_and_target:
            labels = (counts.wire, counts.target.provider, counts.target.model)
            for status, count in counts.statuses.items():
                requests.add_metric((*labels, str(status)), count)
            for kind, count in counts.failures.items():
                failures.add_metric((*labels, kind), count)
            duration.add_metric(labels, counts.duration.cumulative(), counts.duration.sum)
            first.add_metric(labels, counts.first.cumulative(), counts.first.sum)
        overhead = HistogramMetricFamily(
            "modelmux_overhead_seconds",
            "The gateway's own part of the time until an answer began.",
            labels=("wire",),
        )
        for wire, histogram in self._metrics.overheads.items():
            overhead.add_metric((wire,), histogram.cumulative(), histogram.sum)
        yield from (requests, failures, duration, first, overhead)
        yield GaugeMetricFamily(
            "modelmux_in_flight", "Requests under way.", value=self._metrics.in_flight
        )

    def _of_targets(self) -> Iterator[Metric]:
        attempts = CounterMetricFamily(
            "modelmux_attempts", "Tries of a target.", labels=(*_TARGET, "outcome")
        )
        retries = CounterMetricFamily(
            "modelmux_retries", "Tries of a target after the first.", labels=_TARGET
        )
        tokens = CounterMetricFamily(
            "modelmux_tokens",
            "Tokens, each in one type only: the sum of all types is all there was.",
            labels=(*_TARGET, "type"),
        )
        cost = CounterMetricFamily(
            "modelmux_cost_usd", "Cost in US dollars, where the price is known.", labels=_TARGET
        )
        for counts in self._metrics.targets:
            labels = (counts.provider, counts.model)
            for outcome, count in counts.attempts.items():
                attempts.add_metric((*labels, outcome), count)
            retries.add_metric(labels, counts.retries)
            for token_type, count in zip(TOKEN_TYPES, counts.tokens, strict=True):
                tokens.add_metric((*labels, token_type), count)
            cost.add_metric(labels, float(counts.cost_usd))
        yield from (attempts, retries, tokens, cost)

    def _of_limits(self) -> Iterator[Metric]:
        provider = ("provider",)
        waiting = GaugeMetricFamily(
            "modelmux_limit_waiting", "Calls that wait because of a limit.", labels=provider
        )
        waits = CounterMetricFamily(
            "modelmux_limit_waits", "Calls that had to wait.", labels=provider
        )
        seconds = CounterMetricFamily(
            "modelmux_limit_wait_seconds", "How long they did, together.", labels=provider
        )
        refusals = CounterMetricFamily(
            "modelmux_limit_refusals",
            "Calls that were not sent because of a limit.",
            labels=provider,
        )
        for name, queue in self._queues():
            labels = (name,)
            waiting.add_metric(labels, queue.waiting)
            waits.add_metric(labels, queue.waited)
            seconds.add_metric(labels, queue.waited_s)
            refusals.add_metric(labels, queue.refused)
        yield from (waiting, waits, seconds, refusals)

    def _of_the_process(self) -> Iterator[Metric]:
        connections = GaugeMetricFamily(
            "modelmux_upstream_connections",
            "Connections to providers.",
            labels=("provider", "state"),
        )
        for provider, busy, idle in self._connections():
            connections.add_metric((provider, "busy"), busy)
            connections.add_metric((provider, "idle"), idle)
        yield connections
        yield CounterMetricFamily(
            "modelmux_log_lines_dropped",
            "Log lines that were not written.",
            value=self._dropped_log_lines(),
        )
        yield CounterMetricFamily(
            "modelmux_shed",
            "Calls sent away because the gateway had too much to do.",
            value=self._metrics.shed,
        )
        reloads = CounterMetricFamily(
            "modelmux_reloads",
            "Reloads of the configuration; one that failed changed nothing.",
            labels=("outcome",),
        )
        for outcome, count in self._metrics.reloads.items():
            reloads.add_metric((outcome,), count)
        yield reloads
        build = GaugeMetricFamily("modelmux_build", "1, by version.", labels=("version",))
        build.add_metric((self._version,), 1)
        yield build
