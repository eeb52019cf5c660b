"""The HTTP surface: which door is at which path."""

from collections.abc import Callable, Mapping

from modelmux.errors import UpgradeRequired
from modelmux.ingress import gemini as gemini_doors
from modelmux.ingress.asgi import Adapter, Lifespan
from modelmux.ingress.control import Control
from modelmux.ingress.endpoint import Current, ModelDoor
from modelmux.ingress.entrance import SurfaceName
from modelmux.ingress.health import Health
from modelmux.ingress.http import Answer, HttpRequest
from modelmux.ingress.listing import ModelsDoor
from modelmux.ingress.routes import Methods, Routes, Table
from modelmux.wire import anthropic_messages, cohere_chat, gemini, openai_chat
from modelmux.wire.base import Wire

NewId = Callable[[], str]
Now = Callable[[], float]


def doors(
    current: Current, health: Health, new_id: NewId, now: Now, control: Control | None = None
) -> Routes:
    """The routes of listeners for callers, for each surface that they may have.

    Without `control` nothing controls the gateway, whatever the surface.
    """
    guest, prefixes = _model_doors(current, new_id, now)
    callers = {**guest, **_watching(health)}
    surfaces: dict[SurfaceName, Table] = {"guest": (guest, prefixes)}
    if control is not None:
        surfaces["admin"] = ({**callers, **_controlling(control)}, prefixes)
    return _routes(current, callers, prefixes, new_id, surfaces)


def control_doors(
    current: Current,
    kept: tuple[Health, Control, Mapping[str, Methods]],
    new_id: NewId,
    now: Now,
) -> Routes:
    """The routes of the control socket: those for callers, and those that are `kept` from them."""
    health, control, more = kept
    guest, prefixes = _model_doors(current, new_id, now)
    exact = {**guest, **_watching(health), **_controlling(control), **more}
    return _routes(current, exact, prefixes, new_id, {})


def application(routes: Routes, max_body_bytes: int, now: Now, lifespan: Lifespan) -> Adapter:
    """The routes as an ASGI application."""
    return Adapter(routes, max_body_bytes, now, lifespan)


def _watching(health: Health) -> dict[str, Methods]:
    return {
        "/health": {"GET": health.health},
        "/healthz": {"GET": health.live},
        "/readyz": {"GET": health.ready},
        "/metrics": {"GET": health.metrics},
    }


def _controlling(control: Control) -> dict[str, Methods]:
    return {
        "/control/status": {"GET": control.status},
        "/control/stop": {"POST": control.stop},
        "/control/reload": {"POST": control.reload},
        "/control/upgrade": {"POST": control.upgrade},
        "/control/logs": {"GET": control.logs},
    }


def _model_doors(
    current: Current, new_id: NewId, now: Now
) -> tuple[dict[str, Methods], dict[str, Methods]]:
    openai, anthropic = openai_chat.WIRE, anthropic_messages.WIRE
    models = ModelsDoor(_dialect, current, new_id)
    api: dict[str, Methods] = {
        "/chat/completions": {"POST": ModelDoor(openai, current, new_id, now)},
        "/messages": {"POST": ModelDoor(anthropic, current, new_id, now)},
        "/messages/count_tokens": {
            "POST": ModelDoor(anthropic, current, new_id, now, "count_tokens")
        },
        "/embeddings": {"POST": ModelDoor(openai, current, new_id, now, "embeddings")},
        "/rerank": {"POST": ModelDoor(openai, current, new_id, now, "rerank")},
        "/models": {"GET": models},
    }
    # Codex falls back to plain HTTP at once on 426, and after six seconds on 404.
    exact: dict[str, Methods] = {
        path: {"GET": _no_websocket} for path in ("/v1/responses", "/v1/realtime")
    }
    for prefix in ("/v1", "/models/v1"):
        exact |= {f"{prefix}{path}": methods for path, methods in api.items()}
    exact |= {
        "/v2/chat": {"POST": ModelDoor(cohere_chat.WIRE, current, new_id, now)},
        "/v2/embed": {"POST": ModelDoor(cohere_chat.WIRE, current, new_id, now, "embeddings")},
        "/v2/rerank": {"POST": ModelDoor(cohere_chat.WIRE, current, new_id, now, "rerank")},
    }
    ask = gemini_doors.doors(current, new_id, now)
    exact["/v1beta/models"] = {"GET": models}
    # Google's SDK asks below `/v1` too, where OpenAI's has its list of models.
    prefixes: dict[str, Methods] = {
        f"{prefix}/models/": {"GET": models, "POST": ask}
        for prefix in ("/v1", "/v1beta", "/models/v1", "/models/v1beta")
    }
    return exact, prefixes


async def _no_websocket(request: HttpRequest) -> Answer:
    raise UpgradeRequired(f"{request.path} takes WebSockets only, and none are offered here")


def _routes(
    current: Current,
    exact: Mapping[str, Methods],
    prefixes: Mapping[str, Methods],
    new_id: NewId,
    surfaces: Mapping[SurfaceName, Table],
) -> Routes:
    def failed(request: HttpRequest, id_: str, exc: Exception) -> None:
        current().journal.failed(request, id_, exc)  # the journal of the surface then in force

    return Routes(exact, prefixes, _dialect, new_id, failed, surfaces)


def _dialect(request: HttpRequest) -> Wire:
    """What a caller of this path speaks, as far as it can be told."""
    headers, path = request.headers, request.path
    if "/messages" in path or "anthropic-version" in headers:
        return anthropic_messages.WIRE
    if path.startswith("/v2/"):
        return cohere_chat.WIRE
    if "/v1beta/" in path or "x-goog-api-key" in headers or "x-goog-api-client" in headers:
        return gemini.WIRE
    if request.method == "POST" and "/models/" in path.removeprefix("/models"):
        return gemini.WIRE
    return openai_chat.WIRE
