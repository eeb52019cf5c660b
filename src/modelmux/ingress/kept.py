"""What was answered before, by its id: got, listed, deleted."""

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import parse_qs

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import GatewayError, InvalidRequest, NotFound
from modelmux.ingress.endpoint import Current, refuse, request_id
from modelmux.ingress.http import JSON, Answer, Endpoint, HttpRequest
from modelmux.ingress.responses import said
from modelmux.store.turn import Turn, TurnStore
from modelmux.wire.base import Wire

DEFAULT_LIMIT: Final = 20
MAX_LIMIT: Final = 100
"""Items of one page, as OpenAI's Python library 3.51 documents `limit`, read 2026-11-20."""

Passing = Callable[[str], Endpoint | None]
"""Who passes a request on to the provider of a target, by the target's name."""


class _Page(Struct):
    data: list[dict[str, object]]
    first_id: str | None
    last_id: str | None
    has_more: bool
    object: str = "list"


_fields = msgspec.json.Decoder(dict[str, Raw])


class KeptDoor:
    """Answers requests for one response: `{id}`, `{id}/cancel`, `{id}/input_items`."""

    def __init__(
        self,
        wire: Wire,
        current: Current,
        new_id: Callable[[], str],
        passing: Endpoint | None = None,
    ) -> None:
        """Open a door.

        Args:
            wire: What its callers speak.
            current: The surface in force.
            new_id: Makes request ids.
            passing: Asks the provider that keeps a response itself, named by a header.
        """
        self._wire = wire
        self._current = current
        self._new_id = new_id
        self._passing = passing

    async def __call__(self, request: HttpRequest) -> Answer:
        """Answer a request, or refuse it in the caller's dialect."""
        id_ = request_id(request, self._new_id)
        try:
            surface = self._current()
            caller = surface.keyring.identify(request)
            request.entrance.admit()
            answer_id, _, verb = request.parameters["id"].partition("/")
            turn = None
            if surface.turns is not None:
                turn = await surface.turns.get(caller.name, answer_id)
            if turn is None or surface.turns is None:
                raise NotFound(f"Response with id {answer_id!r} not found.", param="response_id")
            if turn.target:
                return await self._elsewhere(request, turn, surface.turns)
            body = await _own(request, verb, turn, surface.turns)
        except GatewayError as exc:
            return refuse(exc, self._wire, id_)
        return Answer(200, [(b"content-type", JSON), (b"x-request-id", id_.encode())], body)

    async def _elsewhere(self, request: HttpRequest, turn: Turn, turns: TurnStore) -> Answer:
        """The answer of the provider that keeps the response itself."""
        if self._passing is None:
            raise NotFound(f"Response with id {turn.id!r} is kept by {turn.target}: ask there.")
        provider = turn.target.partition("/")[0]
        request.headers = {**request.headers, "x-modelmux-provider": provider}
        answer = await self._passing(request)
        if request.method == "DELETE" and answer.status < 300:
            await turns.forget(turn.caller, turn.id)
        return answer


async def _own(request: HttpRequest, verb: str, turn: Turn, turns: TurnStore) -> bytes:
    """The answer to a request for a response that the gateway keeps."""
    query = parse_qs(request.query.decode("latin-1"))
    match request.method, verb:
        case "GET" | "HEAD", "":
            if query.get("stream") == ["true"]:
                raise InvalidRequest(
                    "stream: only a response that was made in the background is streamed again",
                    param="stream",
                )
            return turn.answer
        case "GET" | "HEAD", "input_items":
            history = await turns.conversation(turn.caller, turn.id) or [turn]
            return msgspec.json.encode(_page(_numbered(history), query))
        case "DELETE", "":
            await turns.forget(turn.caller, turn.id)
            deleted = {"id": turn.id, "object": "response", "deleted": True}
            return msgspec.json.encode(deleted)
        case "POST", "cancel":
            raise InvalidRequest(
                "only a response that is made in the background can be cancelled: this one is "
                "complete",
                param="response_id",
            )
        case _:
            raise NotFound(f"nothing is at {request.method} {request.path}")


def _numbered(turns: list[Turn]) -> list[dict[str, object]]:
    """What the last answer was made of, each item with an id."""
    *before, last = turns
    found: list[dict[str, object]] = []
    for index, raw in enumerate([*said(before), *msgspec.json.decode(last.items, type=list[Raw])]):
        item: dict[str, object] = dict(_fields.decode(raw))
        item.setdefault("type", "message")
        item.setdefault("id", f"item_{last.id.removeprefix('resp_')}{index:04x}")
        content = item.get("content")
        if isinstance(content, Raw) and bytes(content).startswith(b'"'):
            kind = "output_text" if item.get("role") == Raw(b'"assistant"') else "input_text"
            part: dict[str, object] = {"type": kind, "text": content}
            if kind == "output_text":
                part["annotations"] = ()
            item["content"] = [part]
        found.append(item)
    return found


def _page(items: list[dict[str, object]], query: Mapping[str, list[str]]) -> _Page:
    """One page of items: the newest first, unless the caller asks for another order."""
    if query.get("order", ["desc"])[-1] != "asc":
        items.reverse()
    after = query.get("after", [""])[-1]
    if after:
        ids = [_id(item) for item in items]
        if after not in ids:
            raise InvalidRequest(f"after: no item has the id {after!r}", param="after")
        items = items[ids.index(after) + 1 :]
    limit = _limit(query.get("limit", [str(DEFAULT_LIMIT)])[-1])
    page = items[:limit]
    first, last = (_id(page[0]), _id(page[-1])) if page else (None, None)
    return _Page(page, first, last, len(items) > limit)


def _id(item: Mapping[str, object]) -> str:
    given = item["id"]
    return msgspec.json.decode(given, type=str) if isinstance(given, Raw) else str(given)


def _limit(given: str) -> int:
    limit = int(given) if given.isdecimal() and len(given) < 5 else 0
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest(
            f"limit: expected a number from 1 to {MAX_LIMIT}, got {given!r}", param="limit"
        )
    return limit
