import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine

import pytest

from modelmux.errors import Interrupted
from modelmux.ir import events as ev
from modelmux.ir.parts import Text
from modelmux.ir.request import Envelope
from modelmux.ir.response import Response, Usage
from modelmux.target import sharing as module
from modelmux.target.chunks import Chunks
from modelmux.target.reply import Events, Reply, Whole
from modelmux.target.sharing import Sharing
from tests.support import linewire
from tests.support.linewire import LineWire
from tests.support.targets import Connection

WIRE, OTHER = LineWire("ours"), LineWire("theirs")
ASKED = Envelope("m", stream=True)


class World:
    """A shared answer, and what became of it."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        self.ended: list[Response | None] = []
        self.closed: list[tuple[bool, Usage | None]] = []
        reply.on_end(lambda each: self.closed.append((each.complete, each.summary.usage)))
        self.sharing = Sharing(reply, lambda _, response: self.ended.append(response))


def streamed(connection: Connection) -> World:
    return World(Reply(Chunks(WIRE, connection), target="p/m", aclose=connection.aclose))


async def all_of(reply: Reply, wire: LineWire = WIRE) -> bytes:
    return b"".join([piece async for piece in reply.stream(wire, ASKED)])


def run(test: Callable[[], Coroutine[None, None, None]]) -> None:
    asyncio.run(test())


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


WHOLE = b"".join(linewire.stream("hi there"))


def test_one_reader_gets_the_bytes_and_the_answer_is_told():
    async def test() -> None:
        connection = Connection(linewire.stream("hi there"))
        world = streamed(connection)
        assert await all_of(world.sharing.reader()) == WHOLE
        (response,) = world.ended
        assert response is not None
        assert (response.parts, response.usage) == ((Text("hithere"),), Usage(3, 2))
        assert world.closed == [(True, Usage(3, 2))]
        assert connection.closed == 1

    run(test)


def test_who_comes_late_gets_it_from_the_beginning_on_any_wire_whole_or_streamed():
    async def test() -> None:
        gate = asyncio.Event()
        connection = Connection(linewire.stream("hi there"), gate=gate, hold_after=2)
        world = streamed(connection)
        first = asyncio.ensure_future(all_of(world.sharing.reader()))
        await settle()
        others = [
            asyncio.ensure_future(all_of(world.sharing.reader())),
            asyncio.ensure_future(all_of(world.sharing.reader(), OTHER)),
            asyncio.ensure_future(world.sharing.reader().body(OTHER, Envelope("m"))),
        ]
        await settle()
        gate.set()
        assert await first == await others[0] == WHOLE
        assert b"say there" in await others[1]
        assert await others[2] == linewire.answer_body("hithere")
        assert connection.taken == 4
        assert connection.closed == 1
        assert len(world.ended) == 1

    run(test)


def test_a_reader_that_leaves_takes_nothing_from_the_others_and_the_next_one_pays():
    async def test() -> None:
        gate = asyncio.Event()
        connection = Connection(linewire.stream("hi there"), gate=gate, hold_after=2)
        world = streamed(connection)
        leader = world.sharing.reader()
        leading = asyncio.ensure_future(all_of(leader))
        await settle()
        follower = world.sharing.reader()
        following = asyncio.ensure_future(all_of(follower))
        await settle()
        assert (leader.saved, follower.saved) == (False, True)
        leading.cancel()
        await settle()
        assert connection.closed == 0
        assert not follower.saved
        gate.set()
        assert await following == WHOLE
        assert world.ended[0] is not None
        assert world.closed == [(True, Usage(3, 2))]

    run(test)


def test_the_last_reader_to_leave_ends_the_call():
    async def test() -> None:
        connection = Connection(linewire.stream(), gate=asyncio.Event(), hold_after=1)
        world = streamed(connection)
        readers = [asyncio.ensure_future(all_of(world.sharing.reader())) for _ in range(3)]
        await settle()
        for reader in readers:
            reader.cancel()
        await settle()
        assert connection.closed == 1
        assert world.ended == [None]
        assert world.closed == [(False, None)]
        assert not world.sharing.is_open

    run(test)


@pytest.mark.parametrize(
    "frames",
    [
        linewire.frames("start id m", "say hi", "fail overloaded busy"),
        linewire.frames("start id m", "say hi"),
    ],
    ids=["failed", "cut"],
)
def test_a_stream_that_breaks_is_broken_for_all_and_is_no_answer(frames: list[bytes]):
    async def test() -> None:
        world = streamed(Connection(frames))
        readers = [world.sharing.reader() for _ in range(2)]
        both = await asyncio.gather(*(all_of(reader) for reader in readers))
        assert all(b"fail" in each for each in both)
        assert world.ended == [None]
        assert not world.closed[0][0]

    run(test)


def test_a_connection_that_breaks_is_told_to_all():
    async def test() -> None:
        world = streamed(Connection(linewire.frames("start id m"), error=Interrupted("broke")))
        readers = [world.sharing.reader() for _ in range(3)]
        all_three = await asyncio.gather(*(all_of(reader) for reader in readers))
        assert all(b"broke" in each for each in all_three)
        assert world.ended == [None]

    run(test)


def test_a_stream_too_long_to_be_held_goes_on_for_its_readers_and_takes_no_more(
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(module, "MAX_HELD_BYTES", 1000)

    async def test() -> None:
        words = " ".join(f"{number:050}" for number in range(200))
        connection = Connection(linewire.stream(words))
        world = streamed(connection)
        ahead, behind = world.sharing.reader(), world.sharing.reader()
        quick = asyncio.ensure_future(all_of(ahead))
        slow = behind.stream(WIRE, ASKED)
        said = await anext(slow)
        await settle()
        assert not quick.done()  # it waits for the other one
        assert connection.taken < 60
        assert world.ended == [None]
        assert not world.sharing.is_open
        said += b"".join([piece async for piece in slow])
        assert await quick == said == b"".join(linewire.stream(words))
        assert world.sharing._stream is not None
        assert sum(map(len, world.sharing._stream.pieces)) < 5000

    run(test)


def test_a_slow_reader_that_leaves_lets_the_quick_one_go_on(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "MAX_HELD_BYTES", 100)

    async def test() -> None:
        words = " ".join(f"{number:050}" for number in range(50))
        world = streamed(Connection(linewire.stream(words)))
        ahead, behind = world.sharing.reader(), world.sharing.reader()
        slow = behind.stream(WIRE, ASKED)
        await anext(slow)
        quick = asyncio.ensure_future(all_of(ahead))
        await settle()
        assert not quick.done()
        await slow.aclose()
        assert await quick == b"".join(linewire.stream(words))

    run(test)


def test_a_whole_answer_is_shared_and_told():
    async def test() -> None:
        world = World(Reply(Whole(WIRE, linewire.answer_body()), target="p/m"))
        first, second = world.sharing.reader(), world.sharing.reader()
        assert await first.body(WIRE, Envelope("m")) == linewire.answer_body()
        assert world.closed == []
        assert b"say hi" in await all_of(second)
        (response,) = world.ended
        assert response is not None
        assert response.parts == (Text("hi"),)
        assert world.closed == [(True, Usage(3, 2))]

    run(test)


def test_events_of_our_own_are_for_one_reader_and_told():
    async def made() -> AsyncIterator[ev.Event]:
        yield ev.Start("id", "m")
        yield ev.PartStart(0, Text())
        yield ev.PartDelta(0, "hi")
        yield ev.PartEnd(0)
        yield ev.Finish("stop", Usage(1, 1))

    async def test() -> None:
        world = World(Reply(Events(made()), target="p/m"))
        assert not world.sharing.is_open
        assert b"say hi" in await all_of(world.sharing.reader())
        (response,) = world.ended
        assert response is not None
        assert response.parts == (Text("hi"),)

    run(test)


def test_a_secret_that_was_quoted_in_a_stream_is_not_kept():
    async def test() -> None:
        connection = Connection(linewire.stream("the sk-secret-1 key"))
        reply = Reply(Chunks(WIRE, connection), target="p/m")
        reply.credential = b"sk-secret-1"
        world = World(reply)
        assert b"sk-secret-1" not in await all_of(world.sharing.reader())
        (response,) = world.ended
        assert response is not None
        assert response.parts == (Text("the…key"),)

    run(test)
