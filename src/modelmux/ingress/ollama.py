"""Ollama's doors beside those for models: what there is, in the shape its clients expect."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

import msgspec
from msgspec import Struct

from modelmux.errors import GatewayError, InvalidRequest
from modelmux.ingress.endpoint import Current, ModelDoor, refuse, request_id
from modelmux.ingress.http import JSON, Answer, HttpRequest
from modelmux.ingress.listing import Shape, find
from modelmux.ingress.routes import Methods
from modelmux.ingress.surface import ModelRow, Surface
from modelmux.target.call import Caller
from modelmux.wire import extra, ollama_chat

API_VERSION = "0.40.0"
"""The version of Ollama whose API this is: clients refuse to talk to servers that are too old."""

NewId = Callable[[], str]


class _Show(Struct):
    model: str = ""
    name: str = ""
    """What `model` was called before."""


_show = msgspec.json.Decoder(_Show)


class OllamaDoor:
    """Answers one question about the models there are."""

    def __init__(
        self,
        answer: Callable[[HttpRequest, Surface, Caller], Shape],
        current: Current,
        new_id: NewId,
    ) -> None:
        """Open a door; `answer` says what is asked for."""
        self._answer = answer
        self._current = current
        self._new_id = new_id

    async def __call__(self, request: HttpRequest) -> Answer:
        """Answer a request, or refuse it in Ollama's words."""
        id_ = request_id(request, self._new_id)
        try:
            surface = self._current()
            caller = surface.keyring.identify(request)
            body = self._answer(request, surface, caller)
        except GatewayError as exc:
            return refuse(exc, ollama_chat.WIRE, id_)
        fields = [(b"content-type", JSON), (b"x-request-id", id_.encode())]
        return Answer(200, fields, msgspec.json.encode(body))


def doors(current: Current, new_id: NewId, now: Callable[[], float]) -> Mapping[str, Methods]:
    """All doors below `/api`."""

    def door(answer: Callable[[HttpRequest, Surface, Caller], Shape]) -> OllamaDoor:
        return OllamaDoor(answer, current, new_id)

    embed = ModelDoor(ollama_chat.WIRE, current, new_id, now, "embeddings")
    return {
        "/api/embed": {"POST": embed},
        "/api/embeddings": {"POST": embed},
        "/api/chat": {"POST": ModelDoor(ollama_chat.WIRE, current, new_id, now)},
        "/api/generate": {"POST": ModelDoor(ollama_chat.GENERATE_WIRE, current, new_id, now)},
        "/api/tags": {"GET": door(_tags)},
        "/api/show": {"POST": door(_shown)},
        "/api/ps": {"GET": door(_running)},
        "/api/version": {"GET": door(_version)},
    }


def _tags(request: HttpRequest, surface: Surface, caller: Caller) -> Shape:
    return {"models": [_model(row) for row in surface.rows(caller)]}


def _running(request: HttpRequest, surface: Surface, caller: Caller) -> Shape:
    """Nothing: what targets hold in memory is not known here."""
    return {"models": []}


def _version(request: HttpRequest, surface: Surface, caller: Caller) -> Shape:
    return {"version": API_VERSION}


def _shown(request: HttpRequest, surface: Surface, caller: Caller) -> Shape:
    try:
        asked = _show.decode(request.body)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc) from None
    wanted = asked.model or asked.name
    if not wanted:
        raise InvalidRequest("model: field required", param="model")
    row = find(surface.rows(caller), wanted, surface.registry.targets(wanted, caller))
    family = "modelmux"
    return {
        "modelfile": "",
        "parameters": "",
        "template": "",
        "details": _details(),
        "model_info": {
            "general.architecture": family,
            f"{family}.context_length": row.context_tokens,
        },
        "capabilities": ["completion", "tools"],
        "modified_at": _date(row),
    }


def _model(row: ModelRow) -> Shape:
    """As `ListModelResponse` of github.com/ollama/ollama/blob/main/api/types.go, as of 2026-11."""
    return {
        "name": row.id,
        "model": row.id,
        "modified_at": _date(row),
        "size": 0,
        "digest": "",
        "details": _details(),
    }


def _details() -> Shape:
    return {
        "parent_model": "",
        "format": "",
        "family": "modelmux",
        "families": ["modelmux"],
        "parameter_size": "",
        "quantization_level": "",
    }


def _date(row: ModelRow) -> str:
    return datetime.fromtimestamp(row.created_at_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
