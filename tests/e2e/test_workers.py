"""Several workers are one gateway: whoever calls, scrapes, reloads or ends it need not know."""

import asyncio
import os
import signal
from collections.abc import Generator
from pathlib import Path

import pytest

from bench import steady
from modelmux.cli.stop import is_alive
from tests.e2e.test_reload import RATE, config, under_load, versions
from tests.support import http1, plain, stage
from tests.support.dialects import OPENAI
from tests.support.gateway import Gateway, GatewayStarter
from tests.support.stage import Stage

WORKERS = "workers = 2"


@pytest.fixture(scope="module")
def upstream() -> Generator[Stage, None, None]:
    with stage.running() as running:
        running.play([http1.answer(200, OPENAI.answer())])
        yield running


def status(running: Gateway) -> dict[str, object]:
    told = plain.get(running.control_address, "/control/status").json()
    assert isinstance(told, dict)
    return told


def workers(running: Gateway) -> list[int]:
    """Process ids of the workers."""
    listed = status(running)["workers"]
    assert isinstance(listed, list)
    return [each["pid"] for each in listed]


def test_reloads_and_upgrades_under_load_cost_no_request_and_no_stream(
    start_gateway: GatewayStarter,
):
    async def run() -> steady.Outcome:
        async with steady.providers(3) as urls:
            texts = [text.replace("[server]", f"[server]\n{WORKERS}", 1) for text in versions(urls)]
            running = await asyncio.to_thread(start_gateway, texts[0])
            return await under_load(running, texts, 5, 1)

    outcome = asyncio.run(run(), debug=False)
    assert outcome.failures == {}
    assert outcome.whole > RATE
    assert outcome.streams > RATE / 40


def test_whichever_worker_is_asked_answers_for_all(start_gateway: GatewayStarter, upstream: Stage):
    running = start_gateway(config(("first", upstream.base_url), server=WORKERS))
    for _ in range(12):
        assert plain.post(running.base_url, OPENAI.path, OPENAI.ask("first/m")).status == 200
    for _ in range(4):  # different connections, so different workers
        metrics = plain.get(running.base_url, "/metrics").body.decode()
        (count,) = [
            line for line in metrics.splitlines() if line.startswith("modelmux_requests_total{")
        ]
        assert count.endswith(" 12.0")
        health = plain.get(running.unix_address, "/health").json()
        assert isinstance(health, dict)
        assert health["metrics"]["total_requests"] == 12
    assert status(running)["requests_total"] == 12
    logs = plain.get(running.control_address, "/control/logs?lines=100").body
    assert logs.count(b'"message":"call"') == 12


def test_a_worker_that_is_killed_is_replaced_and_the_others_serve(
    start_gateway: GatewayStarter, upstream: Stage
):
    running = start_gateway(config(("first", upstream.base_url), server=WORKERS))
    first, second = workers(running)
    os.kill(first, signal.SIGKILL)
    for _ in range(20):
        assert plain.post(running.base_url, OPENAI.path, OPENAI.ask("first/m")).status == 200
    running.wait_until_logged("a worker was ended by SIGKILL; another takes its place")
    now = workers(running)
    while len(now) < 2:
        now = workers(running)
    assert first not in now
    assert second in now


def test_when_the_supervisor_is_killed_nothing_is_left_behind(
    start_gateway: GatewayStarter, upstream: Stage
):
    running = start_gateway(config(("first", upstream.base_url), server=WORKERS))
    pids = workers(running)
    folder = Path(running.control_address.removeprefix("unix:")).parent
    assert len(list(folder.iterdir())) == 3
    running.send_signal(signal.SIGKILL)
    assert running.wait_until_ended() == -signal.SIGKILL
    while any(map(is_alive, pids)):
        pass
    assert list(folder.iterdir()) == []
    assert not running.socket_path.exists()
    with pytest.raises(OSError):
        plain.get(running.base_url, "/healthz")
