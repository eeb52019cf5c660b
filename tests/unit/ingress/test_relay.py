import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from modelmux.errors import TargetError
from modelmux.ingress.health import Health, Readiness
from modelmux.ingress.http import Answer, HttpRequest
from modelmux.ingress.relay import Relay, RelayedControl, RelayedHealth
from tests.support import http1
from tests.support.upstream import Upstream


def request(method: str = "GET", path: str = "/x", query: bytes = b"", body: bytes = b""):
    return HttpRequest(method, path, query, [], body, 0.0)


async def read(answer: Answer) -> bytes:
    assert not isinstance(answer.body, bytes)
    pieces = [piece async for piece in answer.body]
    await answer.aclose()
    return b"".join(pieces)


def play(scene: Callable[[Relay], Awaitable[None]], *parts: bytes) -> Upstream:
    with tempfile.TemporaryDirectory(prefix="mm-") as folder:
        path = Path(folder) / "s"
        with Upstream(lambda _request: list(parts), unix_path=path) as upstream:

            async def whole() -> None:
                relay = Relay(path)
                await scene(relay)
                await relay.aclose()

            asyncio.run(whole())
        return upstream


def test_a_request_is_passed_on_and_its_answer_back():
    async def scene(relay: Relay) -> None:
        answer = await relay(request("POST", "/control/stop", b"now=1", b"body"))
        assert answer.status == 202
        assert answer.headers == [(b"content-type", b"application/json")]
        assert await read(answer) == b"told"

    answer = http1.answer(202, b"told", ("x-other", "1"))
    (asked,) = play(scene, answer).requests
    assert (asked.method, asked.target, asked.body) == ("POST", "/control/stop?now=1", b"body")


def test_a_stream_comes_as_it_is_said():
    async def scene(relay: Relay) -> None:
        answer = await relay(request())
        assert await read(answer) == b"onetwo"

    parts = [http1.stream_head(), http1.chunk(b"one"), http1.chunk(b"two"), http1.LAST_CHUNK]
    play(scene, *parts)


def test_what_is_asked_is_answered_whole():
    async def scene(relay: Relay) -> None:
        assert await relay.ask("GET", "/health") == (200, b"well")

    play(scene, http1.answer(200, b"well"))


def test_where_nobody_is_there_is_no_answer(tmp_path: Path):
    async def scene() -> None:
        relay = Relay(tmp_path / "none")
        with pytest.raises(TargetError):
            await relay.ask("GET", "/")
        await relay.aclose()

    asyncio.run(scene())


def test_control_and_figures_are_passed_on_and_whether_it_serves_is_not():
    own = Health(dict, lambda: Readiness(ready=True, reasons=("mine",)), lambda: b"")

    async def scene(relay: Relay) -> None:
        control, health = RelayedControl(relay), RelayedHealth(own, relay)
        for door in (
            *(control.status, control.stop, control.reload, control.upgrade, control.logs),
            *(health.health, health.metrics),
        ):
            assert await read(await door(request())) == b"of all"
        assert (await health.live(request())).body == b"ok\n"
        ready = await health.ready(request())
        assert isinstance(ready.body, bytes)
        assert b"mine" in ready.body

    upstream = play(scene, http1.answer(200, b"of all"))
    assert len(upstream.requests) == 7
