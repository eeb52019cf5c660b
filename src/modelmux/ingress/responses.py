"""The doors of OpenAI's Responses, where the API keeps answers and goes on with them.

A provider that has the API itself keeps its answers; what the gateway knows of those is whom they
were given to and where they are. All other answers are kept by the gateway, so that a caller may go
on with them by `previous_response_id`, with whatever model.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from secrets import token_hex
from typing import ClassVar, Final

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace
from typing_extensions import override

from modelmux.errors import GatewayError, UnknownPrevious, Unrepresentable
from modelmux.ingress.endpoint import ModelDoor
from modelmux.ingress.http import Answer, HttpRequest
from modelmux.ingress.surface import Surface
from modelmux.ir.request import Envelope
from modelmux.store.turn import Turn, TurnStore
from modelmux.target.call import Call
from modelmux.target.reply import Reply
from modelmux.wire import extra
from modelmux.wire.framing import sse

PREFIX: Final = "resp_"

_ENDINGS: Final = ("response.completed", "response.incomplete")
_BEGUN: Final = b'"response.created"'
_PREVIOUS: Final = "previous_response_id"


class Asked(Struct):
    """What of a request is about what is kept."""

    previous_response_id: str | None = None
    store: bool | None = None
    background: bool | None = None
    input: Raw = Raw()


class _Told(Struct):
    """What of an answer is needed to keep it."""

    id: str = ""
    created_at: float = 0
    output: Raw = Raw(b"[]")


class _Ending(Struct):
    response: Raw = Raw()


_asked = msgspec.json.Decoder(Asked)
_told = msgspec.json.Decoder(_Told)
_ending = msgspec.json.Decoder(_Ending)
_items = msgspec.json.Decoder(list[Raw])


class ResponsesDoor(ModelDoor):
    """Answers requests for a response."""

    recalls: ClassVar[bool] = True

    @override
    def _envelope(self, request: HttpRequest) -> Envelope:
        # Unlike any other, and not to be guessed: callers without keys are all alike.
        return replace(super()._envelope(request), answer_id=PREFIX + token_hex(24))

    @override
    async def _recalled(self, surface: Surface, call: Call) -> Call:
        """`call` with all that was said before, if it goes on with what is kept here."""
        previous = _read(call).previous_response_id
        if previous is None or surface.turns is None:
            return call
        turns = await surface.turns.conversation(call.caller.name, previous)
        if turns is None or turns[-1].target:
            return call  # its provider knows it, or nobody does
        items = [*said(turns), *_items.decode(items_of(_read(call).input))]
        body = extra.splice(call.envelope.echo, {"input": items}, drop=(_PREVIOUS,))
        return call.with_body(body)

    @override
    def _refused(self, call: Call, exc: GatewayError) -> GatewayError:
        """An error in the API's own words, where what it goes on with is not to be had."""
        if isinstance(exc, Unrepresentable) and f"/{_PREVIOUS}" in exc.message:
            previous = _read(call).previous_response_id
            return UnknownPrevious(
                f"Previous response with id {previous!r} not found: it was not kept, was another "
                "caller's, or is with a provider that did not answer this call",
                param=_PREVIOUS,
            )
        return exc

    @override
    async def _answer(
        self, surface: Surface, call: Call, reply: Reply, headers: Mapping[str, str]
    ) -> Answer:
        asked = _read(call)
        native = reply.speaks(self.wire)
        answer = await super()._answer(surface, call, reply, headers)
        if asked.store is False or surface.turns is None:
            return answer
        keeper = Keeper(surface.turns, call, asked, reply, native=native)
        if isinstance(answer.body, bytes):
            keeper.keep(Raw(answer.body))
        else:
            answer.body = keeper.watched(answer.body)
        return answer


class Keeper:
    """Keeps one answer once it is known."""

    def __init__(
        self, turns: TurnStore, call: Call, asked: Asked, reply: Reply, *, native: bool
    ) -> None:
        """Take the call and its reply; `native`: the target keeps the answer itself."""
        self._turns = turns
        self._call = call
        self._asked = asked
        self._target = reply.target if native else ""
        self._answered_at_s = reply.answered_at_s

    def keep(self, answer: Raw) -> None:
        """Keep an answer; what is none is passed over."""
        try:
            told = _told.decode(answer)
        except extra.MALFORMED:
            return
        if not told.id:
            return
        ours = not self._target
        self._turns.keep(
            Turn(
                told.id,
                self._call.caller.name,
                self._answered_at_s or int(told.created_at),
                self._asked.previous_response_id or "",
                self._target,
                items_of(self._asked.input) if ours else b"[]",
                bytes(answer) if ours else b"",
            )
        )

    async def watched(self, pieces: AsyncGenerator[bytes]) -> AsyncGenerator[bytes]:
        """The same stream, whose answer is kept when it has been told: pieces are whole frames."""
        words = (_BEGUN,) if self._target else tuple([f'"{w}"'.encode() for w in _ENDINGS])
        async with aclosing(pieces):
            async for piece in pieces:
                if words and any(word in piece for word in words):
                    words = () if self._find(piece) else words
                yield piece

    def _find(self, piece: bytes) -> bool:
        for frame in sse.Decoder().feed(piece):
            if self._target or frame.event in _ENDINGS:
                try:
                    self.keep(_ending.decode(frame.data).response)
                except extra.MALFORMED:
                    continue
                return True
        return False


def items_of(given: Raw) -> bytes:
    """A request's input as a list of items."""
    raw = bytes(given)
    if raw.startswith(b"["):
        return raw
    return b'[{"type":"message","role":"user","content":%b}]' % raw if raw else b"[]"


def said(turns: Sequence[Turn]) -> list[Raw]:
    """All that was said in a conversation: the caller's items of each turn, and the answer's."""
    items: list[Raw] = []
    for turn in turns:
        items += _items.decode(turn.items)
        if turn.answer:
            items += _items.decode(_told.decode(turn.answer).output)
    return items


def _read(call: Call) -> Asked:
    try:
        return _asked.decode(call.envelope.echo)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc) from None
