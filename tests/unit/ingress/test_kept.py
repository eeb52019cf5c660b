import asyncio

import msgspec
import pytest

from modelmux.ingress.http import Answer, HttpRequest
from modelmux.ingress.kept import KeptDoor
from modelmux.store.turn import Turn
from modelmux.store.turns_memory import MemoryTurns
from modelmux.target.call import Caller
from modelmux.wire import openai_responses
from tests.unit.ingress.world import surface

FIRST = Turn(
    "resp_1",
    "a",
    0,
    items=b'[{"role":"user","content":"q"}]',
    answer=b'{"id":"resp_1","output":[{"type":"message","id":"msg_1","role":"assistant",'
    b'"content":[]}]}',
)
SECOND = Turn(
    "resp_2",
    "a",
    0,
    "resp_1",
    items=b'[{"role":"assistant","content":"said"},{"id":"i1","type":"item_reference"}]',
    answer=b'{"id":"resp_2"}',
)
ELSEWHERE = Turn("resp_3", "a", 0, target="openai/gpt-5.4")


class World:
    def __init__(self, *, passes: bool = True) -> None:
        self.surface = surface(keys={"sk-a": Caller("a"), "sk-b": Caller("b")})
        self.turns = MemoryTurns(60.0, lambda: 0.0)
        self.surface.turns = self.turns
        for turn in (FIRST, SECOND, ELSEWHERE):
            self.turns.keep(turn)
        self.passed: list[HttpRequest] = []
        passing = self.passing if passes else None
        self.door = KeptDoor(openai_responses.WIRE, lambda: self.surface, lambda: "made-1", passing)

    async def passing(self, request: HttpRequest) -> Answer:
        self.passed.append(request)
        return Answer(200, [], b"{}")

    def ask(
        self, id_: str, method: str = "GET", query: bytes = b"", key: str = "sk-a"
    ) -> tuple[int, object]:
        fields = [(b"authorization", f"Bearer {key}".encode())]
        request = HttpRequest(method, f"/v1/responses/{id_}", query, fields, b"", 1.0)
        request.parameters = {"id": id_}
        answer = asyncio.run(self.door(request))
        assert isinstance(answer.body, bytes)
        return answer.status, msgspec.json.decode(answer.body)

    def items(self, query: bytes = b"") -> list[dict[str, object]]:
        status, page = self.ask("resp_2/input_items", query=query)
        assert status == 200
        assert isinstance(page, dict)
        return page["data"]


def test_a_response_is_had_as_it_was_told():
    assert World().ask("resp_1") == (200, msgspec.json.decode(FIRST.answer))


@pytest.mark.parametrize(
    ("id_", "method", "query", "status"),
    [
        ("resp_9", "GET", b"", 404),
        ("resp_1", "GET", b"stream=true", 400),
        ("resp_1", "POST", b"", 404),
        ("resp_1/cancel", "POST", b"", 400),
        ("resp_1/cancel", "GET", b"", 404),
        ("resp_1/input_items", "GET", b"limit=0", 400),
        ("resp_1/input_items", "GET", b"limit=101", 400),
        ("resp_1/input_items", "GET", b"limit=x", 400),
        ("resp_1/input_items", "GET", b"after=x", 400),
    ],
)
def test_what_cannot_be_had_is_refused(id_: str, method: str, query: bytes, status: int):
    assert World().ask(id_, method, query)[0] == status


def test_nobody_gets_what_is_anothers():
    world = World()
    assert world.ask("resp_1", key="sk-b")[0] == 404
    assert world.ask("resp_1", "DELETE", key="sk-b")[0] == 404
    assert world.ask("resp_1", key="sk-c")[0] == 401
    assert world.ask("resp_1")[0] == 200


def test_what_is_deleted_is_gone():
    world = World()
    deleted = {"id": "resp_1", "object": "response", "deleted": True}
    assert world.ask("resp_1", "DELETE") == (200, deleted)
    assert world.ask("resp_1")[0] == 404


def test_what_an_answer_was_made_of_is_told_with_ids():
    items = World().items(b"order=asc")
    assert [item["type"] for item in items] == ["message", "message", "message", "item_reference"]
    assert items[0]["content"] == [{"type": "input_text", "text": "q"}]
    assert items[2]["content"] == [{"type": "output_text", "text": "said", "annotations": []}]
    assert len({item["id"] for item in items}) == 4
    assert World().items()[0] == items[-1]


def test_items_come_in_pages():
    world = World()
    page = world.ask("resp_2/input_items", query=b"limit=3&order=asc")[1]
    assert isinstance(page, dict)
    assert page["has_more"] is True
    rest = world.items(b"order=asc&after=" + page["last_id"].encode())
    assert [item["id"] for item in rest] == ["i1"]
    assert world.items(b"order=asc&after=i1") == []


def test_a_conversation_with_a_gap_is_what_is_left_of_it():
    world = World()
    world.ask("resp_1", "DELETE")
    assert len(world.items()) == 2


def test_what_a_provider_keeps_is_asked_of_it():
    world = World()
    assert world.ask("resp_3")[0] == 200
    assert world.passed[0].headers["x-modelmux-provider"] == "openai"
    assert world.ask("resp_3", "DELETE")[0] == 200
    assert world.ask("resp_3")[0] == 404
    assert World(passes=False).ask("resp_3")[0] == 404


def test_without_a_store_there_is_nothing():
    world = World()
    world.surface.turns = None
    assert world.ask("resp_1")[0] == 404
