import asyncio
from collections.abc import Awaitable, Callable

import msgspec

from modelmux import __version__
from modelmux.ingress.health import METRICS_TYPE, Health, Readiness
from modelmux.ingress.http import Answer, HttpRequest

REQUEST = HttpRequest("GET", "/", b"", [], b"", 0.0)


def health(state: Readiness | None = None) -> Health:
    return Health(
        lambda: {"total_requests": 3, "success_rate": 66.7},
        lambda: state or Readiness(ready=True),
        lambda: b"modelmux_up 1\n",
    )


def ask(endpoint: Callable[[HttpRequest], Awaitable[Answer]]) -> tuple[int, object]:
    async def run() -> Answer:
        return await endpoint(REQUEST)

    answer = asyncio.run(run())
    assert isinstance(answer.body, bytes)
    is_json = (b"content-type", b"application/json") in answer.headers
    return answer.status, msgspec.json.decode(answer.body) if is_json else answer.body


def test_health_has_version_and_counters():
    assert ask(health().health) == (
        200,
        {
            "status": "ok",
            "version": __version__,
            "metrics": {"total_requests": 3, "success_rate": 66.7},
        },
    )


def test_a_process_that_answers_is_alive_whether_ready_or_not():
    assert ask(health(Readiness(ready=False)).live) == (200, b"ok\n")


def test_a_gateway_that_can_answer_is_ready():
    assert ask(health().ready) == (200, {"status": "ready", "reasons": []})


def test_what_is_wrong_is_told_also_when_ready():
    state = Readiness(ready=True, reasons=("openai: no key can be used now",))
    assert ask(health(state).ready) == (
        200,
        {"status": "ready", "reasons": ["openai: no key can be used now"]},
    )


def test_a_gateway_that_cannot_answer_says_why():
    assert ask(health(Readiness(ready=False, reasons=("draining",))).ready) == (
        503,
        {"status": "not ready", "reasons": ["draining"]},
    )


def test_metrics_are_text_of_prometheus():
    answer = asyncio.run(health().metrics(REQUEST))
    assert answer.headers == [(b"content-type", METRICS_TYPE)]
    assert answer.body == b"modelmux_up 1\n"
