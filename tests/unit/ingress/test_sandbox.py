import asyncio
import os
import socket
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from decimal import Decimal

import msgspec
import pytest

from modelmux.ingress import sandbox
from modelmux.ingress.entrance import Entrance
from modelmux.ingress.sandbox import Reply, Request, Sandboxes, Told
from modelmux.ir.response import Usage
from modelmux.target.call import Peer
from modelmux.target.record import CallRecord
from modelmux.telemetry.watchers import Watchers
from tests.unit.transport.loopback import until


class Doors:
    """Notes what is served."""

    def __init__(self) -> None:
        self.open_: dict[str, Entrance] = {}
        self.fails = False

    async def open(self, sock: socket.socket, entrance: Entrance) -> None:
        if self.fails:
            raise OSError(24, "Too many open files")
        sock.close()
        self.open_[entrance.name] = entrance

    def drop(self, entrance: Entrance) -> None:
        del self.open_[entrance.name]


class World:
    """Sandboxes that are served, and somebody to make some."""

    def __init__(self, path: str) -> None:
        self.doors = Doors()
        self.watchers = Watchers()
        self.events: list[str] = []
        self.path = path
        self.sandboxes = Sandboxes(
            self.doors, self.watchers, has_key=lambda name: name == "k", event=self.events.append
        )

    async def ask(self, request: object, sockets: int = 1, *, listens: bool = True) -> "Maker":
        line = socket.socket(socket.AF_UNIX)
        line.setblocking(False)
        line.connect(self.path)
        made = [socket.socket() for _ in range(sockets)]
        for each in made:
            each.bind(("127.0.0.1", 0))
            if listens:
                each.listen()
        text = request if isinstance(request, bytes) else msgspec.json.encode(request) + b"\n"
        socket.send_fds(line, [text], [each.fileno() for each in made])
        for each in made:
            each.close()
        reader, writer = await asyncio.open_unix_connection(sock=line)
        return Maker(reader, writer)


class Maker:
    """Whoever made a sandbox."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def reply(self) -> Reply:
        return msgspec.json.decode(await self._reader.readline(), type=Reply)

    async def told(self) -> Told:
        return msgspec.json.decode(await self._reader.readline(), type=Told)

    async def leave(self) -> None:
        self.writer.close()
        await self.writer.wait_closed()


@asynccontextmanager
async def serving(path: str) -> AsyncGenerator[World, None]:
    world = World(path)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        task = asyncio.ensure_future(world.sandboxes.serve(listener))
        try:
            yield world
        finally:
            task.cancel()
            await asyncio.wait([task])


@pytest.fixture
def path(tmp_path: "os.PathLike[str]", monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    return "s"


REQUEST = Request("box", key="k", models=("m",), tags={"a": "b"}, budget_calls=2)


def test_a_sandbox_is_served_as_long_as_its_maker_is_there(path: str):
    async def play() -> None:
        async with serving(path) as world:
            maker = await world.ask(REQUEST)
            assert await maker.reply() == Reply(ok=True)
            entrance = world.doors.open_["box"]
            assert entrance.identity.surface == "guest"
            assert entrance.identity.key == "k"
            assert entrance.calls_left == 2
            assert entrance.peer(asyncio.Transport()) == Peer(
                "box", uid=os.getuid(), gid=os.getgid(), pid=os.getpid()
            )
            await maker.leave()
            await until(lambda: not world.doors.open_)
            assert world.events == ["sandbox box opened"]
            await until(lambda: len(world.events) == 2)

    asyncio.run(play())


def test_without_a_key_nobody_is_asked_for_one(path: str):
    async def play() -> None:
        async with serving(path) as world:
            maker = await world.ask(Request("box"))
            assert (await maker.reply()).ok
            assert not world.doors.open_["box"].identity.asks
            await maker.leave()

    asyncio.run(play())


def record(id_: str, **said: object) -> CallRecord:
    return CallRecord(id_, peer=Peer("box"), **said)  # type: ignore[arg-type] # by its fields' names


def test_its_maker_is_told_of_every_call_and_of_the_last(path: str):
    async def play() -> None:
        async with serving(path) as world:
            maker = await world.ask(REQUEST)
            await maker.reply()
            world.doors.open_["box"].begun = 2
            entrance = world.doors.open_["box"]
            usage = Usage(input_tokens=3, output_tokens=4)
            world.watchers.sink(record("1", model="m", usage=usage, cost_usd=Decimal("0.5")))
            world.watchers.sink(record("1.1", parent_id="1"))
            world.watchers.sink(CallRecord("2", peer=Peer("elsewhere")))
            call = (await maker.told()).call
            assert call is not None
            assert (call.id, call.input_tokens, call.cost_usd) == ("1", 3, "0.5")
            maker.writer.write_eof()
            await until(lambda: not world.doors.open_)
            world.watchers.sink(
                record("3", outcome="cancelled")
            )  # its end comes after its caller's
            call = (await maker.told()).call
            assert call is not None
            assert call.outcome == "cancelled"
            assert await maker.told() == Told(done=True)
            assert entrance.begun == 2
            await maker.leave()

    asyncio.run(play())


def test_who_does_not_read_is_told_how_much_it_missed(path: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sandbox, "MAX_UNREAD_BYTES", 10)

    async def play() -> None:
        async with serving(path) as world:
            maker = await world.ask(Request("box"))
            await maker.reply()
            for at in range(5):
                world.watchers.sink(record(str(at)))
            maker.writer.write_eof()
            assert (await maker.told()).call is not None
            assert await maker.told() == Told(done=True, left_out=4)
            await maker.leave()

    asyncio.run(play())


@pytest.mark.parametrize(
    ("request_", "sockets", "words"),
    [
        (Request("box", key="x"), 1, "there is no key 'x'"),
        (Request(""), 1, "expected a name"),
        (Request("a b"), 1, "expected a name"),
        (Request("box", budget_calls=-1), 1, "at least 0"),
        (Request("box"), 0, "expected one descriptor with the request, got 0"),
        (Request("box"), 2, "expected one descriptor with the request, got 2"),
        (b"GET / HTTP/1.1\n", 1, "the request is not understood"),
        (b'{"name": "box", "surface": "admin"}\n', 1, "unknown field"),
        (b"x" * 70_000, 1, "expected one line of JSON"),
    ],
)
def test_what_is_no_sandbox_is_refused(path: str, request_: object, sockets: int, words: str):
    async def play() -> None:
        async with serving(path) as world:
            before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208 # as many as there are
            maker = await world.ask(request_, sockets)
            reply = await maker.reply()
            assert not reply.ok
            assert words in reply.error
            await maker.leave()
            await until(lambda: len(os.listdir("/proc/self/fd")) <= before)  # noqa: PTH208

    asyncio.run(play())


def test_a_socket_that_does_not_listen_is_refused(path: str):
    async def play() -> None:
        async with serving(path) as world:
            maker = await world.ask(Request("box"), listens=False)
            assert (await maker.reply()).error == "expected a socket that listens"
            await maker.leave()

    asyncio.run(play())


def test_a_name_is_taken_once_and_there_is_an_end_to_them(
    path: str, monkeypatch: pytest.MonkeyPatch
):
    async def play() -> None:
        async with serving(path) as world:
            first = await world.ask(Request("box"))
            assert (await first.reply()).ok
            again = await world.ask(Request("box"))
            assert "there is a sandbox 'box' already" in (await again.reply()).error
            monkeypatch.setattr(sandbox, "MAX_SANDBOXES", 1)
            more = await world.ask(Request("more"))
            assert "the most that are served" in (await more.reply()).error
            for maker in (first, again, more):
                await maker.leave()

    asyncio.run(play())


def test_one_that_cannot_be_served_is_told_and_harms_nobody(path: str):
    async def play() -> None:
        async with serving(path) as world:
            world.doors.fails = True
            maker = await world.ask(Request("box"))
            assert "cannot be served: Too many open files" in (await maker.reply()).error
            await maker.leave()
            world.doors.fails = False
            maker = await world.ask(Request("box"))
            assert (await maker.reply()).ok
            await maker.leave()

    asyncio.run(play())


def test_who_says_nothing_is_not_waited_for(path: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sandbox, "HANDSHAKE_S", 0.01)

    async def play() -> None:
        async with serving(path):
            reader, writer = await asyncio.open_unix_connection(path)
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    asyncio.run(play())


def test_another_user_is_refused(path: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sandbox, "credentials", lambda _: (1, 4711, 4711))

    async def play() -> None:
        async with serving(path) as world:
            maker = await world.ask(Request("box"))
            assert (await maker.reply()).error == "this gateway belongs to another user"
            await maker.leave()

    asyncio.run(play())
