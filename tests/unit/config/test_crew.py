import asyncio
import gc
import os
import signal
import sys
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from modelmux.config import crew as module
from modelmux.config.crew import Crew, together
from modelmux.config.entrances import open_all, places
from modelmux.config.gateway import Gateway
from modelmux.config.listening import Listening
from modelmux.config.load import Loaded
from modelmux.config.reload import Reloader
from modelmux.config.schema import Config, Key, Model, Server
from modelmux.errors import ConfigError
from tests.support import plain
from tests.unit.config.gateways import Lines, loaded

ASK = {"model": "modelmux/echo", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(name="place", autouse=True)
def short_folder(monkeypatch: pytest.MonkeyPatch) -> Generator[Path]:
    """A folder for sockets, those of workers included."""
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}
    with tempfile.TemporaryDirectory(prefix="mm-") as name:
        Path(name).chmod(0o700)
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        yield Path(name)
    for number, handler in before.items():
        signal.signal(number, handler)
    gc.unfreeze()


class World:
    """Two workers, and what they would be told by a reload."""

    def __init__(self, place: Path) -> None:
        config = Config(server=Server(listen=(f"unix:{place}/a",), workers=2))
        self.place = place
        self.stops = 0
        self.lines = Lines()
        self.gateway = Gateway(loaded(config), output=self.lines)
        self.listening = Listening(open_all(places(config, {}, 0)))
        self.crew = Crew(self.gateway, self.listening, self._stopping)
        self.says = config
        self.reloader = Reloader(self.gateway, self.listening, self._load, self.crew)

    def _stopping(self) -> None:
        self.stops += 1

    def _load(self) -> Loaded:
        return loaded(self.says)

    async def ask(self, name: str = "a", path: str = "/v1/chat/completions") -> plain.Answer:
        body = ASK if "chat" in path else None
        method = "POST" if body else "GET"
        address = f"unix:{self.place}/{name}"
        return await asyncio.to_thread(plain.request, address, method, path, body)


@asynccontextmanager
async def running(world: World) -> AsyncGenerator[None]:
    async def follow() -> None:
        async with asyncio.TaskGroup() as tasks:
            world.reloader.start(world.crew, tasks)
            await asyncio.Event().wait()

    async with world.gateway, asyncio.TaskGroup() as group:
        serving = group.create_task(world.crew.serve_at(world.listening.sockets))
        following = group.create_task(follow())
        await world.crew.wait_ready()
        yield
        world.crew.stop()
        await serving
        following.cancel()
    world.listening.close()


def run(place: Path, scene: Callable[[World], Awaitable[None]]) -> World:
    world = World(place)

    async def whole() -> None:
        async with running(world):
            await scene(world)

    asyncio.run(whole())
    assert world.stops == 1
    assert list((place / "modelmux").iterdir()) == []
    return world


def test_what_all_do_is_told_as_that_of_one_gateway(place: Path):
    async def scene(world: World) -> None:
        for _ in range(10):
            assert (await world.ask()).status == 200
        status = await world.crew.status()
        assert (status.pid, status.requests_total, len(status.workers)) == (os.getpid(), 10, 2)
        assert sum(each.requests_total for each in status.workers) == 10
        metrics = (await world.crew.metrics()).decode()
        (line,) = [
            each for each in metrics.splitlines() if each.startswith("modelmux_requests_total{")
        ]
        assert line.endswith(" 10.0")
        assert (await world.crew.health())["success_rate"] == 100.0
        lines = await world.crew.recent(4)
        assert len(lines) == 4
        assert lines == sorted(lines)
        follower = world.crew.follow()
        first = asyncio.ensure_future(anext(follower))
        while not first.done():
            assert (await world.ask()).status == 200
            await asyncio.wait([first], timeout=0.1)
        assert b"modelmux/echo" in first.result()
        await follower.aclose()

    run(place, scene)


def test_a_reload_takes_effect_in_all_with_its_listeners(place: Path):
    async def scene(world: World) -> None:
        models = (Model(name="fast", targets=("modelmux/echo",)),)
        server = Server(listen=(f"unix:{place}/b",), workers=2)
        world.says = Config(server=server, models=models)
        assert (await world.reloader.reload("a test")).reloaded
        for _ in range(8):
            assert b'"fast"' in (await world.ask("b", "/v1/models")).body
        assert not (place / "a").exists()

    run(place, scene)


def test_what_one_cannot_take_over_nobody_does(place: Path, monkeypatch: pytest.MonkeyPatch):
    async def scene(world: World) -> None:
        async def prepare(_config: Config) -> None:
            raise ConfigError("a worker cannot")

        monkeypatch.setattr(world.crew, "prepare", prepare)
        server = Server(listen=(f"unix:{place}/a", f"unix:{place}/b"), workers=2)
        world.says = Config(server=server, keys=(Key(name="k", secret="secret-1"),))
        told = await world.reloader.reload("a test")
        assert told.problems[0].message == "a worker cannot"
        assert not (place / "b").exists()
        assert (await world.ask()).status == 200

    run(place, scene)


def test_who_takes_the_place_of_a_killed_worker_has_what_is_in_force_and_counts_stay(place: Path):
    async def scene(world: World) -> None:
        models = (Model(name="fast", targets=("modelmux/echo",)),)
        world.says = Config(server=world.says.server, models=models)
        assert (await world.reloader.reload("a test")).reloaded
        for _ in range(6):
            assert (await world.ask()).status == 200
        first, second = (await world.crew.status()).workers
        for pid in (first.pid, second.pid):
            os.kill(pid, signal.SIGKILL)
        for _ in range(8):  # whoever comes waits until somebody lets them in
            assert b'"fast"' in (await world.ask("a", "/v1/models")).body
        status = await world.crew.status()
        while len(status.workers) < 2 or sum(each.restarts for each in status.workers) < 2:
            await world.ask()
            status = await world.crew.status()
        assert status.requests_total >= 6
        assert {each.pid for each in status.workers}.isdisjoint({first.pid, second.pid})

    world = run(place, scene)
    assert world.lines.text.count("a worker was ended by SIGKILL; another takes its place") == 2


def test_if_no_worker_ever_serves_neither_does_the_gateway(
    place: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    world = World(place)

    async def whole() -> None:
        async with world.gateway:
            await world.crew.serve_at(world.listening.sockets)

    with pytest.raises(ConfigError, match="a worker ended with exit code 1 before it served"):
        asyncio.run(whole())
    world.listening.close()


def test_one_that_does_not_do_as_it_is_told_is_ended(place: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ORDER_S", 0.3)

    async def scene(world: World) -> None:
        pids = [worker.child.pid for worker in world.crew._workers if worker.child is not None]
        os.kill(pids[0], signal.SIGSTOP)
        monkeypatch.setattr(module, "KILL_AFTER_S", 0.0)
        world.crew.drain_timeout_s = 0.5

    run(place, scene)


def test_counters_are_added_up_and_their_rate_is_made_anew():
    one = {"total_requests": 1.0, "successful_requests": 1.0, "failed_requests": 0.0}
    two = {"total_requests": 3.0, "successful_requests": 1.0, "failed_requests": 2.0}
    assert together([{**one, "success_rate": 100.0}, {**two, "success_rate": 33.0}]) == {
        "total_requests": 4.0,
        "successful_requests": 2.0,
        "failed_requests": 2.0,
        "success_rate": 50.0,
    }
    assert together([])["success_rate"] == 100.0
