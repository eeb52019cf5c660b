"""Operations beside chat, asked of a provider: in the caller's words, or translated.

Embeddings of more texts than the model takes at once are asked for in several requests, and the
answers joined in order.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from modelmux.errors import ProtocolViolation, TargetError, Unrepresentable
from modelmux.ir.profile import Profile
from modelmux.ir.request import Encoded, Loss
from modelmux.ir.response import Summary, Usage
from modelmux.target.call import Call
from modelmux.target.failures import error_of
from modelmux.target.reply import Reply, Whole
from modelmux.wire import extra
from modelmux.wire.base import Wire
from modelmux.wire.operations import EMBEDDINGS, RERANK, Family, HasUsage

MAX_AT_ONCE = 4
"""Requests under way for one call that had to be split: enough to hide most of the waiting, and
few enough not to eat the limits that the call shares with others."""

Q = TypeVar("Q", bound=Struct)
A = TypeVar("A", bound=HasUsage)
T = TypeVar("T")


class Answered(Struct, frozen=True):
    """A provider's whole answer to one request."""

    body: bytes
    header: Callable[[bytes], bytes | None]
    """The value of a header field by its lower-case name."""
    attempts: int
    upstream_id: str
    losses: tuple[Loss, ...]
    """What of the request the provider was not told."""


class Place(Protocol):
    """One model of one provider, to which requests can be sent."""

    @property
    def name(self) -> str:
        """The target's."""
        ...

    @property
    def upstream(self) -> str:
        """The provider's name for the model."""
        ...

    @property
    def profile(self) -> Profile: ...

    def wire_for(self, call: Call) -> Wire | None:
        """What to speak for the call's operation; `None` where it is not offered."""
        ...

    async def post(self, call: Call, wire: Wire, encoded: Encoded) -> Answered:
        """Send one request. Raises as `Target.send` does."""
        ...


async def answer(call: Call, place: Place) -> Reply:
    """The reply of `place` to a call of an operation that has a neutral form of its own.

    Raises:
        Unrepresentable: The provider does not have the operation, or cannot be told the request.
        InvalidRequest: The caller's body is not such a request.
        TargetError: The provider did not answer it.
    """
    if call.operation == "embeddings":
        return await _answer(call, place, EMBEDDINGS)
    return await _answer(call, place, RERANK)


async def _answer(call: Call, place: Place, family: Family[Q, A]) -> Reply:
    wire = place.wire_for(call)
    if wire is None:
        raise Unrepresentable(
            f"{place.name} does not offer {call.operation}; ask for a model that does, "
            "GET /v1/models lists what there is"
        )
    own, theirs = family.codecs[call.wire.name], family.codecs[wire.name]
    most = place.profile.max_inputs
    request = None
    if most or wire is not call.wire or call.envelope.spelling:
        request = own.decode_request(call.body)
    parts = family.split(request, most) if request is not None else []
    if wire is call.wire and not call.envelope.spelling and len(parts) < 2:
        body = own.readdress(call.body, call.envelope, place.upstream)
        answered = [await place.post(call, wire, Encoded(body))]
        usage = _read(wire, answered[0], partial(own.usage, answered[0].body, answered[0].header))
        if usage is None and (error := _said(wire, answered[0].body)) is not None:
            raise error
        return _reply(call, place, answered, answered[0].body, usage)
    assert request is not None  # noqa: S101  # it was decoded to be translated or split
    encoded = [
        theirs.encode_request(replace(part, model=place.upstream), place.profile) for part in parts
    ]
    answered = await _all(call, place, wire, encoded)
    whole = family.joined(
        [
            _read(wire, each, partial(theirs.decode_response, each.body, each.header))
            for each in answered
        ],
        request,
    )
    named = replace(request, model=call.envelope.model)
    return _reply(call, place, answered, own.encode_response(whole, named), whole.usage)


async def _all(call: Call, place: Place, wire: Wire, requests: list[Encoded]) -> list[Answered]:
    """The answers to `requests`, in their order. The first failure ends the others."""
    if len(requests) == 1:
        return [await place.post(call, wire, requests[0])]
    places = asyncio.Semaphore(MAX_AT_ONCE)

    async def one(encoded: Encoded) -> Answered:
        async with places:
            return await place.post(call, wire, encoded)

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(encoded)) for encoded in requests]
    except ExceptionGroup as failures:
        (failed, *_) = failures.exceptions
        raise failed from None
    return [task.result() for task in tasks]


def _reply(
    call: Call, place: Place, answered: list[Answered], body: bytes, usage: Usage | None
) -> Reply:
    losses = dict.fromkeys(loss for each in answered for loss in each.losses)
    reply = Reply(Whole(call.wire, body, opaque=True), target=place.name, losses=tuple(losses))
    reply.summary = Summary(usage)
    reply.attempts = sum(each.attempts for each in answered)
    reply.upstream_id = answered[0].upstream_id
    return reply


class _Error(Struct):
    error: Raw = Raw()


_error = msgspec.json.Decoder(_Error)


def _read(wire: Wire, answered: Answered, read: Callable[[], T]) -> T:
    """What `read` makes of an answer. Raises `TargetError` where the answer is an error or none."""
    try:
        return read()
    except ProtocolViolation as exc:
        raise _said(wire, answered.body) or exc from None


def _said(wire: Wire, body: bytes) -> TargetError | None:
    """The error that is the body of a success, if that is what it is."""
    try:
        if not _error.decode(body).error:
            return None
    except extra.MALFORMED:
        return None
    return error_of(wire.decode_error(502, body))
