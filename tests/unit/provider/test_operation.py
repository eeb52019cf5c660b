import asyncio
from collections.abc import Callable, Mapping

import msgspec
import pytest

from modelmux.errors import (
    InvalidRequest,
    Overloaded,
    ProtocolViolation,
    TargetError,
    Unrepresentable,
)
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Encoded, Loss
from modelmux.ir.response import Usage
from modelmux.provider import operation
from modelmux.provider.operation import MAX_AT_ONCE, Answered
from modelmux.target.call import Call
from modelmux.target.reply import Reply
from modelmux.wire import openai_chat
from modelmux.wire.base import Operation, Wire
from modelmux.wire.operations import envelope_reader

OPENAI = openai_chat.WIRE


def no_header(name: bytes) -> None:
    return None


def vectors(*numbers: int, tokens: int | None = 5) -> bytes:
    data = [{"embedding": [number], "index": at} for at, number in enumerate(numbers)]
    usage = {} if tokens is None else {"usage": {"prompt_tokens": tokens}}
    return msgspec.json.encode({"object": "list", "data": data, "model": "up", **usage})


class Server:
    """A place that answers with what a function makes of each body."""

    name = "prov/asked"
    upstream = "up"

    def __init__(
        self,
        play: Callable[[Mapping[str, object]], bytes],
        *,
        profile: Profile = UNKNOWN,
        wire: Wire | None = OPENAI,
        losses: tuple[Loss, ...] = (),
    ) -> None:
        self.profile = profile
        self.bodies: list[bytes] = []
        self.at_once = 0
        self.most = 0
        self._play = play
        self._wire = wire
        self._losses = losses

    def wire_for(self, call: Call) -> Wire | None:
        return self._wire

    async def post(self, call: Call, wire: Wire, encoded: Encoded) -> Answered:
        self.bodies.append(encoded.body)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await asyncio.sleep(0)
            body = self._play(msgspec.json.decode(encoded.body))
        finally:
            self.at_once -= 1
        return Answered(body, no_header, 1, "up-1", self._losses)


def call(body: object, asked: Operation = "embeddings") -> Call:
    raw = body if isinstance(body, bytes) else msgspec.json.encode(body)
    envelope = envelope_reader(OPENAI, asked)(raw)
    return Call(OPENAI, raw, envelope, operation=asked, id="c-1")


def answer(server: Server, asked: Call) -> tuple[Reply, dict[str, object]]:
    async def run() -> tuple[Reply, bytes]:
        reply = await operation.answer(asked, server)
        return reply, await reply.body(asked.wire, asked.envelope)

    reply, body = asyncio.run(run())
    return reply, msgspec.json.decode(body)


def test_the_same_api_passes_on_the_bytes():
    server = Server(lambda _: vectors(1))
    reply, body = answer(server, call(b'{ "model":"asked","input" : "x" }'))
    assert server.bodies == [b'{ "model":"up","input" : "x" }']
    assert body == msgspec.json.decode(vectors(1))
    assert reply.summary.usage == Usage(5)
    assert (reply.target, reply.attempts, reply.upstream_id) == ("prov/asked", 1, "up-1")


def echoed(body: Mapping[str, object]) -> bytes:
    inputs = body["input"]
    assert isinstance(inputs, list)
    return vectors(*[int(text) for text in inputs], tokens=len(inputs))


def test_more_texts_than_the_model_takes_are_asked_for_in_turns():
    server = Server(echoed, profile=Profile(max_inputs=3))
    texts = [str(number) for number in range(20)]
    reply, body = answer(server, call({"model": "asked", "input": texts}))
    data = body["data"]
    assert isinstance(data, list)
    assert [item["embedding"] for item in data] == [[number] for number in range(20)]
    assert body["model"] == "asked"
    assert len(server.bodies) == 7
    assert server.most == MAX_AT_ONCE
    assert reply.summary.usage == Usage(20)
    assert reply.attempts == 7


def test_as_many_as_the_model_takes_go_as_they_came():
    server = Server(echoed, profile=Profile(max_inputs=3))
    answer(server, call(b'{"input":["1"], "model":"asked"}'))
    assert server.bodies == [b'{"input":["1"], "model":"up"}']


def test_one_failure_fails_the_call_and_no_more_is_asked():
    def play(body: Mapping[str, object]) -> bytes:
        raise Overloaded("too much")

    server = Server(play, profile=Profile(max_inputs=1))
    with pytest.raises(Overloaded, match="too much"):
        answer(server, call({"model": "asked", "input": ["a"] * 50}))
    assert len(server.bodies) <= 2 * MAX_AT_ONCE


def test_a_vector_less_than_texts_is_no_answer():
    server = Server(lambda _: vectors(1), profile=Profile(max_inputs=2))
    with pytest.raises(ProtocolViolation, match="expected 3 vectors, got 2"):
        answer(server, call({"model": "asked", "input": ["a", "b", "c"]}))


@pytest.mark.parametrize("max_inputs", [0, 1])
def test_an_error_inside_a_success_is_told_as_one(max_inputs: int):
    error = {"error": {"message": "out of memory", "type": "server_error"}}
    profile = Profile(max_inputs=max_inputs)
    server = Server(lambda _: msgspec.json.encode(error), profile=profile)
    with pytest.raises(TargetError, match="out of memory"):
        answer(server, call({"model": "asked", "input": ["a", "b"]}))


@pytest.mark.parametrize("body", [b"<html>", b'{"data":[]', b'{"data":[{"x":1}]}'])
def test_an_answer_that_is_none_is_the_targets_mistake(body: bytes):
    server = Server(lambda _: body, profile=Profile(max_inputs=1))
    with pytest.raises(ProtocolViolation):
        answer(server, call({"model": "asked", "input": ["a", "b"]}))


def test_who_does_not_have_the_operation_says_so():
    with pytest.raises(Unrepresentable, match="prov/asked does not offer embeddings"):
        answer(Server(lambda _: b"", wire=None), call({"model": "asked", "input": "x"}))


def test_a_wrong_request_is_not_sent():
    server = Server(lambda _: b"", profile=Profile(max_inputs=1))
    with pytest.raises(InvalidRequest):
        answer(server, call({"model": "asked", "input": 3}))
    assert server.bodies == []


def test_losses_of_every_request_are_told_once():
    loss = Loss("header anthropic-beta", "not here")
    server = Server(echoed, profile=Profile(max_inputs=1), losses=(loss,))
    reply, _ = answer(server, call({"model": "asked", "input": ["1", "2"]}))
    assert reply.losses == (loss,)


def test_documents_are_ranked_in_one_request():
    ranked = [{"index": 0, "relevance_score": 0.5}]
    raw = msgspec.json.encode({"results": ranked, "usage": {"total_tokens": 9}})
    server = Server(lambda _: raw, profile=Profile(max_inputs=1))
    asked = {"model": "asked", "query": "q", "documents": ["a", "b"]}
    reply, body = answer(server, call(asked, "rerank"))
    assert body["results"] == ranked
    assert reply.summary.usage == Usage(9)
    assert len(server.bodies) == 1
