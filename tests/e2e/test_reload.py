"""Another configuration in force while callers are served, and nobody notices."""

import asyncio
import signal
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from bench import steady
from tests.e2e.test_lifecycle import held
from tests.support import http1, plain, raw, stage
from tests.support.child import Child
from tests.support.dialects import OPENAI
from tests.support.gateway import Gateway, GatewayStarter
from tests.support.stage import Stage
from tests.support.upstream import Gate

SERVER = """
[server]
log_format = "json"
{server}
"""
PROVIDER = """
[[providers]]
name = "{name}"
type = "openai_compatible"
base_url = "{url}"
models = ["m", "{name}-only"]
priority = {priority}
"""

RATE = 500
RELOADS = 10


@pytest.fixture(scope="module")
def upstream() -> Generator[Stage, None, None]:
    with stage.running() as running:
        yield running


def config(*providers: tuple[str, str], server: str = "") -> str:
    text = SERVER.format(server=server)
    for priority, (name, url) in enumerate(providers):
        text += PROVIDER.format(name=name, url=url, priority=priority)
    return text


def reload(running: Gateway, text: str) -> plain.Answer:
    """Write a configuration, and have it reloaded."""
    running.config_path.write_text(text)
    return plain.post(running.control_address, "/control/reload")


def versions(urls: list[str]) -> list[str]:
    """Configurations that add, remove, reorder and change providers of the model `m`."""
    first, second, third = (("first", urls[0]), ("second", urls[1]), ("third", urls[2]))
    moved = ("first", urls[2])
    return [
        config(first, second),
        config(second),
        config(third, first),
        config(moved, second),
        config(third, server='log_level = "warn"'),
    ]


async def under_load(
    running: Gateway, texts: list[str], reloads: int, upgrades: int = 2
) -> steady.Outcome:
    """Reload and upgrade again and again while callers are served; what became of their calls."""
    load = steady.Load(int(running.base_url.rpartition(":")[2]), ["m"], rate=RATE, streams_of=20)
    async with asyncio.TaskGroup() as tasks:
        running_load = tasks.create_task(load.run())
        for number in range(reloads):
            answer = await asyncio.to_thread(reload, running, texts[(number + 1) % len(texts)])
            assert answer.status == 200, answer.body
            await load.more(RATE // 4)
            if number < upgrades:
                answer = await asyncio.to_thread(running.upgrade)
                assert answer.status == 200, answer.body
                await load.more(RATE // 4)
        bad = await asyncio.to_thread(reload, running, texts[0] + "nonsense = 1\n")
        assert bad.status == 422
        await load.more(RATE // 4)
        load.stop()
        await running_load
    return load.outcome


def test_ten_reloads_and_two_upgrades_under_load_cost_no_request_and_no_stream(
    start_gateway: GatewayStarter,
):
    async def run() -> steady.Outcome:
        async with steady.providers(3) as urls:
            texts = versions(urls)
            running = await asyncio.to_thread(start_gateway, texts[0])
            return await under_load(running, texts, RELOADS)

    outcome = asyncio.run(run(), debug=False)
    assert outcome.failures == {}
    assert outcome.whole > RATE
    assert outcome.streams > RATE / 20


def test_a_stream_of_a_provider_that_is_removed_is_answered_to_its_end(
    start_gateway: GatewayStarter, upstream: Stage
):
    gate = Gate()
    upstream.play(held(gate))
    running = start_gateway(config(("first", upstream.base_url)))
    asked = OPENAI.ask("first/m", stream=True)
    with raw.posted(running.base_url, OPENAI.path, asked) as exchange:
        gate.wait_until_reached()
        assert reload(running, config(("other", upstream.base_url))).status == 200
        gone = plain.post(running.base_url, OPENAI.path, OPENAI.ask("first/m"))
        assert (gone.status, b"first/m" in gone.body) == (404, True)
        gate.open()
        assert exchange.read_rest().endswith(OPENAI.end)


def test_a_configuration_that_cannot_be_used_is_told_everywhere_and_changes_nothing(
    start_gateway: GatewayStarter, upstream: Stage
):
    upstream.play([http1.answer(200, OPENAI.answer())])
    good = config(("first", upstream.base_url))
    running = start_gateway(good)
    answer = reload(running, good + "[servr]\n")
    assert answer.status == 422
    assert b"servr: unknown key" in answer.body
    running.wait_until_logged("nothing has changed: ")
    status = plain.get(running.control_address, "/control/status").json()
    assert isinstance(status, dict)
    assert "servr: unknown key" in status["reload_failure"]
    ready = plain.get(running.base_url, "/readyz")
    assert (ready.status, b"servr" in ready.body) == (200, False)
    assert b"the last reload failed" in ready.body
    assert plain.post(running.base_url, OPENAI.path, OPENAI.ask("first/m")).status == 200


def test_a_hangup_reloads_and_the_log_follows_its_new_form(
    start_gateway: GatewayStarter, upstream: Stage
):
    running = start_gateway(config(("first", upstream.base_url)))
    running.config_path.write_text(
        config(("second", upstream.base_url)).replace('"json"', '"text"')
    )
    running.send_signal(signal.SIGHUP)
    running.wait_until_logged("info  configuration reloaded: server: changed log_format")
    assert "providers: added second, removed first" in running.log


def test_a_file_that_changes_is_followed_where_that_is_wanted(
    start_gateway: GatewayStarter, upstream: Stage
):
    first = config(("first", upstream.base_url), server="watch_config = true")
    running = start_gateway(first)
    running.config_path.write_text(first.replace("first", "second"))
    running.wait_until_logged("providers: added second, removed first")
    assert '"cause":"changed: ' in running.log


def test_a_listener_that_is_removed_lets_its_callers_finish(upstream: Stage):
    gate = Gate()
    upstream.play(held(gate))
    before, after = plain.free_port(), plain.free_port()
    text = config(("first", upstream.base_url), server='listen = ["127.0.0.1:{port}"]')
    with tempfile.TemporaryDirectory(prefix="mm-") as name:
        folder = Path(name)
        path = folder / "gateway.toml"
        path.write_text(text.replace("{port}", str(before)))
        argv = [sys.executable, "-m", "modelmux", "serve", "-c", str(path)]
        environ = {"PATH": "/usr/bin:/bin", "HOME": name, "XDG_RUNTIME_DIR": name}
        child = Child(argv, folder, environ)
        child.wait_until(lambda: " listens on " in child.log or None, "listening")
        asked = OPENAI.ask("first/m", stream=True)
        with raw.posted(f"http://127.0.0.1:{before}", OPENAI.path, asked) as exchange:
            gate.wait_until_reached()
            path.write_text(text.replace("{port}", str(after)))
            control = f"unix:{name}/modelmux/control-{child.pid}.sock"
            assert plain.post(control, "/control/reload").status == 200
            assert plain.get(f"http://127.0.0.1:{after}", "/healthz").status == 200
            with pytest.raises(OSError):
                plain.get(f"http://127.0.0.1:{before}", "/healthz")
            gate.open()
            assert exchange.read_rest().endswith(OPENAI.end)
        assert child.stop() == 0


def test_a_stream_goes_on_in_the_old_process_until_it_ends(
    start_gateway: GatewayStarter, upstream: Stage
):
    gate = Gate()
    upstream.play(held(gate), [http1.answer(200, OPENAI.answer())])
    running = start_gateway(config(("first", upstream.base_url)))
    old, asked = running.pid, OPENAI.ask("first/m", stream=True)
    with raw.posted(running.base_url, OPENAI.path, asked) as exchange:
        gate.wait_until_reached()
        assert running.upgrade().status == 200
        assert running.pid != old
        for address in (running.base_url, running.unix_address):
            assert plain.post(address, OPENAI.path, OPENAI.ask("first/m")).status == 200
        status = plain.get(running.control_address, "/control/status").json()
        assert isinstance(status, dict)
        assert (status["pid"], status["requests_total"]) == (running.pid, 2)
        gate.open()
        assert exchange.read_rest().endswith(OPENAI.end)
    assert running.wait_until_ended() == 0  # the old process
    assert plain.get(running.unix_address, "/healthz").status == 200


def test_a_new_process_that_cannot_serve_leaves_the_old_one_serving(
    start_gateway: GatewayStarter, upstream: Stage
):
    text = config(("first", upstream.base_url))
    running = start_gateway(text)
    running.config_path.write_text(text + "[nonsense]\n")
    answer = running.upgrade()
    assert answer.status == 422
    assert b"ended with exit code 1" in answer.body
    assert b"nonsense: unknown key" in answer.body
    running.wait_until_logged("not upgraded, this process goes on")
    running.config_path.write_text(text)
    assert plain.get(running.base_url, "/readyz").status == 200
    assert running.upgrade().status == 200
