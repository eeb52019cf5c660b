import asyncio
from collections.abc import Callable

import msgspec
import pytest

from modelmux.errors import InvalidRequest, NotFound, Unauthenticated
from modelmux.ingress.endpoint import MAX_REQUEST_ID_BYTES
from modelmux.ingress.http import Answer, HttpRequest, text
from modelmux.ingress.routes import Routes
from tests.support.linewire import LineWire

WIRE = LineWire()


class Table:
    """Routes with a door at `/a`, one below `/m/`, and whatever a test adds."""

    def __init__(self, door: Callable[[HttpRequest], Answer] | None = None) -> None:
        self.requests: list[HttpRequest] = []
        self.defects: list[tuple[str, str, Exception]] = []
        self._door = door or (lambda request: text(request.parameters.get("id", "")))
        self.routes = Routes(
            {"/a": {"POST": self._answer}, "/g": {"GET": self._answer, "POST": self._answer}},
            {"/m/": {"GET": self._answer}, "/p/": {"POST": self._answer}},
            lambda request: WIRE,
            lambda: "made-1",
            lambda request, id_, exc: self.defects.append((request.path, id_, exc)),
        )

    async def _answer(self, request: HttpRequest) -> Answer:
        self.requests.append(request)
        return self._door(request)

    def ask(self, method: str, path: str, **headers: str) -> Answer:
        fields = [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ]
        request = HttpRequest(method, path, b"", fields, b"", 0.0)
        return asyncio.run(self.routes(request))


def error(answer: Answer) -> dict[str, str]:
    assert isinstance(answer.body, bytes)
    return msgspec.json.decode(answer.body)


def raising(exc: Exception) -> Callable[[HttpRequest], Answer]:
    def door(_request: HttpRequest) -> Answer:
        raise exc

    return door


def test_a_defect_that_comes_late_is_told_too():
    table = Table()
    defect = ZeroDivisionError()
    table.routes.broke(HttpRequest("POST", "/a", b"", [], b"", 0.0), defect)
    assert table.defects == [("/a", "made-1", defect)]


@pytest.mark.parametrize(
    ("method", "path", "fast"),
    [
        (b"POST", b"/a", True),
        (b"POST", b"/g", True),
        (b"GET", b"/g", False),
        (b"HEAD", b"/g", False),
        (b"POST", b"/m/x", False),
        (b"POST", b"/a/", False),
        (b"POST", b"/%61", False),
        (b"POST", b"/p/gemini-3:generateContent", True),
        (b"GET", b"/p/gemini-3", False),
        (b"POST", b"/p/gemini%2f3", False),
        (b"POST", b"/p/gemini\xc3", False),
        (b"POST", b"/p/gemini#3", False),
    ],
)
def test_a_post_to_a_known_path_is_fast(method: bytes, path: bytes, fast: bool):
    assert Table().routes.is_fast(method, path) is fast


def test_a_path_leads_to_its_door_by_method():
    table = Table()
    assert table.ask("POST", "/a").status == 200
    assert [request.path for request in table.requests] == ["/a"]


def test_the_rest_of_a_path_is_the_parameter():
    table = Table()
    assert table.ask("GET", "/m/openai/gpt-5").body == b"openai/gpt-5"


@pytest.mark.parametrize("path", ["/", "", "/b", "/a/", "/A", "/m/", "/m", "/xm/y", "//a"])
def test_any_other_path_is_not_found(path: str):
    answer = Table().ask("POST", path)
    assert answer.status == 404
    assert error(answer)["error"] == "not_found"
    assert path in error(answer)["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", "/a", b"POST"),
        ("HEAD", "/a", b"POST"),
        ("PATCH", "/a", b"POST"),
        ("post", "/a", b"POST"),
        ("OPTIONS", "/g", b"GET, POST, HEAD"),
        ("DELETE", "/m/x", b"GET, HEAD"),
    ],
)
def test_another_method_is_refused_with_those_there_are(method: str, path: str, allowed: bytes):
    table = Table()
    answer = table.ask(method, path)
    assert answer.status == 405
    assert dict(answer.headers)[b"allow"] == allowed
    assert method in error(answer)["message"]
    assert table.requests == []


@pytest.mark.parametrize("path", ["/g", "/m/x"])
def test_head_is_answered_as_get(path: str):
    table = Table()
    assert table.ask("HEAD", path).status == 200
    assert table.requests[0].method == "HEAD"


@pytest.mark.parametrize("exc", [InvalidRequest("no"), NotFound("no"), Unauthenticated("no")])
def test_what_a_door_refuses_is_told_in_the_dialect_of_the_path(exc: Exception):
    table = Table(raising(exc))
    answer = table.ask("POST", "/a", x_request_id="mine")
    assert answer.status == getattr(exc, "status", 0)
    assert error(answer)["message"] == "no"
    assert dict(answer.headers)[b"x-request-id"] == b"mine"
    assert table.defects == []


def test_a_defect_is_told_as_one_with_the_id_under_which_it_is_logged():
    table = Table(raising(ZeroDivisionError("secret detail")))
    answer = table.ask("POST", "/a")
    assert answer.status == 500
    assert dict(answer.headers)[b"x-request-id"] == b"made-1"
    assert error(answer)["error"] == "internal"
    assert "made-1" in error(answer)["message"]
    assert "secret" not in error(answer)["message"]
    ((path, id_, exc),) = table.defects
    assert (path, id_, type(exc)) == ("/a", "made-1", ZeroDivisionError)


def test_a_defect_keeps_the_callers_own_id():
    table = Table(raising(ZeroDivisionError()))
    assert b"mine" in dict(table.ask("POST", "/a", x_request_id="mine").headers).values()
    assert table.defects[0][1] == "mine"


def test_what_ends_the_process_is_no_defect():
    def leave(_request: HttpRequest) -> Answer:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Table(leave).ask("POST", "/a")


def test_a_caller_who_leaves_is_no_defect():
    def leave(_request: HttpRequest) -> Answer:
        raise asyncio.CancelledError

    table = Table(leave)
    with pytest.raises(asyncio.CancelledError):
        table.ask("POST", "/a")
    assert table.defects == []


def test_an_id_of_the_callers_that_is_too_long_is_replaced():
    answer = Table().ask("GET", "/nowhere", x_request_id="x" * (MAX_REQUEST_ID_BYTES + 1))
    assert dict(answer.headers)[b"x-request-id"] == b"made-1"
