import asyncio

import pytest

from modelmux.errors import Interrupted, ProtocolViolation, Unreachable
from modelmux.transport.fake import Exchange, FakeClient, SentRequest
from tests.unit.transport.loopback import POST, TIMEOUTS, begin, play


def run(scene):
    return play(scene, asyncio.new_event_loop)


def test_the_fake_answers_in_order_and_remembers_what_it_got():
    async def scene():
        client = FakeClient(
            [
                Exchange(status=404, headers=[(b"x-a", b"1")], body=[b"no", b"ne"]),
                Exchange(body=[b"second"]),
            ]
        )
        first = await client.send(POST, b"1", TIMEOUTS, 5.0)
        second = await client.send(POST, b"2", TIMEOUTS)
        assert (first.status, first.header(b"x-a"), await first.read(4)) == (404, b"1", b"none")
        assert [chunk async for chunk in second] == [b"second"]
        assert client.requests == [
            SentRequest(POST, b"1", TIMEOUTS, 5.0),
            SentRequest(POST, b"2", TIMEOUTS, None),
        ]

    run(scene)


def test_a_request_that_is_not_in_the_script_fails_the_test():
    async def scene():
        with pytest.raises(AssertionError, match="request 1 is not in the script"):
            await FakeClient().send(POST, b"", TIMEOUTS)

    run(scene)


def test_an_error_is_raised_where_it_stands():
    async def scene():
        client = FakeClient(
            [Exchange(before=[Unreachable("down")]), Exchange(body=[b"a", Interrupted("cut")])]
        )
        with pytest.raises(Unreachable, match="down"):
            await client.send(POST, b"", TIMEOUTS)
        response = await client.send(POST, b"", TIMEOUTS)
        assert await anext(response) == b"a"
        with pytest.raises(Interrupted, match="cut"):
            await anext(response)

    run(scene)


def test_a_gate_is_waited_for():
    async def scene():
        before, inside = asyncio.Event(), asyncio.Event()
        client = FakeClient([Exchange(before=[before], body=[b"a", inside, b"b"])])
        sending = begin(client.send(POST, b"", TIMEOUTS))
        await asyncio.sleep(0)
        assert client.requests
        assert not sending.done()
        before.set()
        response = await sending
        assert await anext(response) == b"a"
        waiting = begin(anext(response))
        await asyncio.sleep(0)
        assert not waiting.done()
        inside.set()
        assert await waiting == b"b"

    run(scene)


def test_a_body_longer_than_allowed_is_refused_as_by_the_real_client():
    async def scene():
        client = FakeClient([Exchange(body=[b"abc"])])
        response = await client.send(POST, b"", TIMEOUTS)
        with pytest.raises(ProtocolViolation, match="longer than 2 bytes"):
            await response.read(2)

    run(scene)


def test_closing_is_noted_and_ends_the_body():
    async def scene():
        client = FakeClient([Exchange(body=[b"a", b"b"])])
        response = await client.send(POST, b"", TIMEOUTS)
        await response.aclose()
        with pytest.raises(Interrupted):
            await anext(response)
        await client.aclose()
        assert client.responses[0].is_closed
        assert client.is_closed

    run(scene)
