"""Places, waiters and idle connections, on a clock that only the test moves."""

import asyncio

import pytest

from modelmux.errors import Interrupted, Unreachable
from modelmux.transport.connection import Connection
from modelmux.transport.pool import SWEEP_INTERVAL_S, Pool, PoolLimits
from tests.unit.transport.loopback import (
    OK,
    POST,
    TIMEOUTS,
    ClockLoop,
    Wire,
    begin,
    pass_time,
    play,
    settle,
)


def run(scene):
    return play(scene, ClockLoop)


def made(**limits) -> Pool:
    pool = Pool("http://test", PoolLimits(**limits))
    pool.sweep_on(asyncio.get_running_loop())
    return pool


def open_in(pool: Pool) -> Connection:
    """A new connection in a free place."""
    assert pool.reserve()
    connection = Connection(pool, "http://test", asyncio.get_running_loop())
    connection.connection_made(Wire())
    pool.admit(connection)
    return connection


def wait(pool: Pool, expires_at: float | None = None) -> "asyncio.Future[Connection | None]":
    return begin(pool.wait(asyncio.get_running_loop(), expires_at))


def use(connection: Connection) -> None:
    connection.start(POST, b"", TIMEOUTS, None)
    connection.data_received(OK)


def test_there_are_so_many_places_and_no_more():
    async def scene():
        pool = made(max_connections=2)
        open_in(pool)
        assert pool.reserve()
        assert not pool.reserve()
        pool.free()
        assert pool.reserve()

    run(scene)


def test_the_connection_used_last_is_used_next():
    async def scene():
        pool = made()
        first, second = open_in(pool), open_in(pool)
        use(first)
        use(second)
        assert pool.take() is second
        assert pool.take() is first
        assert pool.take() is None

    run(scene)


def test_a_free_connection_goes_to_who_waited_longest():
    async def scene():
        pool = made(max_connections=1)
        connection = open_in(pool)
        first, second = wait(pool), wait(pool)
        await settle()
        assert pool.waiting == 2
        use(connection)
        assert await first is connection
        assert not second.done()
        assert pool.idle_connections == 0
        use(connection)
        assert await second is connection

    run(scene)


def test_a_free_place_goes_to_who_waited_longest():
    async def scene():
        pool = made(max_connections=1)
        connection = open_in(pool)
        first, second = wait(pool), wait(pool)
        await settle()
        connection.retire()
        assert await first is None
        assert not second.done()
        assert not pool.reserve()
        pool.free()
        assert await second is None

    run(scene)


def test_a_waiter_that_is_cancelled_is_passed_over():
    async def scene():
        pool = made(max_connections=1)
        connection = open_in(pool)
        first, second = wait(pool), wait(pool)
        await settle()
        first.cancel()
        use(connection)
        assert await second is connection
        assert first.cancelled()
        third = wait(pool)
        await settle()
        third.cancel()
        await settle()
        assert pool.waiting == 0

    run(scene)


def test_a_connection_granted_to_a_waiter_that_is_cancelled_goes_to_the_next():
    async def scene():
        pool = made(max_connections=1)
        connection = open_in(pool)
        first, second = wait(pool), wait(pool)
        await settle()
        use(connection)
        first.cancel()
        assert await second is connection
        third = wait(pool)
        await settle()
        use(connection)
        third.cancel()
        await settle()
        assert pool.take() is connection

    run(scene)


def test_a_place_granted_to_a_waiter_that_is_cancelled_is_free_again():
    async def scene():
        pool = made(max_connections=1)
        connection = open_in(pool)
        first = wait(pool)
        await settle()
        connection.retire()
        first.cancel()
        await settle()
        assert pool.reserve()
        assert not pool.reserve()

    run(scene)


def test_a_connection_that_ended_is_not_given_back_by_a_cancelled_waiter():
    async def scene():
        pool = made(max_connections=1)
        connection = open_in(pool)
        waiter = wait(pool)
        await settle()
        use(connection)
        connection.eof_received()
        waiter.cancel()
        await settle()
        assert pool.take() is None
        assert pool.reserve()

    run(scene)


def test_a_connection_that_ends_before_its_waiters_turn_leaves_the_waiter_in_front():
    async def scene():
        pool = made(max_connections=1)
        connection = open_in(pool)
        first, second, third = wait(pool), wait(pool), wait(pool)
        await settle()
        use(connection)
        connection.eof_received()
        # The place went to the second, which stood in front at that moment; the first is next.
        assert await second is None
        assert not first.done()
        pool.free()
        assert await first is None
        assert not third.done()
        third.cancel()

    run(scene)


def test_waiting_ends_when_its_time_is_over():
    async def scene():
        pool = made(max_connections=1)
        open_in(pool)
        now = asyncio.get_running_loop().time()
        first, second = wait(pool, now + 5), wait(pool, now + 10)
        await pass_time(4.9)
        assert not first.done()
        await pass_time(SWEEP_INTERVAL_S)
        with pytest.raises(TimeoutError):
            await first
        assert pool.waiting == 1
        second.cancel()

    run(scene)


def test_only_so_many_may_wait():
    async def scene():
        pool = made(max_connections=1, max_waiting=2)
        open_in(pool)
        waiting = [wait(pool), wait(pool)]
        await settle()
        with pytest.raises(Unreachable, match="all 1 connections are busy and 2 calls wait"):
            await wait(pool)
        for waiter in waiting:
            waiter.cancel()

    run(scene)


def test_more_than_so_many_idle_connections_are_closed_the_longest_idle_first():
    async def scene():
        pool = made(max_idle=2)
        connections = [open_in(pool) for _ in range(3)]
        for connection in connections:
            use(connection)
        assert [c.is_closed for c in connections] == [True, False, False]
        assert (pool.idle_connections, pool.open_connections) == (2, 2)

    run(scene)


def test_without_room_for_idle_connections_none_is_kept():
    async def scene():
        pool = made(max_idle=0)
        connection = open_in(pool)
        use(connection)
        assert connection.is_closed
        assert (pool.idle_connections, pool.open_connections) == (0, 0)

    run(scene)


def test_a_connection_that_is_idle_for_too_long_is_closed():
    async def scene():
        pool = made(idle_expiry_s=50)
        first, second = open_in(pool), open_in(pool)
        use(first)
        await pass_time(20)
        use(second)
        await pass_time(29.9)
        assert not first.is_closed
        await pass_time(0.1)
        assert first.is_closed
        assert not second.is_closed
        await pass_time(20)
        assert second.is_closed
        assert pool.open_connections == 0

    run(scene)


def test_without_expiry_an_idle_connection_stays():
    async def scene():
        pool = made(idle_expiry_s=0)
        connection = open_in(pool)
        use(connection)
        await pass_time(1e6)
        assert not connection.is_closed

    run(scene)


def test_an_idle_connection_that_the_server_closes_is_gone_at_once():
    async def scene():
        pool = made()
        first, second = open_in(pool), open_in(pool)
        use(first)
        use(second)
        first.eof_received()
        assert (pool.idle_connections, pool.open_connections) == (1, 1)
        assert pool.take() is second

    run(scene)


def test_nobody_looks_at_the_clock_while_nothing_is_under_way():
    async def scene():
        pool = made(idle_expiry_s=0)
        await pass_time(SWEEP_INTERVAL_S)
        assert not pool.is_sweeping
        connection = open_in(pool)
        connection.start(POST, b"", TIMEOUTS, None)
        pool.sweep_on(asyncio.get_running_loop())
        for _ in range(3):
            await pass_time(SWEEP_INTERVAL_S)
            assert pool.is_sweeping
        connection.data_received(OK)
        await pass_time(SWEEP_INTERVAL_S)
        assert not pool.is_sweeping

    run(scene)


def test_one_timer_is_enough():
    async def scene():
        loop = asyncio.get_running_loop()
        pool = made(idle_expiry_s=50)
        connection = open_in(pool)
        for _ in range(3):
            use(connection)
            assert pool.take() is connection
            use(connection)
            await pass_time(SWEEP_INTERVAL_S)
            assert not pool.is_sweeping
            pool.sweep_on(loop)
            assert len([timer for timer in loop._scheduled if not timer.cancelled()]) == 1
            assert pool.take() is connection

    run(scene)


def test_the_sweeper_ends_what_takes_too_long():
    async def scene():
        pool = made()
        connection = open_in(pool)
        response = connection.start(POST, b"", TIMEOUTS, None)
        await pass_time(TIMEOUTS.first_byte_s)
        assert response.error is not None
        assert pool.open_connections == 0

    run(scene)


def test_the_place_of_a_stale_connection_is_kept_for_its_successor():
    async def scene():
        pool = made(max_connections=1)
        connection = open_in(pool)
        use(connection)
        assert pool.take() is connection
        waiter = wait(pool)
        await settle()
        response = connection.start(POST, b"", TIMEOUTS, None)
        connection.connection_lost(None)
        assert response.is_stale
        assert not waiter.done()
        pool.inherit(connection)
        assert not pool.reserve()
        pool.free()
        assert await waiter is None

    run(scene)


def test_closing_fails_who_waits_and_what_is_under_way():
    async def scene():
        pool = made(max_connections=2)
        busy, idle = open_in(pool), open_in(pool)
        use(idle)
        response = busy.start(POST, b"", TIMEOUTS, None)
        pool.take()
        waiter = wait(pool)
        await settle()
        pool.close()
        with pytest.raises(Interrupted, match="the client was closed"):
            await waiter
        assert isinstance(response.error, Interrupted)
        assert busy.is_closed
        assert idle.is_closed
        closing = begin(pool.wait_closed())
        await settle()
        assert not closing.done()
        busy.connection_lost(None)
        idle.connection_lost(None)
        await closing
        with pytest.raises(Interrupted):
            pool.check_open()

    run(scene)
