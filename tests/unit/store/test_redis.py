import asyncio
import sys
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path

import pytest

from modelmux.errors import ConfigError
from modelmux.store.redis import FIRST_REST_S, MAX_REST_S, PREFIX, TIMEOUT_S, RedisStore
from tests.support import keyvalue
from tests.support.keyvalue import Server
from tests.support.targets import FakeClock


@pytest.fixture
def server(tmp_path: Path) -> Generator[Server, None, None]:
    with keyvalue.running(tmp_path) as running:
        yield running


class World:
    """A store, what it told, and its clock."""

    def __init__(self, url: str, timeout_s: float = 20.0) -> None:
        self.clock = FakeClock()
        self.told: list[str] = []
        self.store = RedisStore(url, now=self.clock, told=self.told.append, timeout_s=timeout_s)


def run(url: str, test: Callable[[World], Coroutine[None, None, None]]) -> None:
    async def inside() -> None:
        world = World(url)
        try:
            await test(world)
        finally:
            await world.store.aclose()

    asyncio.run(inside())


def test_what_one_gateway_put_another_one_finds(server: Server):
    async def test(world: World) -> None:
        assert await world.store.get("a") is None
        await world.store.put("a", b"\x00\xff", 100.0)
        other = World(server.url)
        assert await other.store.get("a") == b"\x00\xff"
        await other.store.aclose()
        assert world.told == []

    run(server.url, test)
    assert 90 <= int(server.ask("TTL", f"{PREFIX}a")[1:]) <= 100


def test_what_has_had_its_time_is_gone(server: Server):
    async def test(world: World) -> None:
        await world.store.put("a", b"1", 0.001)
        async with asyncio.timeout(5.0):
            while await world.store.get("a") is not None:
                pass

    run(server.url, test)


def test_a_server_that_is_gone_is_told_once_left_alone_and_found_again(server: Server):
    async def test(world: World) -> None:
        await world.store.put("a", b"1", 100.0)
        server.kill()
        assert await world.store.get("a") is None
        assert len(world.told) == 1
        assert world.store.errors == 1
        await world.store.put("b", b"1", 100.0)
        assert await world.store.get("b") is None
        assert world.store.errors == 1  # it was not asked
        world.clock.advance(FIRST_REST_S)
        assert await world.store.get("a") is None
        assert world.store.errors == 2
        assert len(world.told) == 1
        server.start()
        world.clock.advance(MAX_REST_S)
        await world.store.put("a", b"2", 100.0)
        assert await world.store.get("a") == b"2"
        assert world.told[1:] == [""]

    run(server.url, test)


def test_many_at_once_share_few_connections(server: Server):
    async def test(world: World) -> None:
        await world.store.put("a", b"1", 100.0)
        found = await asyncio.gather(*(world.store.get("a") for _ in range(200)))
        assert found == [b"1"] * 200
        assert world.store.errors == 0

    run(server.url, test)


def test_a_server_that_does_not_answer_costs_no_more_than_the_time_for_a_look():
    async def silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            writer.close()

    async def test() -> None:
        listening = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = listening.sockets[0].getsockname()[1]
        world = World(f"redis://127.0.0.1:{port}", TIMEOUT_S)
        started = asyncio.get_running_loop().time()
        assert await world.store.get("a") is None
        assert asyncio.get_running_loop().time() - started < 8 * TIMEOUT_S
        assert len(world.told) == 1
        await world.store.aclose()
        listening.close()

    asyncio.run(test())


def test_a_url_that_is_none_is_refused():
    with pytest.raises(ConfigError, match="cache\\.url"):
        World("http://h")


def test_without_the_library_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "redis.asyncio", None)
    with pytest.raises(ConfigError, match="is not installed") as raised:
        World("redis://h")
    assert raised.value.hint == "pip install 'modelmux[redis]'"
