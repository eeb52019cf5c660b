import asyncio
from collections.abc import AsyncGenerator

import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import Unrepresentable
from modelmux.ingress.http import Answer, HttpRequest
from modelmux.ingress.responses import ResponsesDoor, items_of, said
from modelmux.store.turn import Turn
from modelmux.store.turns_memory import MemoryTurns
from modelmux.target.call import Call
from modelmux.target.chunks import Chunks
from modelmux.target.reply import Reply, Whole
from modelmux.wire import anthropic_messages, openai_responses
from modelmux.wire.framing import sse
from tests.support.dialects import ANTHROPIC
from tests.unit.ingress.world import surface

NOW = 1_795_000_000
NATIVE = msgspec.json.encode(
    {
        "id": "resp_native",
        "object": "response",
        "created_at": NOW,
        "status": "completed",
        "model": "m",
        "output": [],
    }
)


class Claude:
    """A target of another wire."""

    name = "a/m"

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def send(self, call: Call) -> Reply:
        self.calls.append(call)
        wire = anthropic_messages.WIRE
        if call.envelope.stream:
            return Reply(Chunks(wire, _pieces(*ANTHROPIC.frames())), target=self.name)
        return Reply(Whole(wire, ANTHROPIC.answer()), target=self.name)


class Native:
    """A target of the door's own wire."""

    name = "n/m"

    def __init__(self) -> None:
        self.calls: list[Call] = []

    async def send(self, call: Call) -> Reply:
        self.calls.append(call)
        wire = openai_responses.WIRE
        if call.envelope.stream:
            frames = [
                b'event: %b\ndata: {"type":"%b","response":%b}\n\n' % (name, name, NATIVE)
                for name in (b"response.created", b"response.completed")
            ]
            return Reply(Chunks(wire, _pieces(*frames)), target=self.name)
        return Reply(Whole(wire, NATIVE), target=self.name)


class Refusing:
    name = "r/m"

    async def send(self, call: Call) -> Reply:
        encoded = call.encode(anthropic_messages.WIRE)
        lost = [f"{loss.path}: {loss.reason}" for loss in encoded.losses if loss.kind == "content"]
        raise Unrepresentable(f"r/m cannot be told all: {'; '.join(lost)}", losses=lost)


async def _pieces(*frames: bytes) -> AsyncGenerator[bytes]:
    for frame in frames:
        yield frame


class World:
    def __init__(self) -> None:
        self.claude, self.native = Claude(), Native()
        self.surface = surface(self.claude, self.native, Refusing())
        self.turns = MemoryTurns(60.0, lambda: 0.0)
        self.surface.turns = self.turns
        self.door = ResponsesDoor(
            openai_responses.WIRE, lambda: self.surface, lambda: "made-1", lambda: 10.0
        )

    def ask(self, model: str = "a/m", **fields: object) -> tuple[int, bytes]:
        async def run() -> tuple[int, bytes]:
            body = msgspec.json.encode({"model": model, "input": "hello", **fields})
            headers = [(b"accept", b"text/event-stream")]
            asked = HttpRequest("POST", "/v1/responses", b"", headers, body, 1.0)
            answer: Answer = await self.door(asked)
            if isinstance(answer.body, bytes):
                return answer.status, answer.body
            return answer.status, b"".join([piece async for piece in answer.body])

        return asyncio.run(run())

    def kept(self, id_: str) -> Turn | None:
        return asyncio.run(self.turns.get("", id_))


def id_of(body: bytes) -> str:
    return body.partition(b'"id":"')[2].partition(b'"')[0].decode()


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_of_another_wire_is_kept_as_it_was_told(stream: bool):
    world = World()
    _, body = world.ask(stream=stream)
    turn = world.kept(id_of(body))
    assert turn is not None
    assert msgspec.json.decode(turn.items)[0]["content"] == "hello"
    assert msgspec.json.decode(turn.answer)["status"] == "completed"
    if not stream:
        assert turn.answer == body
    assert turn.target == ""


@pytest.mark.parametrize("stream", [False, True])
def test_of_one_that_its_provider_keeps_only_the_place_is_known(stream: bool):
    world = World()
    world.ask("n/m", stream=stream)
    assert world.kept("resp_native") == Turn("resp_native", "", NOW, target="n/m")


@pytest.mark.parametrize("stream", [False, True])
def test_nothing_is_kept_that_is_not_to_be(stream: bool):
    world = World()
    for model in ("a/m", "n/m"):
        _, body = world.ask(model, stream=stream, store=False)
        assert world.kept(id_of(body)) is None
    world.surface.turns = None
    _, body = world.ask(stream=stream)
    assert world.kept(id_of(body)) is None


def test_ids_are_not_to_be_guessed():
    world = World()
    ids = {id_of(world.ask()[1]) for _ in range(3)}
    assert len(ids) == 3
    assert all(id_.startswith("resp_") and len(id_) > 40 for id_ in ids)


def test_a_call_that_goes_on_says_all_that_was_said():
    world = World()
    first = id_of(world.ask()[1])
    second = id_of(
        world.ask(input=[{"role": "user", "content": "and"}], previous_response_id=first)[1]
    )
    world.ask(input="more", previous_response_id=second)
    roles = [message.role for message in world.claude.calls[-1].request.messages]
    assert roles == ["user", "assistant", "user", "assistant", "user"]
    world.ask("n/m", input="more", previous_response_id=second)
    sent = world.native.calls[-1].encode(openai_responses.WIRE).body
    assert b"previous_response_id" not in sent
    assert len(msgspec.json.decode(sent)["input"]) == 5


def test_what_its_provider_keeps_is_not_touched():
    world = World()
    world.ask("n/m")
    for previous in ("resp_native", "resp_unknown"):
        world.ask("n/m", previous_response_id=previous)
        sent = world.native.calls[-1].encode(openai_responses.WIRE).body
        assert msgspec.json.decode(sent)["previous_response_id"] == previous


def test_what_is_not_to_be_had_is_refused_in_the_apis_words():
    status, body = World().ask("r/m", previous_response_id="resp_x")
    error = msgspec.json.decode(body)["error"]
    assert (status, error["code"]) == (400, "previous_response_not_found")
    assert "'resp_x'" in error["message"]
    status, body = World().ask("r/m", background=True)
    assert (status, msgspec.json.decode(body)["error"]["code"]) == (422, "unrepresentable")


def test_what_cannot_be_read_is_refused():
    status, body = World().ask(previous_response_id=5)
    assert status == 400
    assert msgspec.json.decode(body)["error"]["param"] == "previous_response_id"


def test_a_stream_without_an_ending_keeps_nothing():
    world = World()
    cut = ANTHROPIC.frames()[:-2]

    async def send(call: Call) -> Reply:
        return Reply(Chunks(anthropic_messages.WIRE, _pieces(*cut)), target="a/m")

    world.claude.send = send  # type: ignore[method-assign]
    _, body = world.ask(stream=True)
    assert b"response.failed" in body
    assert world.kept(id_of(body)) is None


def test_an_input_is_a_list_of_items():
    assert items_of(Raw(b"")) == b"[]"
    assert items_of(Raw(b"[1]")) == b"[1]"
    (item,) = msgspec.json.decode(items_of(Raw(b'"a"')))
    assert item == {"type": "message", "role": "user", "content": "a"}


def test_a_conversation_is_what_was_said_in_turn():
    turns = [
        Turn("a", "", 0, items=b"[1]", answer=b'{"output":[2]}'),
        Turn("b", "", 0, target="n/m", items=b"[]"),
    ]
    assert said(turns) == [Raw(b"1"), Raw(b"2")]


def test_the_frames_of_a_kept_stream_are_those_of_the_api():
    _, body = World().ask(stream=True)
    assert sse.Decoder().feed(body)[-1].event == "response.completed"
