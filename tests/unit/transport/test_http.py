"""The client of an origin against servers that speak bytes, over TCP, TLS and unix sockets."""

import asyncio
import gzip
import os
import socket

import pytest

from modelmux.errors import Interrupted, ProtocolViolation, TargetTimeout, Unreachable
from modelmux.transport.base import Timeouts
from modelmux.transport.connection import MAX_UNREAD_BYTES, STALE_AFTER_S
from modelmux.transport.http import OriginClient
from modelmux.transport.pool import PoolLimits
from modelmux.transport.tls import Tls
from tests.unit.transport.certificates import make_authority
from tests.unit.transport.loopback import (
    LOOPS,
    OK,
    POST,
    TIMEOUTS,
    ClockLoop,
    answering,
    begin,
    connected,
    exchange,
    pass_time,
    play,
    serving,
    settle,
    until,
)

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
ONE_READ_BYTES = 262_144
"""The most that either loop reads at once."""


@pytest.fixture(params=LOOPS)
def loop(request):
    return LOOPS[request.param]


def test_an_exchange_sends_what_it_was_given_and_gives_what_came(loop):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b'{"a": 1}', TIMEOUTS))
            line = await server.accept()
            request = await line.answer(
                b"HTTP/1.1 201 Made\r\nX-A: b\r\ncontent-length: 3\r\n\r\nabc"
            )
            response = await sending
            assert request == POST + b'content-length: 8\r\n\r\n{"a": 1}'
            assert response.status == 201
            assert list(response.headers) == [(b"x-a", b"b"), (b"content-length", b"3")]
            assert await response.read(10) == b"abc"

    play(scene, loop)


@pytest.mark.parametrize("abstract", [False, True])
def test_a_target_may_live_on_a_unix_socket(loop, tmp_path, abstract):
    path = f"@modelmux-test-{os.getpid()}" if abstract else str(tmp_path / "s.sock")

    async def scene():
        async with serving(unix_path=path) as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"{}", TIMEOUTS))
            line = await server.accept()
            await line.answer()
            assert await (await sending).read(2) == b"ok"
            assert await (await exchange(client, line)).read(2) == b"ok"

    play(scene, loop)


def test_a_target_may_speak_tls(loop, tmp_path):
    authority = make_authority(tmp_path)

    async def scene():
        tls = authority.server("127.0.0.1")
        trust = Tls(ca_file=str(authority.ca_file))
        async with serving(tls=tls) as server, connected(server.url, trust=trust) as client:
            sending = begin(client.send(POST, bytes(300_000), TIMEOUTS))
            line = await server.accept()
            request = await line.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 600000\r\n\r\n")
            line.write(bytes(600_000))
            assert len(request) > 300_000
            assert len(await (await sending).read(600_000)) == 600_000
            assert await (await exchange(client, line)).read(2) == b"ok"
            assert client.counters.reused == 1

    play(scene, loop)


def test_a_large_request_and_a_large_response_pass_each_other(loop):
    async def scene():
        body = os.urandom(3_000_000)
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, body, TIMEOUTS))
            line = await server.accept()
            await line.reader.readuntil(b"\r\n\r\n")
            line.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))

            async def echo() -> None:
                for _ in range(0, len(body), 1_000_000):
                    line.write(await line.reader.readexactly(1_000_000))
                    await line.writer.drain()

            echoing = begin(echo())
            assert await (await sending).read(len(body)) == body
            await echoing
            assert client.counters.idle == 1

    play(scene, loop)


def test_a_compressed_body_comes_decompressed(loop):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            raw = gzip.compress(b"plain")
            head = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n"
            await line.answer(head % len(raw) + raw)
            response = await sending
            assert response.header(b"content-encoding") is None
            assert await response.read(10) == b"plain"

    play(scene, loop)


def test_every_response_belongs_to_its_own_request(loop):
    async def scene():
        limits = PoolLimits(max_connections=4)
        async with serving() as server, connected(server.url, limits=limits) as client:

            async def ask(number: int) -> None:
                body = b"%d" % number
                response = await client.send(POST, body, TIMEOUTS)
                # The connection is somebody else's by now.
                await asyncio.sleep(0)
                assert await response.read(10) == body

            async with answering(server), asyncio.TaskGroup() as asking:
                for number in range(400):
                    asking.create_task(ask(number))
            assert len(server.lines) == 4
            assert client.counters.requests == 400
            assert client.counters.reused == 396

    play(scene, loop)


def test_a_connection_is_used_again_and_counted(loop):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.answer()
            await (await sending).read(2)
            for _ in range(3):
                await (await exchange(client, line)).read(2)
            seen = client.counters
            assert (seen.open, seen.idle, seen.requests, seen.reused) == (1, 1, 4, 3)
            assert len(server.lines) == 1

    play(scene, loop)


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_request_on_a_connection_that_had_been_closed_is_repeated_on_a_fresh_one(loop, ending):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"1", TIMEOUTS))
            line = await server.accept()
            await line.answer()
            await (await sending).read(2)
            sending = begin(client.send(POST, b"2", TIMEOUTS))
            # The server gives the connection up when the request is on its way already.
            await line.request()
            getattr(line, ending)()
            fresh = await server.accept()
            assert (await fresh.answer()).endswith(b"\r\n\r\n2")
            assert await (await sending).read(2) == b"ok"
            seen = client.counters
            assert (seen.repeated, seen.reused, seen.open, seen.idle) == (1, 1, 1, 1)

    play(scene, loop)


def test_a_request_is_not_repeated_a_second_time(loop):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.answer()
            await (await sending).read(2)
            sending = begin(client.send(POST, b"", TIMEOUTS))
            await line.request()
            line.close()
            fresh = await server.accept()
            await fresh.request()
            fresh.close()
            with pytest.raises(Unreachable, match="no answer: it closed the connection"):
                await sending
            assert len(server.lines) == 2
            assert (client.counters.repeated, client.counters.open) == (1, 0)

    play(scene, loop)


def test_a_request_on_a_fresh_connection_is_never_repeated(loop):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.request()
            line.close()
            with pytest.raises(Unreachable):
                await sending
            assert len(server.lines) == 1
            assert client.counters.repeated == 0

    play(scene, loop)


def test_a_request_is_not_repeated_when_an_answer_had_begun(loop):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.answer()
            await (await sending).read(2)
            sending = begin(client.send(POST, b"", TIMEOUTS))
            await line.answer(b"H")
            line.close()
            with pytest.raises(Interrupted, match="cut inside its head"):
                await sending
            assert len(server.lines) == 1

    play(scene, loop)


def test_a_request_is_not_repeated_when_the_target_may_have_worked_on_it():
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.answer()
            await (await sending).read(2)
            sending = begin(client.send(POST, b"", TIMEOUTS))
            await line.request()
            await pass_time(STALE_AFTER_S)
            line.close()
            with pytest.raises(Unreachable):
                await sending
            assert len(server.lines) == 1

    play(scene, ClockLoop)


def test_the_repetition_takes_the_place_of_the_connection_it_replaces(loop):
    async def scene():
        limits = PoolLimits(max_connections=1)
        async with serving() as server, connected(server.url, limits=limits) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.answer()
            await (await sending).read(2)
            first = begin(client.send(POST, b"1", TIMEOUTS))
            await line.request()
            second = begin(client.send(POST, b"2", TIMEOUTS))
            await settle()
            line.close()
            fresh = await server.accept()
            assert (await fresh.answer()).endswith(b"1")
            await (await first).read(2)
            assert (await fresh.answer()).endswith(b"2")
            await (await second).read(2)
            assert len(server.lines) == 2

    play(scene, loop)


def test_a_repetition_that_is_cancelled_leaves_its_place():
    async def scene():
        limits = PoolLimits(max_connections=1)
        async with serving() as server, connected(server.url, limits=limits) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.answer()
            await (await sending).read(2)
            connection = client._pool._idle[0]
            sending = begin(client.send(POST, b"", TIMEOUTS))
            await line.request()
            line.close()
            await until(lambda: connection.is_closed)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert client.counters.open == 0
            sending = begin(client.send(POST, b"", TIMEOUTS))
            await (await server.accept()).answer()
            assert await (await sending).read(2) == b"ok"

    play(scene, asyncio.new_event_loop)


def test_an_idle_connection_that_the_server_closes_is_not_used(loop):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.answer()
            await (await sending).read(2)
            line.close()
            await until(lambda: client.counters.open == 0)
            sending = begin(client.send(POST, b"", TIMEOUTS))
            await (await server.accept()).answer()
            assert await (await sending).read(2) == b"ok"
            assert (client.counters.repeated, client.counters.reused) == (0, 0)

    play(scene, loop)


def test_connection_close_is_honoured(loop):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.answer(OK.replace(b"OK\r\n", b"OK\r\nconnection: close\r\n"))
            assert await (await sending).read(2) == b"ok"
            await line.gone()
            assert client.counters.open == 0

    play(scene, loop)


def test_garbage_behind_a_response_does_not_reach_the_next(loop):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.answer(OK + b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nother")
            assert await (await sending).read(9) == b"ok"
            await line.gone()
            sending = begin(client.send(POST, b"", TIMEOUTS))
            await (await server.accept()).answer()
            assert await (await sending).read(9) == b"ok"

    play(scene, loop)


def test_a_port_where_nobody_listens_is_unreachable(loop):
    async def scene():
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            url = f"http://127.0.0.1:{unused.getsockname()[1]}"
            async with connected(url) as client:
                with pytest.raises(Unreachable) as caught:
                    await client.send(POST, b"", TIMEOUTS)
                assert caught.value.message == f"{url}: no connection: connection refused"
                assert client.counters.open == 0

    play(scene, loop)


def test_a_socket_that_is_not_there_is_unreachable(loop, tmp_path):
    async def scene():
        async with connected(f"unix:{tmp_path}/none.sock") as client:
            with pytest.raises(Unreachable, match=r"none\.sock: no connection: no such file"):
                await client.send(POST, b"", TIMEOUTS)

    play(scene, loop)


def test_a_name_that_does_not_resolve_is_unreachable(loop):
    async def scene():
        async with connected("http://nowhere.invalid") as client:
            with pytest.raises(Unreachable, match="the name does not resolve"):
                await client.send(POST, b"", TIMEOUTS)

    play(scene, loop)


def test_a_certificate_of_an_unknown_authority_is_refused(loop, tmp_path):
    ours, theirs = make_authority(tmp_path), make_authority(tmp_path, "somebody else")

    async def scene():
        trust = Tls(ca_file=str(ours.ca_file))
        tls = theirs.server("127.0.0.1")
        async with serving(tls=tls) as server, connected(server.url, trust=trust) as client:
            with pytest.raises(Unreachable, match="its certificate was refused: unable to get"):
                await client.send(POST, b"", TIMEOUTS)
            assert client.counters.open == 0

    play(scene, loop)


@pytest.mark.parametrize(
    ("host", "is_expired", "said"),
    [("10.1.2.3", False, "IP address mismatch"), ("127.0.0.1", True, "certificate has expired")],
)
def test_a_certificate_that_is_not_the_targets_is_refused(loop, tmp_path, host, is_expired, said):
    authority = make_authority(tmp_path)

    async def scene():
        trust = Tls(ca_file=str(authority.ca_file))
        tls = authority.server(host, is_expired=is_expired)
        async with serving(tls=tls) as server, connected(server.url, trust=trust) as client:
            with pytest.raises(Unreachable, match=f"its certificate was refused: {said}"):
                await client.send(POST, b"", TIMEOUTS)

    play(scene, loop)


def test_without_verification_any_certificate_does(loop, tmp_path):
    authority = make_authority(tmp_path)

    async def scene():
        tls = authority.server("10.1.2.3", is_expired=True)
        trust = Tls(verify=False)
        async with serving(tls=tls) as server, connected(server.url, trust=trust) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            await (await server.accept()).answer()
            assert await (await sending).read(2) == b"ok"

    play(scene, loop)


def test_a_server_without_tls_is_unreachable_by_https(loop):
    async def scene():
        async with serving() as server:
            url = server.url.replace("http", "https")
            async with connected(url, trust=Tls(verify=False)) as client:
                sending = begin(client.send(POST, b"", TIMEOUTS))
                line = await server.accept()
                line.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                with pytest.raises(Unreachable, match="TLS failed"):
                    await sending
                assert client.counters.open == 0

    play(scene, loop)


def test_a_connection_that_is_closed_as_soon_as_it_is_there_is_unreachable(loop):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            connect = client._connect

            async def connect_and_lose(*arguments):
                connection = await connect(*arguments)
                (await server.accept()).close()
                await until(lambda: connection.is_closed)
                return connection

            client._connect = connect_and_lose
            with pytest.raises(Unreachable, match="it was closed at once"):
                await client.send(POST, b"", TIMEOUTS)
            assert client.counters.open == 0
            assert client._pool._opening == 0

    play(scene, loop)


def test_a_ca_file_that_cannot_be_used_is_unreachable_with_the_reason(loop):
    async def scene():
        async with connected("https://127.0.0.1:1", trust=Tls(ca_file="/none.pem")) as client:
            with pytest.raises(Unreachable, match=r"CA file '/none\.pem' cannot be read"):
                await client.send(POST, b"", TIMEOUTS)
            assert client.counters.open == 0

    play(scene, loop)


def test_an_answer_that_is_not_http_is_a_violation(loop):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.answer(b"SSH-2.0-OpenSSH_9.2\r\n")
            with pytest.raises(ProtocolViolation, match=f"{server.url}: not HTTP/1.1"):
                await sending
            await line.gone()

    play(scene, loop)


@pytest.mark.parametrize("ending", ["close", "reset"])
def test_a_stream_that_is_cut_is_interrupted(loop, ending):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.answer(CHUNKED + b"1\r\na\r\n")
            response = await sending
            assert await anext(response) == b"a"
            getattr(line, ending)()
            with pytest.raises(Interrupted, match="the answer was cut"):
                await anext(response)

    play(scene, loop)


def test_cancelling_a_call_closes_its_connection(loop):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.request()
            sending.cancel()
            assert await line.gone() == b""
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert client.counters.open == 0

    play(scene, loop)


def test_cancelling_a_call_whose_answer_is_there_leaves_the_connection_to_others(loop):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.answer()
            await until(lambda: client.counters.idle)
            sending.cancel()
            with pytest.raises(asyncio.CancelledError):
                await sending
            assert await (await exchange(client, line)).read(2) == b"ok"
            assert client.counters.reused == 1

    play(scene, asyncio.new_event_loop)


def test_a_response_dropped_inside_its_body_is_seen_by_the_server(loop):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.answer(CHUNKED + b"1\r\na\r\n")
            response = await sending
            await response.aclose()
            assert await line.gone() == b""
            assert client.counters.open == 0

    play(scene, loop)


def test_a_call_that_waits_for_a_connection_gets_it_when_another_gives_up(loop):
    async def scene():
        limits = PoolLimits(max_connections=1)
        async with serving() as server, connected(server.url, limits=limits) as client:
            first = begin(client.send(POST, b"1", TIMEOUTS))
            line = await server.accept()
            await line.request()
            second = begin(client.send(POST, b"2", TIMEOUTS))
            third = begin(client.send(POST, b"3", TIMEOUTS))
            await until(lambda: client.counters.waiting == 2)
            second.cancel()
            first.cancel()
            assert (await (await server.accept()).answer()).endswith(b"3")
            assert await (await third).read(2) == b"ok"
            assert client.counters.open == 1
            assert client.counters.waiting == 0

    play(scene, loop)


async def ask(client: OriginClient) -> None:
    response = await client.send(POST, b"ok", TIMEOUTS)
    assert await response.read(2) == b"ok"


async def ask_and_cancel(client: OriginClient, turns: int) -> None:
    """Begin some calls, let them get somewhere, cancel most of them."""
    asking = [begin(ask(client)) for _ in range(8)]
    for _ in range(turns):
        await asyncio.sleep(0)
    for number, call in enumerate(asking):
        if (number + turns) % 3:
            call.cancel()
    done = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(one) for one in done} <= {type(None), asyncio.CancelledError}


def test_calls_cancelled_wherever_they_are_leave_no_place_taken(loop):
    async def scene():
        limits = PoolLimits(max_connections=3)
        async with (
            serving() as server,
            connected(server.url, limits=limits) as client,
            answering(server),
        ):
            for turns in range(60):
                await ask_and_cancel(client, turns % 25)
            assert client.counters.waiting == 0
            assert client.counters.open <= 3
            assert client._pool._opening == 0
            async with asyncio.TaskGroup() as last:
                for _ in range(6):
                    last.create_task(ask(client))

    play(scene, loop)


def test_waiting_for_a_free_connection_counts_as_connecting():
    async def scene():
        limits = PoolLimits(max_connections=1)
        async with serving() as server, connected(server.url, limits=limits) as client:
            first = begin(client.send(POST, b"", TIMEOUTS))
            await (await server.accept()).request()
            second = begin(client.send(POST, b"", Timeouts(connect_s=5)))
            await pass_time(4.9)
            assert not second.done()
            await pass_time(0.2)
            with pytest.raises(TargetTimeout, match="busy for the connect timeout of 5 s"):
                await second
            first.cancel()

    play(scene, ClockLoop)


@pytest.mark.parametrize("deadline_s", [None, 3.0])
def test_a_handshake_that_is_not_answered_ends_with_the_connect_timeout(deadline_s):
    async def scene():
        now = asyncio.get_running_loop().time()
        async with serving() as server:
            url = server.url.replace("http", "https")
            async with connected(url, trust=Tls(verify=False)) as client:
                deadline = None if deadline_s is None else now + deadline_s
                sending = begin(client.send(POST, b"", Timeouts(connect_s=5), deadline))
                line = await server.accept()
                await line.reader.read(1)
                await pass_time(deadline_s or 5)
                said = "the 3 s left to the deadline" if deadline_s else "connect timeout of 5 s"
                with pytest.raises(TargetTimeout, match=f"no connection within .*{said}"):
                    await sending
                await line.gone()
                assert client._pool.reserve()

    play(scene, ClockLoop)


def test_an_answer_that_does_not_come_ends_with_the_first_byte_timeout():
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", Timeouts(first_byte_s=30)))
            line = await server.accept()
            await line.request()
            line.write(b"HTTP/1.1 200 OK\r\nx-slow")
            await pass_time(29)
            line.write(b"-loris: ")
            await pass_time(1)
            with pytest.raises(TargetTimeout, match="first-byte timeout of 30 s"):
                await sending
            await line.gone()
            assert client.counters.open == 0

    play(scene, ClockLoop)


def test_a_stream_that_falls_silent_ends_with_the_idle_timeout():
    async def scene():
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", Timeouts(idle_s=10)))
            line = await server.accept()
            await line.answer(CHUNKED)
            response = await sending
            for _ in range(3):
                line.write(b"1\r\na\r\n")
                assert await anext(response) == b"a"
                await pass_time(0.1)
                await pass_time(9)
            await pass_time(1)
            with pytest.raises(TargetTimeout, match="idle timeout of 10 s"):
                await anext(response)
            await line.gone()

    play(scene, ClockLoop)


def test_a_stream_that_goes_on_ends_with_the_deadline():
    async def scene():
        deadline = asyncio.get_running_loop().time() + 60
        async with serving() as server, connected(server.url) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS, deadline))
            line = await server.accept()
            await line.answer(CHUNKED)
            response = await sending
            for _ in range(6):
                line.write(b"1\r\na\r\n")
                assert await anext(response) == b"a"
                await pass_time(10)
            with pytest.raises(TargetTimeout, match="by its deadline, after 60 s"):
                await anext(response)
            await line.gone()

    play(scene, ClockLoop)


def test_nothing_is_sent_after_the_deadline():
    async def scene():
        now = asyncio.get_running_loop().time()
        async with serving() as server, connected(server.url) as client:
            with pytest.raises(TargetTimeout, match="passed before the request was sent"):
                await client.send(POST, b"", TIMEOUTS, now)
            assert server.lines == []

    play(scene, ClockLoop)


@pytest.mark.parametrize("limit", ["first_byte_s", "idle_s", "deadline"])
def test_limits_hold_on_a_real_clock(loop, limit):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            timeouts = TIMEOUTS if limit == "deadline" else Timeouts(**{limit: 0.15})
            deadline = asyncio.get_running_loop().time() + 0.15 if limit == "deadline" else None
            sending = begin(client.send(POST, b"", timeouts, deadline))
            line = await server.accept()
            await line.request()
            if limit == "idle_s":
                line.write(CHUNKED)
            with pytest.raises(TargetTimeout):
                await anext(await sending)

    play(scene, loop)


def test_an_idle_connection_is_closed_when_its_time_is_over():
    async def scene():
        limits = PoolLimits(idle_expiry_s=50)
        async with serving() as server, connected(server.url, limits=limits) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.answer()
            await (await sending).read(2)
            await pass_time(49)
            assert client.counters.idle == 1
            await pass_time(1)
            assert client.counters.open == 0
            await line.gone()

    play(scene, ClockLoop)


@pytest.mark.parametrize("is_tls", [False, True])
def test_a_slow_reader_holds_the_server_back_and_not_the_memory(loop, tmp_path, is_tls):
    total = (50 if is_tls else 200) * 1_000_000
    authority = make_authority(tmp_path)

    async def scene():
        tls = authority.server("127.0.0.1") if is_tls else None
        trust = Tls(verify=False)
        async with serving(tls=tls) as server, connected(server.url, trust=trust) as client:
            sending = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.request()
            written = 0

            async def flood() -> None:
                nonlocal written
                line.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % total)
                piece = bytes(1_000_000)
                for _ in range(0, total, len(piece)):
                    line.write(piece)
                    await line.writer.drain()
                    written += len(piece)

            flooding = begin(flood())
            response = await sending
            await until(lambda: response.is_paused)
            # The server is held back: what it got rid of fits into the buffers of two sockets.
            for _ in range(20):
                await settle()
                assert written < total // 2
            got = most = 0
            async for chunk in response:
                most = max(most, len(chunk), response.unread_bytes)
                got += len(chunk)
                await asyncio.sleep(0)
            await flooding
            assert got == total
            # TLS holds one read more, which it had when it was told to stop.
            reads = 2 if tls else 1
            assert most <= MAX_UNREAD_BYTES + reads * ONE_READ_BYTES + 1000

    play(scene, loop)


def test_a_server_that_does_not_read_holds_the_request_back(loop):
    async def scene():
        async with serving() as server, connected(server.url) as client:
            body = bytes(50_000_000)
            sending = begin(client.send(POST, body, TIMEOUTS))
            line = await server.accept()
            await settle()
            [connection] = client._pool._connections
            assert len(connection._unsent) > 30_000_000
            assert connection._transport.get_write_buffer_size() < 1_000_000
            assert (await line.answer()).endswith(bytes(1000))
            assert await (await sending).read(2) == b"ok"
            assert client.counters.idle == 1

    play(scene, loop)


def test_closing_the_client_interrupts_what_is_under_way_and_what_waits(loop):
    async def scene():
        limits = PoolLimits(max_connections=2)
        async with serving() as server, connected(server.url, limits=limits) as client:
            first = begin(client.send(POST, b"", TIMEOUTS))
            line = await server.accept()
            await line.answer(CHUNKED)
            response = await first
            second = begin(client.send(POST, b"", TIMEOUTS))
            await (await server.accept()).request()
            third = begin(client.send(POST, b"", TIMEOUTS))
            await until(lambda: client.counters.waiting == 1)
            await client.aclose()
            for failing in (second, third, anext(response), client.send(POST, b"", TIMEOUTS)):
                with pytest.raises(Interrupted, match="the client was closed"):
                    await failing
            await line.gone()

    play(scene, loop)


def test_closing_the_client_ends_connections_that_are_being_opened(loop):
    async def scene():
        async with serving() as server:
            url = server.url.replace("http", "https")
            async with connected(url, trust=Tls(verify=False)) as client:
                sending = begin(client.send(POST, b"", TIMEOUTS))
                line = await server.accept()
                await line.reader.read(1)
                await client.aclose()
                with pytest.raises(Interrupted, match="the client was closed"):
                    await sending
                await line.gone()

    play(scene, loop)


def test_making_a_client_needs_no_loop_and_no_network():
    async def scene():
        async with connected("https://nowhere.invalid") as client:
            seen = client.counters
            assert (seen.open, seen.idle, seen.waiting, seen.requests) == (0, 0, 0, 0)

    play(scene, asyncio.new_event_loop)
