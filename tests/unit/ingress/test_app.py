import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from modelmux.ingress.app import application, control_doors, doors
from modelmux.ingress.asgi import Lifespan
from modelmux.ingress.control import Actions, Control, Log, Reloaded, Status, Upgraded
from modelmux.ingress.health import Health, Readiness
from modelmux.ingress.http import Answer, HttpRequest
from modelmux.ingress.routes import Routes
from modelmux.ingress.surface import ModelRow
from modelmux.provider.echo import Echo
from modelmux.target.call import Call
from modelmux.target.reply import Reply
from tests.unit.ingress.loopback import Asgi, nothing, scope
from tests.unit.ingress.world import Notes, surface
from tests.unit.transport.loopback import play

QUESTION = {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hello"}]}


class Named(Echo):
    """An echo under a provider's name, which can be made to break."""

    name = "p/m"  # type: ignore[assignment]
    breaks = False

    async def send(self, call: Call) -> Reply:
        if self.breaks:
            raise ZeroDivisionError
        return await super().send(call)


class App:
    """The doors of a gateway whose model `m` says what it is told."""

    def __init__(self) -> None:
        self.notes = Notes()
        self.echo = Named(lambda: 1_795_000_000.0)
        self.stops: list[bool] = []
        surface_ = surface(self.echo, notes=self.notes, rows=[ModelRow("m", ("p/m",))])
        health = Health(
            lambda: {"total_requests": 0}, lambda: Readiness(ready=True), lambda: b"up 1\n"
        )
        actions = Actions(self.stops.append, self._reload, self._upgrade)
        control = Control(self._status, Log(self._recent, self._never), actions)
        clocks = (lambda: "made-1", lambda: 7.0)
        self.doors = doors(lambda: surface_, health, *clocks)
        self.control_doors = control_doors(lambda: surface_, (health, control, {}), *clocks)

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        routes: Routes | None = None,
        **headers: str,
    ) -> Answer:
        fields = [(name.replace("_", "-").encode(), v.encode()) for name, v in headers.items()]
        raw = msgspec.json.encode(body) if body is not None else b""
        request = HttpRequest(method, path, b"", fields, raw, 7.0)
        return asyncio.run((routes or self.doors)(request))

    def _status(self) -> Status:
        return Status(1, "1", "", "", "", [], [], 0, 0, 0, draining=False, providers=[])

    async def _upgrade(self) -> Upgraded:
        return Upgraded(upgraded=True)

    async def _reload(self, _cause: str) -> Reloaded:
        return Reloaded(reloaded=True)

    def _recent(self, _count: int) -> Sequence[str]:
        return ["a line"]

    def _never(self) -> object:
        raise AssertionError("nobody follows")


def said(answer: Answer) -> dict[str, object]:
    assert isinstance(answer.body, bytes)
    return msgspec.json.decode(answer.body)


PREFIXES = pytest.mark.parametrize("prefix", ["/v1", "/models/v1"])


@PREFIXES
def test_openais_chat_is_answered_in_its_shape(prefix: str):
    got = said(App().ask("POST", f"{prefix}/chat/completions", QUESTION))
    assert got["object"] == "chat.completion"
    assert got["choices"][0]["message"]["content"] == "Hello"
    assert got["model"] == "m"


@PREFIXES
def test_anthropics_messages_are_answered_in_their_shape(prefix: str):
    got = said(App().ask("POST", f"{prefix}/messages", QUESTION))
    assert got["type"] == "message"
    assert got["content"] == [{"type": "text", "text": "Hello"}]


def test_coheres_chat_is_answered_in_its_shape():
    got = said(App().ask("POST", "/v2/chat", QUESTION))
    assert got["message"]["content"] == [{"type": "text", "text": "Hello"}]


def test_a_refusal_of_coheres_is_a_message():
    assert set(said(App().ask("GET", "/v2/chat"))) == {"message"}


@PREFIXES
def test_tokens_are_counted(prefix: str):
    question = {name: value for name, value in QUESTION.items() if name != "max_tokens"}
    got = said(App().ask("POST", f"{prefix}/messages/count_tokens", question))
    assert got == {"input_tokens": 5}


@PREFIXES
@pytest.mark.parametrize("path", ["/models", "/models/m"])
def test_models_are_listed(prefix: str, path: str):
    assert App().ask("GET", prefix + path).status == 200
    assert App().ask("HEAD", prefix + path).status == 200


def test_a_models_name_may_have_slashes():
    assert said(App().ask("GET", "/v1/models/p/m"))["id"] == "p/m"


@pytest.mark.parametrize("path", ["/health", "/healthz", "/readyz", "/metrics"])
def test_the_gateway_can_be_watched(path: str):
    assert App().ask("GET", path).status == 200
    assert App().ask("HEAD", path).status == 200
    assert App().ask("POST", path).status == 405


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/control/status"),
        ("POST", "/control/stop"),
        ("GET", "/control/logs"),
        ("POST", "/control/reload"),
        ("POST", "/control/upgrade"),
    ],
)
def test_only_the_control_socket_controls(method: str, path: str):
    app = App()
    assert app.ask(method, path).status == 404
    assert app.stops == []
    assert app.ask(method, path, routes=app.control_doors).status in {200, 202}


def test_the_control_socket_answers_callers_too():
    app = App()
    answer = app.ask("POST", "/v1/chat/completions", QUESTION, routes=app.control_doors)
    assert answer.status == 200


@pytest.mark.parametrize(
    ("path", "fields", "is_anthropic"),
    [
        ("/v1/messages", {}, True),
        ("/v1/messages/count_tokens", {}, True),
        ("/models/v1/messages", {}, True),
        ("/v1/chat/completions", {}, False),
        ("/v1/nothing", {}, False),
        ("/v1/nothing", {"anthropic_version": "2023-06-01"}, True),
        ("/v1/messages/nothing", {}, True),
    ],
)
@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_a_refusal_speaks_the_dialect_of_its_path(
    method: str, path: str, fields: dict[str, str], is_anthropic: bool
):
    answer = App().ask(method, path, **fields)
    assert answer.status in {404, 405}
    assert (said(answer).get("type") == "error") == is_anthropic
    assert "message" in said(answer)["error"]


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
def test_a_defect_is_told_in_the_dialect_and_written_down(path: str):
    app = App()
    app.echo.breaks = True
    answer = app.ask("POST", path, QUESTION)
    assert answer.status == 500
    assert dict(answer.headers)[b"x-request-id"] == b"made-1"
    assert (said(answer).get("type") == "error") == (path == "/v1/messages")
    ((where, id_, exc),) = app.notes.defects
    assert (where, id_, type(exc)) == (path, "made-1", ZeroDivisionError)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
def test_the_application_refuses_too_large_a_body_in_the_dialect(path: str):
    app = application(App().doors, 10, lambda: 7.0, Lifespan(nothing, nothing))
    line = Asgi({"type": "http.request", "body": b"x" * 11})
    play(
        lambda: app(scope("POST", path), line.receive, line.send),
        asyncio.new_event_loop,
    )
    assert line.status == 413
    got = msgspec.json.decode(line.body)
    assert (got.get("type") == "error") == (path == "/v1/messages")
