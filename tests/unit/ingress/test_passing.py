import asyncio

import pytest

from modelmux.errors import NotFound, PermissionDenied
from modelmux.ingress.http import Answer, HttpRequest
from modelmux.ingress.passing import AccountDoor, ByDialect
from modelmux.target.call import Call, Caller
from modelmux.target.reply import Passed, Reply
from modelmux.wire import openai_chat
from tests.unit.ingress import world
from tests.unit.ingress.world import Notes


class Keeper:
    """A target that keeps files and tells how it was asked."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: list[Call] = []

    async def send(self, call: Call) -> Reply:
        self.calls.append(call)
        return Reply(Passed(b"{}", 200, ()), target=self.name)


def ask(
    path_below: str = "",
    *,
    keepers: tuple[Keeper, ...],
    query: bytes = b"",
    models: tuple[str, ...] = (),
    named: str = "",
    notes: Notes | None = None,
) -> Answer:
    keys = {"sk-x": Caller("k", models)}
    surface = world.surface(keys=keys, notes=notes)
    surface.accounts = {
        ("openai.chat", "files"): {each.name.partition("/")[0]: each for each in keepers}
    }
    door = AccountDoor(openai_chat.WIRE, lambda: surface, lambda: "id-1", lambda: 0.0, "files")
    fields = [(b"authorization", b"Bearer sk-x")]
    if named:
        fields.append((b"x-modelmux-provider", named.encode()))
    request = HttpRequest("GET", f"/v1/files{path_below}", query, fields, b"", 0.0)
    request.parameters = {"id": path_below.removeprefix("/")} if path_below else {}
    return asyncio.run(door(request))


def test_the_preferred_provider_is_asked_for_what_is_below_the_path():
    first, second = Keeper("first/files"), Keeper("second/files")
    answer = ask("/f-1/content", keepers=(first, second), query=b"a=1&key=sk-x&b=")
    assert answer.status == 200
    (call,) = first.calls
    assert call.passage is not None
    assert (call.passage.method, call.passage.path) == ("GET", "/f-1/content")
    assert call.passage.query == "a=1&b="
    assert second.calls == []


def test_a_provider_can_be_named():
    first, second = Keeper("first/files"), Keeper("second/files")
    assert ask(keepers=(first, second), named="second").status == 200
    assert len(second.calls) == 1


@pytest.mark.parametrize("named", ["", "third"])
def test_who_is_not_there_cannot_be_asked(named: str):
    notes = Notes()
    keepers = (Keeper("first/files"),) if named else ()
    assert ask(keepers=keepers, named=named, notes=notes).status == 404
    assert isinstance(notes.refusals[0].error, NotFound)


def test_a_key_must_allow_the_account():
    first, second = Keeper("first/files"), Keeper("second/files")
    assert ask(keepers=(first, second), models=("second/*",)).status == 200
    assert (len(first.calls), len(second.calls)) == (0, 1)
    notes = Notes()
    assert ask(keepers=(first,), models=("second/*",), notes=notes).status == 403
    assert isinstance(notes.refusals[0].error, PermissionDenied)


@pytest.mark.parametrize("below", ["/..", "/../x", "/a/../../b", "/a\r\nb", "/a/b/c/d/e", "/a?b"])
def test_a_path_leads_nowhere_else(below: str):
    first = Keeper("first/files")
    assert ask(below, keepers=(first,)).status == 404
    assert first.calls == []


def test_two_apis_at_one_path_are_told_apart():
    async def openai(request: HttpRequest) -> Answer:
        return Answer(200, [], b"openai")

    async def anthropic(request: HttpRequest) -> Answer:
        return Answer(200, [], b"anthropic")

    door = ByDialect(openai, anthropic)
    plain = HttpRequest("GET", "/v1/files", b"", [], b"", 0.0)
    assert asyncio.run(door(plain)).body == b"openai"
    theirs = HttpRequest("GET", "/v1/files", b"", [(b"anthropic-version", b"1")], b"", 0.0)
    assert asyncio.run(door(theirs)).body == b"anthropic"
