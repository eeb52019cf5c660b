import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager

import pytest

from modelmux.ingress import server as server_module
from modelmux.ingress.entrance import Entrance
from modelmux.ingress.http import Answer, HttpRequest, text
from modelmux.ingress.server import Server, UvicornLog, serve
from tests.unit.ingress.loopback import Handling, Peer, adapter
from tests.unit.transport.loopback import LOOPS, play, until

GET = b"GET %b HTTP/1.1\r\nhost: test\r\n\r\n"


@pytest.fixture(params=LOOPS.values(), ids=LOOPS)
def loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    made: Callable[[], asyncio.AbstractEventLoop] = request.param
    return made


@pytest.fixture(autouse=True, name="told")
def uvicorn_log() -> Generator[list[tuple[str, str]]]:
    """What uvicorn complains of; its own logger is left as it was."""
    logger = logging.getLogger("uvicorn.error")
    before = (logger.handlers, logger.level, logger.propagate)
    told: list[tuple[str, str]] = []
    UvicornLog(lambda level, message: told.append((level, message))).install()
    yield told
    logger.handlers, logger.level, logger.propagate = before


class Door:
    """A handler of which `/slow` waits for the test, and `/stuck` for ever."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.gate = asyncio.Event()
        self.cancelled = 0

    async def __call__(self, request: HttpRequest) -> Answer:
        if request.path == "/broken":
            raise ZeroDivisionError("a defect")
        if request.path != "/":
            self.began.set()
            try:
                await (self.gate if request.path == "/slow" else asyncio.Event()).wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return text("ok")


class Running:
    """A server and the sockets it serves."""

    def __init__(self, server: Server, sockets: list[socket.socket], handling: Handling) -> None:
        self.server = server
        self.handling = handling
        self.door = Door()
        self.sockets = sockets
        self.places = [each.getsockname() for each in sockets]
        self.peers: list[Peer] = []
        self.ended = asyncio.Event()

    async def connect(self, index: int = 0) -> Peer:
        place = self.places[index]
        if isinstance(place, tuple):
            peer = Peer(*await asyncio.open_connection(*place))
        else:
            peer = Peer(*await asyncio.open_unix_connection(place))
        self.peers.append(peer)
        return peer

    async def begin(self, path: bytes, index: int = 0) -> Peer:
        peer = await self.connect(index)
        await peer.write(GET % path)
        return peer

    async def is_open(self) -> bool:
        try:
            await self.connect()
        except OSError:
            return False
        return True


@asynccontextmanager
async def running(
    *sockets: socket.socket,
    drain_timeout_s: float = 30.0,
    signals: bool = False,
    on_stop: Callable[[], None] | None = None,
    **options: float,
) -> AsyncGenerator[Running]:
    """A server that is ready; it must end by itself once the test is done."""
    door = Door()
    listening = list(sockets) or [socket.create_server(("127.0.0.1", 0))]
    app = adapter(door)
    server = Server(app, drain_timeout_s, signals=signals, on_stop=on_stop, **options)  # type: ignore[arg-type]
    assert isinstance(app.handler, Handling)
    made = Running(server, listening, app.handler)
    made.door = door

    async def run() -> None:
        await serve(server, listening)
        made.ended.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run())
        await server.wait_ready()
        yield made
    for peer in made.peers:
        await peer.leave()


def test_every_socket_is_served_and_closed_in_the_end(loop, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    async def scene() -> None:
        unix = socket.socket(socket.AF_UNIX)
        unix.bind("s")
        unix.listen()
        async with running(socket.create_server(("127.0.0.1", 0)), unix) as made:
            for index in range(2):
                peer = await made.begin(b"/", index)
                got = await peer.answer()
                assert (got.status, got.body) == (200, b"ok")
                assert "server" not in got.headers
                made.server.stop()
        assert [each.fileno() for each in made.sockets] == [-1, -1]

    play(scene, loop)


def test_stopping_lets_answers_under_way_end(loop):
    async def scene() -> None:
        stops: list[str] = []
        async with running(on_stop=lambda: stops.append("stop")) as made:
            peer = await made.begin(b"/slow")
            await made.door.began.wait()
            made.server.stop()
            assert stops == ["stop"]
            await until(lambda: made.sockets[0].fileno() == -1)
            assert not await made.is_open()
            assert not made.ended.is_set()
            made.door.gate.set()
            got = await peer.answer()
            assert (got.status, got.body) == (200, b"ok")
            assert await peer.at_end()
        assert made.door.cancelled == 0
        assert stops == ["stop"]

    play(scene, loop)


def test_stopping_closes_connections_that_wait_for_nothing(loop):
    async def scene() -> None:
        async with running() as made:
            peer = await made.begin(b"/")
            await peer.answer()
            made.server.stop()
            assert await peer.at_end()

    play(scene, loop)


@pytest.mark.parametrize("how", ["twice", "now"])
def test_stopping_at_once_ends_answers_under_way(loop, how: str, told: list[tuple[str, str]]):
    async def scene() -> None:
        stops: list[str] = []
        async with running(on_stop=lambda: stops.append("stop")) as made:
            await made.begin(b"/stuck")
            await made.door.began.wait()
            if how == "twice":
                made.server.stop()
                made.server.stop()
            else:
                made.server.stop(now=True)
            await made.ended.wait()
        assert made.door.cancelled == 1
        assert stops == ["stop"]
        assert told == []

    play(scene, loop)


def test_answers_that_do_not_end_in_time_are_ended(loop, told: list[tuple[str, str]]):
    async def scene() -> None:
        async with running(drain_timeout_s=1.0) as made:
            await made.begin(b"/stuck")
            await made.door.began.wait()
            made.server.stop()
            await made.ended.wait()
        assert made.door.cancelled == 1
        ((level, message),) = told
        assert level == "error"
        assert "timeout graceful shutdown exceeded" in message

    play(scene, loop)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_the_word_to_stop_and_the_second_does_not_wait(loop, number: signal.Signals):
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT)}

    async def scene() -> None:
        async with running(signals=True) as made:
            await made.begin(b"/stuck")
            await made.door.began.wait()
            os.kill(os.getpid(), number)
            await until(lambda: made.server.should_exit)
            assert made.door.cancelled == 0
            os.kill(os.getpid(), number)
            await made.ended.wait()
            os.kill(os.getpid(), number)  # it has still to say that it has stopped
        assert made.door.cancelled == 1

    try:
        play(scene, loop)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def test_a_server_that_is_told_before_it_is_ready_stops_all_the_same(loop):
    async def scene() -> None:
        server = Server(adapter(Door()), 1.0, signals=False)
        server.stop()
        await serve(server, [socket.create_server(("127.0.0.1", 0))])
        await server.wait_ready()

    play(scene, loop)


def test_a_defect_outside_of_every_door_is_told(loop, told: list[tuple[str, str]]):
    async def scene() -> None:
        async with running(fast=False) as made:
            peer = await made.begin(b"/broken")
            assert (await peer.answer()).status == 500
            made.server.stop()

    play(scene, loop)
    assert told == [("error", "Exception in ASGI application: ZeroDivisionError('a defect')")]


def test_a_defect_on_the_fast_path_is_the_handlers_to_tell(loop, told: list[tuple[str, str]]):
    async def scene() -> list[Exception]:
        async with running() as made:
            peer = await made.begin(b"/broken")
            assert (await peer.answer()).status == 500
            made.server.stop()
            return made.handling.broken

    (defect,) = play(scene, loop)
    assert isinstance(defect, ZeroDivisionError)
    assert told == []


def test_who_does_not_send_a_whole_request_is_sent_away(loop):
    async def scene() -> None:
        async with running(read_timeout_s=0.01) as made:
            peer = await made.connect()
            await peer.write(b"GET / HT")
            assert (await peer.answer()).status == 408
            assert await peer.at_end()
            made.server.stop()

    play(scene, loop)


def test_what_uvicorn_says_goes_to_us_alone(
    told: list[tuple[str, str]], capfd: pytest.CaptureFixture[str]
):
    logger = logging.getLogger("uvicorn.error")
    logger.info("nothing to see")
    logger.warning("something %s", "odd")
    try:
        raise asyncio.CancelledError
    except asyncio.CancelledError:
        logger.exception("ended")
    assert told == [("warning", "something odd")]
    assert capfd.readouterr() == ("", "")


# Listeners that come and go


def test_a_socket_may_be_served_later_and_left_again(loop):
    async def scene() -> None:
        async with running() as made:
            later = socket.create_server(("127.0.0.1", 0))
            entrance = Entrance("later")
            await made.server.open(later, entrance)
            made.places.append(later.getsockname())
            peer = await made.begin(b"/slow", 1)
            await made.door.began.wait()
            leaving = asyncio.ensure_future(made.server.leave(entrance))
            await until(lambda: later.fileno() == -1)
            with pytest.raises(OSError):
                await made.connect(1)
            other = await made.begin(b"/")
            assert "connection" not in (await other.answer()).headers
            assert not leaving.done()
            made.door.gate.set()
            got = await peer.answer()
            assert (got.status, got.body) == (200, b"ok")
            assert got.headers["connection"] == "close"
            assert await peer.at_end()
            await leaving
            assert await made.is_open()
            made.server.stop()

    play(scene, loop)


def test_who_does_not_end_in_time_is_cut_where_a_socket_is_left(loop, told: list[tuple[str, str]]):
    async def scene() -> None:
        async with running(drain_timeout_s=0.2) as made:
            peer = await made.begin(b"/stuck")
            await made.door.began.wait()
            await made.server.leave(next(iter(made.server._open)))
            assert await peer.at_end()
            await until(lambda: made.door.cancelled == 1)
            made.server.stop()
        assert told == [
            ("warning", ": 1 connection(s) cut, which did not end within 0.2 s of its closing")
        ]

    play(scene, loop)


def test_handing_over_answers_what_comes_on_open_connections_and_lets_nobody_else_in(loop):
    async def scene() -> None:
        async with running() as made:
            idle = await made.begin(b"/")
            assert "connection" not in (await idle.answer()).headers
            made.server.hand_over()
            await until(lambda: made.sockets[0].fileno() == -1)
            assert not await made.is_open()
            await idle.write(GET % b"/")
            got = await idle.answer()
            assert (got.status, got.headers["connection"]) == (200, "close")
            assert await idle.at_end()

    play(scene, loop)


def test_after_handing_over_who_says_nothing_for_long_is_let_go(loop, monkeypatch):
    monkeypatch.setattr(server_module, "LINGER_S", 0.2)

    async def scene() -> None:
        async with running(drain_timeout_s=3600.0) as made:
            silent = await made.connect()
            busy = await made.begin(b"/slow")
            await made.door.began.wait()
            made.server.hand_over()
            assert await silent.at_end()
            assert not made.ended.is_set()
            made.door.gate.set()
            assert (await busy.answer()).status == 200

    play(scene, loop)
