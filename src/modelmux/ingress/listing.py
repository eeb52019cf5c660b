"""`GET /v1/models`: what a caller may ask for, in the shape its API gives lists."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from urllib.parse import parse_qs

import msgspec
from msgspec.structs import replace

from modelmux.errors import GatewayError, InvalidRequest, UnknownModel
from modelmux.ingress.endpoint import Current, refuse, request_id
from modelmux.ingress.http import JSON, Answer, HttpRequest
from modelmux.ingress.surface import ModelRow
from modelmux.wire.base import Wire

Shape = dict[str, object]

OWNER = "modelmux"

DEFAULT_PAGE = 20
DEFAULT_GEMINI_PAGE = 50
MAX_PAGE = 1000
"""Anthropic's, and Google's too: https://docs.anthropic.com/en/api/models-list, read 2026-11-20."""

_DIGITS = re.compile(r"[0-9]{1,9}")


class ModelsDoor:
    """The list of models, and one model, for several APIs, some at the same path."""

    def __init__(
        self, dialect: Callable[[HttpRequest], Wire], current: Current, new_id: Callable[[], str]
    ) -> None:
        """Open the door; `dialect` tells what a request speaks."""
        self._dialect = dialect
        self._current = current
        self._new_id = new_id

    async def __call__(self, request: HttpRequest) -> Answer:
        """Answer `GET /v1/models` or `GET /v1/models/{id}`."""
        wire = self._dialect(request)
        one, several = _SHAPES.get(wire.name, _SHAPES["openai.chat"])
        id_ = request_id(request, self._new_id)
        try:
            surface = self._current()
            caller = surface.keyring.identify(request)
            rows = surface.rows(caller)
            wanted = request.parameters.get("id")
            if wanted is not None:
                row = find(rows, wanted, surface.registry.targets(wanted, caller))
                body = one(row)
            else:
                body = several(rows, request.query)
        except GatewayError as exc:
            return refuse(exc, wire, id_)
        fields = [(b"content-type", JSON), (b"x-request-id", id_.encode())]
        return Answer(200, fields, msgspec.json.encode(body))


def _openai(row: ModelRow) -> Shape:
    return {"id": row.id, "object": "model", "created": row.created_at_s, "owned_by": _owner(row)}


def _anthropic(row: ModelRow) -> Shape:
    created = datetime.fromtimestamp(row.created_at_s, UTC)
    return {
        "type": "model",
        "id": row.id,
        "display_name": row.id,
        "created_at": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "max_input_tokens": row.context_tokens or None,
        "max_tokens": row.max_output_tokens or None,
    }


def _gemini(row: ModelRow) -> Shape:
    """As `Model` of https://ai.google.dev/api/models, read 2026-11-20."""
    return {
        "name": f"models/{row.id}",
        "baseModelId": row.id,
        "version": "001",
        "displayName": row.id,
        "inputTokenLimit": row.context_tokens,
        "outputTokenLimit": row.max_output_tokens,
        "supportedGenerationMethods": ["generateContent", "countTokens"],
    }


def _openai_list(rows: Sequence[ModelRow], query: bytes) -> Shape:
    return {"object": "list", "data": [_openai(row) for row in rows]}


def _gemini_page(rows: Sequence[ModelRow], query: bytes) -> Shape:
    """Google's paging: `pageSize` and `pageToken`, which is a place here."""
    asked = parse_qs(query.decode("latin-1"))
    size = _limit(asked.get("pageSize", [str(DEFAULT_GEMINI_PAGE)])[0], "pageSize")
    token = asked.get("pageToken", ["0"])[0]
    start = int(token) if _DIGITS.fullmatch(token) else len(rows)
    page: Shape = {"models": [_gemini(row) for row in rows[start : start + size]]}
    if start + size < len(rows):
        page["nextPageToken"] = str(start + size)
    return page


def _owner(row: ModelRow) -> str:
    """The provider that answers first; the gateway itself for a composition."""
    return row.targets[0].partition("/")[0] if len(row.targets) == 1 else OWNER


def find(rows: Sequence[ModelRow], wanted: str, targets: Sequence[str]) -> ModelRow:
    """The model called `wanted`, also if no list has it.

    A glob may take it, or a provider's name stand before it: `targets` are those who offer it.
    """
    for row in rows:
        if row.id == wanted:
            return row
    if not targets:
        raise UnknownModel(f"no model {wanted!r} is offered to this key", param="model")
    for row in rows:
        if row.targets[0] == targets[0]:
            return replace(row, id=wanted, targets=tuple(targets))
    return ModelRow(wanted, tuple(targets), max((row.created_at_s for row in rows), default=0))


def _page(rows: Sequence[ModelRow], query: bytes) -> Shape:
    """Anthropic's paging: `limit`, `after_id`, `before_id`. Raises `InvalidRequest`."""
    asked = parse_qs(query.decode("latin-1"))
    limit = _limit(asked.get("limit", [str(DEFAULT_PAGE)])[0])
    ids = [row.id for row in rows]
    start, end = 0, len(rows)
    if after := asked.get("after_id"):
        start = ids.index(after[0]) + 1 if after[0] in ids else end
    if before := asked.get("before_id"):
        end = ids.index(before[0]) if before[0] in ids else start
        start = max(start, end - limit)
    page = rows[start : min(end, start + limit)]
    return {
        "data": [_anthropic(row) for row in page],
        "first_id": page[0].id if page else None,
        "last_id": page[-1].id if page else None,
        "has_more": start > 0 if before else start + limit < len(rows),
    }


def _limit(value: str, name: str = "limit") -> int:
    if not _DIGITS.fullmatch(value) or not 1 <= int(value) <= MAX_PAGE:
        raise InvalidRequest(f"expected a number from 1 to {MAX_PAGE}, got {value!r}", param=name)
    return int(value)


_SHAPES: Mapping[
    str, tuple[Callable[[ModelRow], Shape], Callable[[Sequence[ModelRow], bytes], Shape]]
] = {
    "openai.chat": (_openai, _openai_list),
    "anthropic.messages": (_anthropic, _page),
    "gemini": (_gemini, _gemini_page),
}
"""How each API has one model, and a list of them. Others have OpenAI's."""
