"""The doors of what is passed on and not looked into: images, audio, files, batches.

Who answers is found by the model, which stands in the JSON or in a field of the form; where there
is none, as with files, by the name of the provider.
"""

import re
from collections.abc import AsyncGenerator, Mapping
from typing import Final
from urllib.parse import parse_qsl, urlencode

from typing_extensions import override

from modelmux.errors import (
    GatewayError,
    InvalidRequest,
    NotFound,
    PermissionDenied,
    TargetError,
)
from modelmux.ingress import multipart
from modelmux.ingress.endpoint import ModelDoor
from modelmux.ingress.http import Answer, BrokenOff, Endpoint, HttpRequest
from modelmux.ingress.surface import Surface
from modelmux.ir.request import Envelope
from modelmux.target.base import Target
from modelmux.target.call import Call
from modelmux.target.passage import Passage
from modelmux.target.registry import allows
from modelmux.target.reply import Reply

PROVIDER_FIELD: Final = "x-modelmux-provider"
"""Names who keeps files and batches, where several providers do."""

MODEL: Final = "model"
"""The field of a form that names the model."""

_BELOW: Final = re.compile(r"(?:/(?!\.{1,2}(?:/|$))[\w.:~-]{1,256}){0,4}", re.ASCII)
"""What may stand behind the path of an operation: ids and verbs, and nothing that leads up."""


class PassingDoor(ModelDoor):
    """Passes requests of one operation on to the model that they name."""

    @override
    async def __call__(self, request: HttpRequest) -> Answer:
        if self._is_form(request) and request.fault is None:
            try:
                self._current().keyring.identify(request)  # nobody else's form is read
                request.form = await multipart.find(
                    request.payload, request.headers["content-type"], MODEL
                )
            except GatewayError as exc:
                request.fault = exc
        return await super().__call__(request)

    @override
    def _envelope(self, request: HttpRequest) -> Envelope:
        if not self._is_form(request):
            return self._read(request.body or request.payload[:])
        if request.form is None or not request.form.value:
            raise InvalidRequest(f"{MODEL}: expected a field of the form, got none", param=MODEL)
        return Envelope(request.form.value)

    @override
    def _target(self, surface: Surface, call: Call, request: HttpRequest) -> Target:
        form = request.form
        call.passage = Passage(
            payload=request.body or request.payload,
            content_type=request.headers.get("content-type", ""),
            model_at=(form.start, form.end) if form is not None else None,
        )
        return super()._target(surface, call, request)

    @override
    async def _answer(
        self, surface: Surface, call: Call, reply: Reply, headers: Mapping[str, str]
    ) -> Answer:
        passed = reply.passed
        if passed is None:
            return await super()._answer(surface, call, reply, headers)
        fields = [*self._fields(call, reply), *passed.fields]
        if isinstance(passed.body, bytes):
            body = b"".join([piece async for piece in reply.pieces()])
            return Answer(passed.status, fields, body)
        return Answer(passed.status, fields, _pieces(reply), reply.aclose)

    def _is_form(self, request: HttpRequest) -> bool:
        return request.headers.get("content-type", "").lower().startswith(multipart.FORM)


class AccountDoor(PassingDoor):
    """Passes on what belongs to an account with a provider, and to none of its models."""

    @override
    async def __call__(self, request: HttpRequest) -> Answer:
        return await ModelDoor.__call__(self, request)

    @override
    def _envelope(self, request: HttpRequest) -> Envelope:
        return Envelope("")

    @override
    def _target(self, surface: Surface, call: Call, request: HttpRequest) -> Target:
        below = request.parameters.get("id", "")
        below = f"/{below}" if below else ""
        if _BELOW.fullmatch(below) is None:
            raise NotFound(f"nothing is at {request.path}")
        payload = request.body or request.payload
        call.passage = Passage(
            request.method,
            below,
            _query(request.query),
            payload,
            request.headers.get("content-type", "") if len(payload) else "",
        )
        return self._keeper(surface, call, request.headers.get(PROVIDER_FIELD))

    def _keeper(self, surface: Surface, call: Call, asked: str | None) -> Target:
        """Who keeps the account. Raises `NotFound`, `PermissionDenied`."""
        offered = surface.accounts.get((call.wire.name, call.operation))
        if not offered:
            raise NotFound(f"no provider here offers {call.operation} in this API")
        if asked is not None:
            if asked not in offered:
                raise NotFound(
                    f"the provider {asked!r} does not offer {call.operation} in this API; "
                    f"{', '.join(offered)} do",
                    param=PROVIDER_FIELD,
                )
            offered = {asked: offered[asked]}
        for target in offered.values():
            if allows(call.caller, target.name):
                return target
        first = next(iter(offered.values())).name
        raise PermissionDenied(
            f"the key {call.caller.name!r} does not allow {first!r}; "
            f"it allows {', '.join(call.caller.models)}"
        )


class ByDialect:
    """A path that two APIs have, told apart by the header that one of them always has."""

    def __init__(self, openai: Endpoint, anthropic: Endpoint) -> None:
        self._openai = openai
        self._anthropic = anthropic

    async def __call__(self, request: HttpRequest) -> Answer:
        """Answer as the API that is spoken."""
        is_anthropics = "anthropic-version" in request.headers
        return await (self._anthropic if is_anthropics else self._openai)(request)


async def _pieces(reply: Reply) -> AsyncGenerator[bytes]:
    """The pieces of an answer, which must not look finished where it broke off."""
    pieces = reply.pieces()
    try:
        async for piece in pieces:
            yield piece
    except TargetError as exc:
        raise BrokenOff from exc
    finally:
        await pieces.aclose()


def _query(query: bytes) -> str:
    """The query without the caller's credential."""
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    return urlencode([(name, value) for name, value in pairs if name != "key"])
