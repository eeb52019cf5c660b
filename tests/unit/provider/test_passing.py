import asyncio

import pytest

from modelmux.errors import Interrupted, TargetError
from modelmux.ir.response import Usage
from modelmux.provider import passing
from modelmux.target.passage import Passage
from modelmux.target.reply import Reply
from modelmux.transport.fake import Exchange, FakeResponse

JSON = (b"content-type", b"application/json")


def got(exchange: Exchange, secret: bytes = b"") -> tuple[Reply, bytes]:
    async def run() -> tuple[Reply, bytes]:
        reply = await passing.reply(FakeResponse(exchange), secret)
        return reply, b"".join([piece async for piece in reply.pieces()])

    return asyncio.run(run())


@pytest.mark.parametrize("unit", ["input_tokens", "prompt_tokens"])
def test_a_short_answer_in_json_says_what_it_cost(unit: str):
    body = b'{"text":"x","usage":{"%s":7}}' % unit.encode()
    sized = [JSON, (b"content-length", b"%d" % len(body)), (b"set-cookie", b"x")]
    reply, passed = got(Exchange(201, sized, [body]))
    assert passed == body
    assert reply.passed is not None
    assert (reply.passed.status, reply.passed.fields) == (201, (JSON,))
    assert reply.summary.usage == Usage(7)
    assert reply.complete


@pytest.mark.parametrize("body", [b"no json", b"[]", b'{"usage":null}'])
def test_an_answer_that_does_not_say_is_passed_on_all_the_same(body: bytes):
    reply, passed = got(Exchange(200, [JSON, (b"content-length", b"%d" % len(body))], [body]))
    assert passed == body
    assert reply.summary.usage is None


def test_a_short_answer_that_quotes_our_key_does_not_show_it():
    body = b'{"told":"sk-secret"}'
    sized = [JSON, (b"content-length", b"%d" % len(body))]
    assert b"sk-secret" not in got(Exchange(200, sized, [body]), b"sk-secret")[1]


def test_a_stream_that_breaks_off_is_an_error_and_recorded():
    response = FakeResponse(Exchange(200, [], [b"one", Interrupted("cut")]))

    async def run() -> Reply:
        reply = await passing.reply(response, b"")
        pieces: list[bytes] = []
        with pytest.raises(TargetError, match="cut"):
            pieces.extend([piece async for piece in reply.pieces()])
        return reply

    reply = asyncio.run(run())
    assert not reply.complete
    assert reply.summary.failure is not None
    assert response.is_closed


def test_the_model_is_renamed_where_it_stands():
    body = b'{"input":"x", "model":"fast"}'
    named = passing.renamed(Passage(payload=body), "fast", "tts-2")
    assert named[:] == body.replace(b"fast", b"tts-2")
    form = b"....fast...."
    named = passing.renamed(Passage(payload=form, model_at=(4, 8)), "fast", "tts-2")
    assert named[:] == b"....tts-2...."
    assert passing.renamed(Passage(payload=form, model_at=(4, 8)), "fast", "fast") is form
    assert passing.renamed(Passage(payload=body), "", "") is body
