"""How a response is read while it comes: the waiting side, on a loop of its own."""

import asyncio

import pytest

from modelmux.errors import Interrupted, ProtocolViolation
from modelmux.transport.connection import Connection
from modelmux.transport.head import Head
from tests.unit.transport.loopback import LOOPS, OK, POST, TIMEOUTS, Owner, Wire, begin, play

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def connect() -> tuple[Connection, Wire]:
    wire = Wire()
    connection = Connection(Owner(), "http://test", asyncio.get_running_loop())
    connection.connection_made(wire)
    return connection, wire


@pytest.fixture(params=LOOPS)
def loop(request):
    return LOOPS[request.param]


def test_iterating_gives_all_that_came_since_the_last_time(loop):
    async def scene():
        connection, _ = connect()
        response = connection.start(POST, b"", TIMEOUTS, None)
        connection.data_received(CHUNKED + b"1\r\na\r\n1\r\nb\r\n")
        connection.data_received(b"1\r\nc\r\n")
        assert await anext(response) == b"abc"
        waiting = begin(anext(response))
        await asyncio.sleep(0)
        connection.data_received(b"1\r\nd\r\n")
        connection.data_received(b"1\r\ne\r\n0\r\n\r\n")
        assert await waiting == b"de"
        assert [chunk async for chunk in response] == []

    play(scene, loop)


def test_a_whole_response_is_read_without_waiting(loop):
    async def scene():
        connection, _ = connect()
        response = connection.start(POST, b"", TIMEOUTS, None)
        connection.data_received(OK)
        reading = response.read(2)
        with pytest.raises(StopIteration) as stop:
            reading.send(None)
        assert stop.value.value == b"ok"

    play(scene, loop)


def test_framing_without_a_byte_of_body_yields_nothing(loop):
    async def scene():
        connection, _ = connect()
        response = connection.start(POST, b"", TIMEOUTS, None)
        connection.data_received(CHUNKED)
        waiting = begin(anext(response))
        for byte in b"1;x=y\r\n":
            connection.data_received(bytes([byte]))
            await asyncio.sleep(0)
        assert not waiting.done()
        connection.data_received(b"a\r\n")
        assert await waiting == b"a"

    play(scene, loop)


def test_a_cut_stream_gives_its_bytes_first_and_then_fails(loop):
    async def scene():
        connection, _ = connect()
        response = connection.start(POST, b"", TIMEOUTS, None)
        connection.data_received(CHUNKED + b"1\r\na\r\n")
        connection.connection_lost(None)
        assert await anext(response) == b"a"
        for _ in range(2):
            with pytest.raises(Interrupted):
                await anext(response)

    play(scene, loop)


def test_reading_a_cut_response_gives_no_part_of_it(loop):
    async def scene():
        connection, _ = connect()
        response = connection.start(POST, b"", TIMEOUTS, None)
        connection.data_received(CHUNKED + b"1\r\na\r\n")
        reading = begin(response.read(100))
        await asyncio.sleep(0)
        connection.connection_lost(None)
        with pytest.raises(Interrupted):
            await reading

    play(scene, loop)


@pytest.mark.parametrize(("max_bytes", "fits"), [(5, True), (4, False), (0, False)])
def test_a_body_longer_than_allowed_is_refused(loop, max_bytes, fits):
    async def scene():
        connection, wire = connect()
        response = connection.start(POST, b"", TIMEOUTS, None)
        connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n1")
        reading = begin(response.read(max_bytes))
        await asyncio.sleep(0)
        connection.data_received(b"2345")
        if fits:
            assert await reading == b"12345"
            return
        for again in (reading, response.read(100)):
            with pytest.raises(ProtocolViolation, match=f"longer than {max_bytes} bytes"):
                await again
        assert wire.is_aborted == (max_bytes == 0)

    play(scene, loop)


def test_reading_takes_what_is_paused(loop):
    async def scene():
        connection, wire = connect()
        response = connection.start(POST, b"", TIMEOUTS, None)
        connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 600000\r\n\r\n")
        connection.data_received(bytes(300_000))
        assert wire.is_reading_paused
        reading = begin(response.read(600_000))
        await asyncio.sleep(0)
        assert not wire.is_reading_paused
        connection.data_received(bytes(300_000))
        assert len(await reading) == 600_000

    play(scene, loop)


def test_who_reads_the_whole_is_not_woken_for_a_part(loop):
    async def scene():
        connection, _ = connect()
        response = connection.start(POST, b"", TIMEOUTS, None)
        connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n")
        reading = begin(response.read(3))
        await asyncio.sleep(0)
        connection.data_received(b"a")
        assert not response.waiter.done()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        # Who reads on by parts gets each at once.
        assert await anext(response) == b"a"
        waiting = begin(anext(response))
        await asyncio.sleep(0)
        connection.data_received(b"b")
        assert await waiting == b"b"

    play(scene, loop)


def test_a_response_that_was_closed_ends_its_reader_too(loop):
    async def scene():
        connection, wire = connect()
        response = connection.start(POST, b"", TIMEOUTS, None)
        connection.data_received(CHUNKED)
        waiting = begin(anext(response))
        await asyncio.sleep(0)
        await response.aclose()
        assert wire.is_aborted
        with pytest.raises(Interrupted):
            await waiting

    play(scene, loop)


def test_what_was_not_read_of_a_closed_response_is_never_taken_for_the_end(loop):
    async def scene():
        connection, wire = connect()
        response = connection.start(POST, b"", TIMEOUTS, None)
        connection.data_received(OK)
        await response.aclose()
        assert not wire.is_aborted
        with pytest.raises(Interrupted):
            await response.read(10)

    play(scene, loop)


def test_closing_a_response_that_was_read_changes_nothing(loop):
    async def scene():
        connection, wire = connect()
        response = connection.start(POST, b"", TIMEOUTS, None)
        connection.data_received(OK)
        assert await response.read(10) == b"ok"
        await response.aclose()
        await response.aclose()
        assert await response.read(10) == b""
        assert not wire.is_aborted

    play(scene, loop)


def test_a_reader_that_is_cancelled_may_read_on(loop):
    async def scene():
        connection, _ = connect()
        response = connection.start(POST, b"", TIMEOUTS, None)
        connection.data_received(CHUNKED)
        waiting = begin(anext(response))
        await asyncio.sleep(0)
        waiting.cancel()
        connection.data_received(b"1\r\na\r\n")
        with pytest.raises(asyncio.CancelledError):
            await waiting
        assert await anext(response) == b"a"

    play(scene, loop)


def test_the_first_of_several_fields_is_the_header():
    connection_response = _with_headers(
        Head(b"HTTP/1.1 200 OK\r\nset-cookie: a\r\nset-cookie: b\r\n\r\n")
    )
    assert connection_response.header(b"set-cookie") == b"a"
    assert connection_response.header(b"x-none") is None


def _with_headers(headers):
    async def scene():
        connection, _ = connect()
        response = connection.start(POST, b"", TIMEOUTS, None)
        response.headers = headers
        return response

    return play(scene, asyncio.new_event_loop)
