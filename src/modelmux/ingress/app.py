"""The HTTP surface: which door is at which path."""

from collections.abc import Callable, Mapping

from modelmux.errors import UpgradeRequired
from modelmux.ingress.asgi import Adapter, Lifespan
from modelmux.ingress.control import Control
from modelmux.ingress.endpoint import Current, ModelDoor
from modelmux.ingress.health import Health
from modelmux.ingress.http import Answer, HttpRequest
from modelmux.ingress.listing import ModelsDoor
from modelmux.ingress.routes import Methods, Routes
from modelmux.wire import anthropic_messages, openai_chat
from modelmux.wire.base import Wire

NewId = Callable[[], str]
Now = Callable[[], float]


def doors(current: Current, health: Health, new_id: NewId, now: Now) -> Routes:
    """The routes of a listener for callers."""
    exact, prefixes = _tables(current, health, new_id, now)
    return _routes(current, exact, prefixes, new_id)


def control_doors(
    current: Current, health: Health, control: Control, new_id: NewId, now: Now
) -> Routes:
    """The routes of the control socket: those for callers, and those that control."""
    exact, prefixes = _tables(current, health, new_id, now)
    exact |= {
        "/control/status": {"GET": control.status},
        "/control/stop": {"POST": control.stop},
        "/control/logs": {"GET": control.logs},
    }
    return _routes(current, exact, prefixes, new_id)


def application(routes: Routes, max_body_bytes: int, now: Now, lifespan: Lifespan) -> Adapter:
    """The routes as an ASGI application."""
    return Adapter(routes, routes.refuse, max_body_bytes, now, lifespan)


def _tables(
    current: Current, health: Health, new_id: NewId, now: Now
) -> tuple[dict[str, Methods], dict[str, Methods]]:
    openai, anthropic = openai_chat.WIRE, anthropic_messages.WIRE
    models = ModelsDoor(openai, anthropic, current, new_id)
    api: dict[str, Methods] = {
        "/chat/completions": {"POST": ModelDoor(openai, current, new_id, now)},
        "/messages": {"POST": ModelDoor(anthropic, current, new_id, now)},
        "/messages/count_tokens": {
            "POST": ModelDoor(anthropic, current, new_id, now, "count_tokens")
        },
        "/models": {"GET": models},
    }
    exact: dict[str, Methods] = {
        "/health": {"GET": health.health},
        "/healthz": {"GET": health.live},
        "/readyz": {"GET": health.ready},
        "/metrics": {"GET": health.metrics},
    }
    # Codex falls back to plain HTTP at once on 426, and after six seconds on 404.
    exact |= {path: {"GET": _no_websocket} for path in ("/v1/responses", "/v1/realtime")}
    for prefix in ("/v1", "/models/v1"):
        exact |= {f"{prefix}{path}": methods for path, methods in api.items()}
    prefixes: dict[str, Methods] = {
        "/v1/models/": {"GET": models},
        "/models/v1/models/": {"GET": models},
    }
    return exact, prefixes


async def _no_websocket(request: HttpRequest) -> Answer:
    raise UpgradeRequired(f"{request.path} takes WebSockets only, and none are offered here")


def _routes(
    current: Current,
    exact: Mapping[str, Methods],
    prefixes: Mapping[str, Methods],
    new_id: NewId,
) -> Routes:
    def failed(request: HttpRequest, id_: str, exc: Exception) -> None:
        current().journal.failed(request, id_, exc)  # the journal of the surface then in force

    return Routes(exact, prefixes, _dialect, new_id, failed)


def _dialect(request: HttpRequest) -> Wire:
    """What a caller of this path speaks, as far as it can be told."""
    if "/messages" in request.path or "anthropic-version" in request.headers:
        return anthropic_messages.WIRE
    return openai_chat.WIRE
