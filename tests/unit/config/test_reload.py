import asyncio
import gc
import socket
import tempfile
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from modelmux.config.entrances import open_all, places
from modelmux.config.gateway import Gateway
from modelmux.config.listening import Listening
from modelmux.config.load import Loaded
from modelmux.config.reload import MAX_RETIRING, Reloader
from modelmux.config.schema import Config, Key, Limits, Model, Provider, Routing, Server
from modelmux.errors import ConfigError
from modelmux.ingress.control import Problem, Reloaded
from modelmux.ingress.server import Server as HttpServer
from tests.support import http1, plain
from tests.support.upstream import Gate, Upstream
from tests.unit.config.gateways import Lines, loaded
from tests.unit.config.test_gateway import COMPLETION, FINISH, HELLO, at, sse
from tests.unit.transport.loopback import until


@pytest.fixture(autouse=True)
def collector() -> Generator[None]:
    """Leaves the collector as it was."""
    yield
    gc.unfreeze()


@pytest.fixture(name="place")
def short_folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="mm-") as name:
        yield Path(name)


class World:
    """A gateway that is served, and what it would read."""

    def __init__(self, config: Config) -> None:
        self.lines = Lines()
        self.gateway = Gateway(loaded(config), output=self.lines)
        self.listening = Listening(open_all(places(config, {}, 0)))
        self.server = HttpServer(self.gateway.app(), 5.0, signals=False)
        self.says: Config | ConfigError = config
        self.reloader = Reloader(self.gateway, self.listening, self._load)

    def _load(self) -> Loaded:
        if isinstance(self.says, ConfigError):
            raise self.says
        return loaded(self.says)

    async def reload(self, config: Config | ConfigError) -> Reloaded:
        self.says = config
        return await self.reloader.reload("a test")

    async def ask(self, path: Path, **headers: str) -> plain.Answer:
        return await asyncio.to_thread(plain.get, f"unix:{path}", "/v1/models", headers)


@asynccontextmanager
async def running(config: Config) -> AsyncGenerator[World]:
    world = World(config)

    async def follow() -> None:
        async with asyncio.TaskGroup() as tasks:
            world.reloader.start(world.server, tasks)
            await asyncio.Event().wait()

    async with world.gateway, asyncio.TaskGroup() as group:
        group.create_task(world.server.serve_at(world.listening.sockets))
        following = group.create_task(follow())
        await world.server.wait_ready()
        yield world
        world.server.stop(now=True)
        following.cancel()
    world.listening.close()


def run(config: Config, scene: Callable[[World], Awaitable[None]]) -> Lines:
    world: list[World] = []

    async def whole() -> None:
        async with running(config) as made:
            world.append(made)
            await scene(made)

    asyncio.run(whole())
    return world[0].lines


def of(place: Path, *names: str, **more: object) -> Config:
    """A configuration that listens on these sockets."""
    server = Server(listen=tuple(f"unix:{place}/{name}" for name in names), enable_retries=False)
    return Config(server=server, **more)  # type: ignore[arg-type]


def test_keys_listeners_and_providers_take_effect(place: Path):
    provider = Provider(name="p", type="openai", api_key="sk-of-a-provider", models=("m",))

    async def scene(world: World) -> None:
        assert (await world.ask(place / "a")).status == 200
        changed = of(place, "b", providers=(provider,), keys=(Key(name="k", secret="secret-1"),))
        told = await world.reload(changed)
        assert told.reloaded
        assert told.changes == [
            "server: changed listen",
            "providers: added p",
            "keys: added k",
        ]
        assert (await world.ask(place / "b")).status == 401
        assert b'"m"' in (await world.ask(place / "b", **{"x-api-key": "secret-1"})).body
        assert not (place / "a").exists()
        assert world.gateway.listening == [f"unix:{place}/b"]
        world.gateway.telemetry.log.event("info", "secret-1 is known")

    lines = run(of(place, "a"), scene)
    assert "*** is known" in lines.text
    assert "configuration reloaded: server: changed listen; providers: added p" in lines.text


@pytest.mark.parametrize(
    ("mistake", "said"),
    [
        (ConfigError("g.toml:1: no", hint="mend it"), Problem("g.toml:1: no", "mend it")),
        (
            Config(routing=Routing(default="nobody")),
            Problem("routing.default: expected a model that somebody offers, got 'nobody'"),
        ),
    ],
)
def test_what_cannot_be_used_changes_nothing_and_is_told(
    place: Path, mistake: Config | ConfigError, said: Problem
):
    async def scene(world: World) -> None:
        before = world.gateway.current()
        told = await world.reload(mistake)
        assert (told.reloaded, told.problems) == (False, [said])
        assert world.gateway.current() is before
        assert world.gateway.status().reload_failure == said.message
        metrics = await asyncio.to_thread(plain.get, f"unix:{place}/a", "/metrics")
        assert b'modelmux_reloads_total{outcome="error"} 1.0' in metrics.body
        ready = await asyncio.to_thread(plain.get, f"unix:{place}/a", "/readyz")
        assert ready.status == 200
        assert b"the last reload failed" in ready.body
        assert said.message.encode() not in ready.body
        assert (await world.reload(of(place, "a"))).reloaded
        assert world.gateway.status().reload_failure == ""

    lines = run(of(place, "a"), scene)
    assert f"nothing has changed: {said.message}" in lines.text


def test_an_address_that_cannot_be_had_changes_nothing(place: Path):
    async def scene(world: World) -> None:
        before = world.gateway.current()
        with socket.create_server(("127.0.0.1", 0)) as other:
            taken = f"127.0.0.1:{other.getsockname()[1]}"
            listen_ = (f"unix:{place}/a", f"unix:{place}/b", taken)
            told = await world.reload(Config(server=Server(listen=listen_)))
        assert "the address is in use" in told.problems[0].message
        assert world.gateway.current() is before
        assert not (place / "b").exists()
        assert (await world.ask(place / "a")).status == 200

    run(of(place, "a"), scene)


def test_a_stream_goes_on_when_its_provider_is_gone_and_its_connection_is_closed_after(place: Path):
    gate = Gate()
    deltas = [
        http1.chunk(each) for each in (*sse({"content": "one "}, {"content": "two"}), *FINISH)
    ]
    parts = [http1.stream_head(), deltas[0], gate, *deltas[1:], http1.LAST_CHUNK]
    with Upstream(lambda _request: parts) as upstream:

        async def scene(world: World) -> None:
            texts = world.gateway.chat_stream("m", "Hello")
            assert await anext(texts) == "one "
            (client,) = world.gateway._built.clients.values()
            assert (await world.reload(of(place, "a"))).reloaded
            assert world.gateway.retiring == 1
            gate.open()
            assert [text async for text in texts] == ["two"]
            await until(lambda: world.gateway.retiring == 0)
            assert client.counters.open == 0
            assert world.gateway.telemetry.metrics.requests == 1

        run(of(place, "a", providers=(at(upstream),)), scene)


def test_connections_and_places_of_a_provider_that_stays_are_kept(place: Path):
    with Upstream(lambda _request: [http1.answer(200, COMPLETION)]) as upstream:
        provider = at(upstream, limits=Limits(concurrency=2))

        async def scene(world: World) -> None:
            await world.gateway.chat("m", HELLO)
            aliases = (Model(name="alias", targets=("up/m",)),)
            assert (
                await world.reload(of(place, "a", providers=(provider,), models=aliases))
            ).reloaded
            await until(lambda: world.gateway.retiring == 0)
            await world.gateway.chat("alias", HELLO)
            assert upstream.connections == 1
            assert world.gateway.telemetry.metrics.requests == 2

        run(of(place, "a", providers=(provider,)), scene)


def test_secrets_are_forgotten_with_the_last_call_that_may_have_used_them(place: Path):
    def with_key(secret: str) -> Config:
        return of(place, "a", keys=(Key(name="k", secret=secret),))

    async def scene(world: World) -> None:
        redactor = world.gateway.telemetry.redactor
        assert (await world.reload(with_key("the-second-secret"))).reloaded
        await until(lambda: world.gateway.retiring == 0)
        assert redactor.text("the-first-secret the-second-secret") == "the-first-secret ***"

    run(with_key("the-first-secret"), scene)


def test_what_cannot_change_while_it_runs_is_told(place: Path):
    async def scene(world: World) -> None:
        listen_ = (f"unix:{place}/a",)
        told = await world.reload(Config(server=Server(listen=listen_, workers=3)))
        assert told.notes == ["server.workers: 1 until `modelmux upgrade` or a restart, then 3"]

    run(of(place, "a"), scene)


def test_limits_of_bodies_and_of_draining_take_effect(place: Path):
    async def scene(world: World) -> None:
        listen_ = (f"unix:{place}/a",)
        server = Server(listen=listen_, max_body_bytes=10, drain_timeout_s=77.0)
        assert (await world.reload(Config(server=server))).reloaded
        address = f"unix:{place}/a"
        answer = await asyncio.to_thread(plain.post, address, "/v1/chat/completions", b"x" * 11)
        assert answer.status == 413
        assert world.server.drain_timeout_s == 77.0

    run(of(place, "a"), scene)


def test_a_gateway_that_stops_reloads_no_more(place: Path):
    async def scene(world: World) -> None:
        world.gateway.draining = True
        assert "is stopping" in (await world.reload(of(place, "a"))).problems[0].message

    run(of(place, "a"), scene)


def test_configurations_that_wait_for_their_last_call_are_bounded(place: Path):
    async def scene(world: World) -> None:
        recorders = []
        for _ in range(MAX_RETIRING):
            recorder = world.gateway._built.recorder
            assert recorder is not None
            recorder.under_way += 1  # a call that does not end
            recorders.append(recorder)
            assert (await world.reload(of(place, "a"))).reloaded
        assert (
            "still have calls under way" in (await world.reload(of(place, "a"))).problems[0].message
        )
        for recorder in recorders:
            recorder.under_way -= 1
        await until(lambda: world.gateway.retiring == 0)
        assert (await world.reload(of(place, "a"))).reloaded

    run(of(place, "a"), scene)


def test_without_a_place_to_read_from_nothing_is_reloaded(place: Path):
    async def scene(world: World) -> None:
        reloader = Reloader(world.gateway, world.listening, None)
        assert not (await reloader.reload("a test")).reloaded

    run(of(place, "a"), scene)
