import asyncio
from collections.abc import Sequence

import pytest

from modelmux.errors import (
    Interrupted,
    Overloaded,
    ProtocolViolation,
    RateLimited,
    TargetError,
    Unreachable,
)
from modelmux.layer.peek import Peek
from modelmux.target.reply import Reply
from tests.support import linewire, targets
from tests.support.linewire import LineWire
from tests.support.targets import Connection, Fake, FakeClock

WIRE = LineWire()


def peek(*script: targets.Answer | BaseException, clock: FakeClock | None = None) -> Peek:
    return Peek(Fake(*script), now=clock or FakeClock())


def test_an_error_in_a_stream_of_status_200_is_raised_and_its_connection_given_up():
    connection = Connection(linewire.frames("fail overloaded come back"))
    target = peek(targets.streamed(connection, wire=WIRE, target="p/m"))
    with pytest.raises(Overloaded, match="come back") as caught:
        asyncio.run(target.send(targets.call(WIRE, stream=True)))
    assert caught.value.target == "p/m"
    assert connection.closed == 1


@pytest.mark.parametrize(
    "chunks",
    [
        linewire.stream(),
        [b"".join(linewire.stream())],
        [bytes([byte]) for byte in b"".join(linewire.stream())],
        [*linewire.frames("ping", "ping"), *linewire.stream()],
    ],
    ids=["by frame", "at once", "by byte", "after pings"],
)
def test_a_stream_that_answers_is_passed_on_with_every_byte(chunks: Sequence[bytes]):
    async def run() -> bytes:
        call = targets.call(WIRE, stream=True)
        reply = await peek(targets.streamed(Connection(chunks), wire=WIRE)).send(call)
        return await targets.read(reply, call)

    assert asyncio.run(run()) == b"".join(chunks)


def test_a_ping_commits_nobody():
    connection = Connection(linewire.frames("ping", "fail rate_limit slow down"))
    target = peek(targets.streamed(connection, wire=WIRE))
    with pytest.raises(RateLimited):
        asyncio.run(target.send(targets.call(WIRE, stream=True)))


def test_no_more_of_a_stream_is_read_than_its_first_event():
    async def run() -> int:
        connection = Connection(linewire.stream())
        reply = await peek(targets.streamed(connection, wire=WIRE)).send(
            targets.call(WIRE, stream=True)
        )
        await reply.aclose()
        return connection.taken

    assert asyncio.run(run()) == 1


def test_a_stream_that_ends_before_it_began_is_raised():
    connection = Connection([])
    with pytest.raises(TargetError) as caught:
        asyncio.run(
            Peek(Fake(targets.streamed(connection, wire=WIRE, target="")), now=FakeClock()).send(
                targets.call(WIRE, stream=True)
            )
        )
    assert caught.value.target == "p/m"
    assert connection.closed == 1


def test_a_connection_that_breaks_before_the_first_event_is_raised():
    connection = Connection([], error=Interrupted("reset"))
    target = peek(targets.streamed(connection, wire=WIRE))
    with pytest.raises(Interrupted):
        asyncio.run(target.send(targets.call(WIRE, stream=True)))
    assert connection.closed == 1


def test_an_error_in_a_whole_answer_of_status_200_is_raised():
    body = linewire.error_body("overloaded", "busy")
    with pytest.raises(Overloaded, match="busy"):
        asyncio.run(peek(targets.whole(body, wire=WIRE)).send(targets.call(WIRE)))


def test_an_answer_that_its_caller_could_not_be_told_is_raised_while_others_may_be_tried():
    class Unreadable(LineWire):
        def decode_response(self, body: bytes):
            raise ProtocolViolation("not an answer")

    theirs = Unreadable("theirs")
    with pytest.raises(ProtocolViolation):
        asyncio.run(peek(targets.whole(wire=theirs)).send(targets.call(WIRE)))


def test_an_answer_on_the_callers_own_wire_is_not_decoded():
    wire = LineWire()

    async def run() -> bytes:
        call = targets.call(wire)
        return await targets.read(await peek(targets.whole(wire=wire)).send(call), call)

    assert asyncio.run(run()) == linewire.answer_body()
    assert wire.decoded_responses == 0


def test_what_the_target_raises_is_raised():
    exc = Unreachable("no connection")
    with pytest.raises(Unreachable) as caught:
        asyncio.run(peek(exc).send(targets.call(WIRE)))
    assert caught.value is exc


def test_a_caller_who_leaves_while_waiting_for_the_first_event_frees_the_connection():
    connection: Connection

    async def run() -> None:
        nonlocal connection
        connection = Connection([], gate=asyncio.Event())
        sending = asyncio.ensure_future(
            peek(targets.streamed(connection, wire=WIRE)).send(targets.call(WIRE, stream=True))
        )
        await asyncio.sleep(0)
        sending.cancel()
        await asyncio.wait((sending,))
        assert sending.cancelled()

    asyncio.run(run())
    assert connection.closed == 1


def test_a_defect_while_peeking_frees_the_connection():
    class Defect(Exception):
        pass

    class Broken(LineWire):
        def decode_response(self, body: bytes):
            raise Defect

    closed: list[int] = []

    async def aclose() -> None:
        closed.append(1)

    def answer() -> Reply:
        reply = targets.whole(wire=Broken())()
        reply._aclose = aclose
        return reply

    with pytest.raises(Defect):
        asyncio.run(peek(answer).send(targets.call(WIRE)))
    assert closed == [1]


def test_time_spent_waiting_for_the_first_event_is_the_targets_and_not_ours():
    clock = FakeClock()

    async def run() -> float:
        gate = asyncio.Event()
        connection = Connection(linewire.stream(), gate=gate)
        call = targets.call(WIRE, stream=True)
        target = peek(targets.streamed(connection, wire=WIRE), clock=clock)
        sending = asyncio.ensure_future(target.send(call))
        await asyncio.sleep(0)
        clock.advance(0.25)
        gate.set()
        await (await sending).aclose()
        return call.meter.waited_s

    assert asyncio.run(run()) == 0.25


def test_reading_a_whole_answer_counts_as_our_time():
    async def run() -> float:
        call = targets.call(WIRE)
        reply = await peek(targets.whole(wire=WIRE)).send(call)
        await reply.aclose()
        return call.meter.waited_s

    assert asyncio.run(run()) == 0.0
