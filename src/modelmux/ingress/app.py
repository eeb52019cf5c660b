"""The HTTP surface: which door is at which path."""

from collections.abc import Callable, Mapping

from modelmux.errors import UpgradeRequired
from modelmux.ingress import gemini as gemini_doors
from modelmux.ingress import ollama as ollama_doors
from modelmux.ingress.asgi import Adapter, Lifespan
from modelmux.ingress.control import Control
from modelmux.ingress.endpoint import Current, ModelDoor
from modelmux.ingress.entrance import SurfaceName
from modelmux.ingress.health import Health
from modelmux.ingress.http import Answer, Endpoint, HttpRequest
from modelmux.ingress.kept import KeptDoor
from modelmux.ingress.listing import ModelsDoor
from modelmux.ingress.passing import AccountDoor, ByDialect, PassingDoor
from modelmux.ingress.responses import ResponsesDoor
from modelmux.ingress.routes import Methods, Routes, Table, Uploads
from modelmux.wire import (
    anthropic_messages,
    cohere_chat,
    gemini,
    ollama_chat,
    openai_chat,
    openai_completions,
    openai_responses,
)
from modelmux.wire.base import Operation, Wire

NewId = Callable[[], str]
Now = Callable[[], float]


_PASSED: Mapping[str, Operation] = {
    "/moderations": "moderations",
    "/images/generations": "images_generations",
    "/audio/speech": "audio_speech",
}
"""What is asked of a model in JSON and passed on."""

_UPLOADED: Mapping[str, Operation] = {
    "/images/edits": "images_edits",
    "/images/variations": "images_variations",
    "/audio/transcriptions": "audio_transcriptions",
    "/audio/translations": "audio_translations",
}
"""What is asked in a form with files."""

_KEPT: Mapping[str, Operation] = {"/files": "files", "/batches": "batches"}
"""What a provider keeps, and no model."""


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


def application(
    routes: Routes,
    max_body_bytes: int,
    now: Now,
    lifespan: Lifespan,
    *,
    max_upload_bytes: int = 0,
) -> Adapter:
    """The routes as an ASGI application."""
    return Adapter(routes, max_body_bytes, now, lifespan, max_upload_bytes=max_upload_bytes)


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
        "/completions": {"POST": ModelDoor(openai_completions.WIRE, current, new_id, now)},
        "/responses": {
            "POST": ResponsesDoor(openai_responses.WIRE, current, new_id, now),
            # Codex falls back to plain HTTP at once on 426, and after six seconds on 404.
            "GET": _no_websocket,
        },
        "/messages": {"POST": ModelDoor(anthropic, current, new_id, now)},
        "/messages/count_tokens": {
            "POST": ModelDoor(anthropic, current, new_id, now, "count_tokens")
        },
        "/embeddings": {"POST": ModelDoor(openai, current, new_id, now, "embeddings")},
        "/rerank": {"POST": ModelDoor(openai, current, new_id, now, "rerank")},
        "/models": {"GET": models},
    }
    for path, operation in _PASSED.items():
        api[path] = {"POST": PassingDoor(openai, current, new_id, now, operation)}
    for path, operation in _UPLOADED.items():
        api[path] = Uploads(POST=PassingDoor(openai, current, new_id, now, operation))
    exact: dict[str, Methods] = {"/v1/realtime": {"GET": _no_websocket}}
    for prefix in ("/v1", "/models/v1"):
        exact |= {f"{prefix}{path}": methods for path, methods in api.items()}
    exact |= {
        "/v2/chat": {"POST": ModelDoor(cohere_chat.WIRE, current, new_id, now)},
        "/v2/embed": {"POST": ModelDoor(cohere_chat.WIRE, current, new_id, now, "embeddings")},
        "/v2/rerank": {"POST": ModelDoor(cohere_chat.WIRE, current, new_id, now, "rerank")},
    }
    ask = gemini_doors.doors(current, new_id, now)
    exact["/v1beta/models"] = {"GET": models}
    exact |= ollama_doors.doors(current, new_id, now)
    # Google's SDK asks below `/v1` too, where OpenAI's has its list of models.
    prefixes: dict[str, Methods] = {
        f"{prefix}/models/": {"GET": models, "POST": ask}
        for prefix in ("/v1", "/v1beta", "/models/v1", "/models/v1beta")
    }
    passing = AccountDoor(openai_responses.WIRE, current, new_id, now, "responses")
    kept = KeptDoor(openai_responses.WIRE, current, new_id, passing)
    for prefix in ("/v1", "/models/v1"):
        prefixes[f"{prefix}/responses/"] = {"GET": kept, "DELETE": kept, "POST": kept}
    for path, operation in _KEPT.items():
        door: Endpoint = AccountDoor(openai, current, new_id, now, operation)
        if operation == "files":
            door = ByDialect(door, AccountDoor(anthropic, current, new_id, now, operation))
        for prefix in ("/v1", "/models/v1"):
            exact[prefix + path] = Uploads(GET=door, POST=door)
            prefixes[f"{prefix}{path}/"] = {"GET": door, "POST": door, "DELETE": door}
    batches = AccountDoor(anthropic, current, new_id, now, "batches")
    exact["/v1/messages/batches"] = Uploads(GET=batches, POST=batches)
    prefixes["/v1/messages/batches/"] = {"GET": batches, "POST": batches, "DELETE": batches}
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
    if path.startswith("/api/"):
        return ollama_chat.WIRE
    if "/messages" in path or "anthropic-version" in headers:
        return anthropic_messages.WIRE
    if path.startswith("/v2/"):
        return cohere_chat.WIRE
    if "/v1beta/" in path or "x-goog-api-key" in headers or "x-goog-api-client" in headers:
        return gemini.WIRE
    if request.method == "POST" and "/models/" in path.removeprefix("/models"):
        return gemini.WIRE
    return openai_chat.WIRE
