import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal

from prometheus_client.parser import text_string_to_metric_families

from modelmux.errors import RateLimited
from modelmux.ir.response import Usage
from modelmux.target.health import HealthBook
from modelmux.target.record import CallRecord
from modelmux.telemetry.exposition import Connections, Exposition
from modelmux.telemetry.metrics import Metrics

ANSWERED = CallRecord(
    "c1",
    wire="openai.chat",
    model="fast",
    target="openai/gpt",
    usage=Usage(10, 5, cache_read_input_tokens=4),
    cost_usd=Decimal("0.25"),
    stream=True,
    first_s=0.3,
    duration_s=1.5,
    overhead_s=0.0004,
)
FAILED = CallRecord(
    "c2",
    wire="openai.chat",
    target="openai/gpt",
    outcome="error",
    status=502,
    error_kind="unavailable",
    attempts=3,
)


class Waiting:
    """What stands at a provider's gate."""

    waiting = 2
    waited = 5
    waited_s = 7.5
    refused = 1


def exposition(metrics: Metrics) -> Exposition:
    return Exposition(
        metrics,
        connections=lambda: [Connections("openai", 2, 3)],
        queues=lambda: [("openai", Waiting())],
        health=HealthBook(lambda: 0.0),
        dropped_log_lines=lambda: 7,
        version="1.2.3",
    )


def samples(metrics: Metrics) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    text = exposition(metrics).text().decode()

    def each() -> Iterator[tuple[tuple[str, frozenset[tuple[str, str]]], float]]:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                yield (sample.name, frozenset(sample.labels.items())), sample.value

    return dict(each())


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return samples(metrics)[name, frozenset(labels.items())]


def counted() -> Metrics:
    metrics = Metrics()
    metrics.in_flight = 4
    metrics.count(ANSWERED)
    metrics.count(FAILED)
    metrics.retried("openai/gpt", RateLimited("429"))
    return metrics


TARGET = {"provider": "openai", "model": "gpt"}
REQUEST = {"wire": "openai.chat", **TARGET}


def test_requests_have_wire_provider_model_and_status():
    metrics = counted()
    assert value(metrics, "modelmux_requests_total", **REQUEST, status="200") == 1
    assert value(metrics, "modelmux_requests_total", **REQUEST, status="502") == 1
    assert value(metrics, "modelmux_failures_total", **REQUEST, kind="unavailable") == 1
    assert value(metrics, "modelmux_in_flight") == 4


def test_times_are_histograms_in_seconds():
    metrics = counted()
    name = "modelmux_request_duration_seconds"
    assert value(metrics, f"{name}_bucket", **REQUEST, le="1.0") == 1
    assert value(metrics, f"{name}_bucket", **REQUEST, le="2.5") == 2
    assert value(metrics, f"{name}_count", **REQUEST) == 2
    assert value(metrics, f"{name}_sum", **REQUEST) == 1.5
    assert value(metrics, "modelmux_time_to_first_token_seconds_count", **REQUEST) == 1
    assert value(metrics, "modelmux_overhead_seconds_bucket", wire="openai.chat", le="0.0005") == 1
    assert value(metrics, "modelmux_overhead_seconds_bucket", wire="openai.chat", le="0.0002") == 0


def test_targets_have_attempts_retries_tokens_and_cost():
    metrics = counted()
    assert value(metrics, "modelmux_attempts_total", **TARGET, outcome="ok") == 1
    assert value(metrics, "modelmux_attempts_total", **TARGET, outcome="error") == 3
    assert value(metrics, "modelmux_retries_total", **TARGET) == 1
    assert value(metrics, "modelmux_tokens_total", **TARGET, type="input") == 6
    assert value(metrics, "modelmux_tokens_total", **TARGET, type="cache_read") == 4
    assert value(metrics, "modelmux_tokens_total", **TARGET, type="output") == 5
    assert value(metrics, "modelmux_cost_usd_total", **TARGET) == 0.25


def test_connections_lost_lines_and_the_version_are_asked_for_at_the_moment():
    metrics = counted()
    name = "modelmux_upstream_connections"
    assert value(metrics, name, provider="openai", state="busy") == 2
    assert value(metrics, name, provider="openai", state="idle") == 3
    assert value(metrics, "modelmux_log_lines_dropped_total") == 7
    assert value(metrics, "modelmux_build", version="1.2.3") == 1


def test_the_process_is_told_of():
    assert value(Metrics(), "process_resident_memory_bytes") > 0


def test_before_anything_has_happened_there_is_something_to_read():
    assert value(Metrics(), "modelmux_in_flight") == 0


def test_two_gateways_in_one_process_do_not_meet():
    one, other = counted(), Metrics()
    assert value(one, "modelmux_in_flight") == 4
    assert value(other, "modelmux_in_flight") == 0


def test_its_library_is_not_loaded_before_it_is_asked_for():
    code = (
        "import sys, modelmux.telemetry.metrics, modelmux.telemetry.log, modelmux.telemetry.lines;"
        "sys.exit('prometheus_client' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_waits_for_limits_and_what_was_sent_away_is_told():
    metrics = Metrics()
    metrics.shed = 3
    found = samples(metrics)
    provider = frozenset({("provider", "openai")})
    assert found["modelmux_limit_waiting", provider] == 2
    assert found["modelmux_limit_waits_total", provider] == 5
    assert found["modelmux_limit_wait_seconds_total", provider] == 7.5
    assert found["modelmux_limit_refusals_total", provider] == 1
    assert found["modelmux_shed_total", frozenset()] == 3
