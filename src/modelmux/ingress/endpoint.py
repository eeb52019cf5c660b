"""The doors of the model APIs: one handler, parameterised by the wire its callers speak."""

import math
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence

from modelmux.errors import GatewayError, InvalidRequest, Rejected, TargetError
from modelmux.ingress.auth import Keyring
from modelmux.ingress.http import JSON, Answer, HttpRequest, field_value
from modelmux.ingress.streaming import HOW_TO_STREAM, Take, at_once
from modelmux.ingress.surface import Refusal, Surface
from modelmux.ir import events as ev
from modelmux.ir.request import Envelope, Loss
from modelmux.target.call import ANONYMOUS, Call
from modelmux.target.failures import failure_of
from modelmux.target.reply import Reply, encode
from modelmux.wire.base import Operation, Wire
from modelmux.wire.operations import envelope_reader

MAX_REQUEST_ID_BYTES = 128
"""A longer id of the caller's is not kept: it stands in every log line."""

_ID = re.compile(rf"[!-~]{{1,{MAX_REQUEST_ID_BYTES}}}")
"""Printable ASCII without spaces: one word of a log line."""

_OWN_ID: Mapping[str, bytes] = {"anthropic.messages": b"request-id"}
"""What an API itself calls the id of an answer, where its SDK reads that name only."""

MAX_LOSSES_BYTES = 2048
"""Most that the header of losses takes; proxies refuse headers of a few kilobytes."""

_MAX_LOSS_CHARS = 256
_BETWEEN = b"; "

_TRAVELLING = ("anthropic-beta", "idempotency-key", "x-client-request-id")
"""Header fields of a caller's that a provider may ask for: its row of the catalogue decides. Beside
them go credentials that are not ours, which only `auth = "passthrough"` sends on."""

Current = Callable[[], Surface]
"""The surface in force; asked anew for each request, so that a reload takes effect."""


class ModelDoor:
    """Answers one operation of one wire."""

    def __init__(
        self,
        wire: Wire,
        current: Current,
        new_id: Callable[[], str],
        now: Callable[[], float],
        operation: Operation = "chat",
    ) -> None:
        """Open a door.

        Args:
            wire: What its callers speak.
            current: The surface in force.
            new_id: Makes request ids.
            now: Monotonic clock.
            operation: What is asked of a model here.
        """
        self.wire = wire
        self._current = current
        self._new_id = new_id
        self._now = now
        self._operation: Operation = operation
        self._read = envelope_reader(wire, operation)

    async def __call__(self, request: HttpRequest) -> Answer:
        """Answer a request, or refuse it in the caller's dialect."""
        surface = self._current()
        id_ = request_id(request, self._new_id)
        saturated = surface.load.refusal() if surface.load is not None else None
        if saturated is not None:
            return refuse(saturated, self.wire, id_)
        caller, model = ANONYMOUS, ""
        try:
            caller = surface.keyring.identify(request)
            request.entrance.admit()
            request.check()
            envelope = self._envelope(request)
            model = envelope.model
            call = Call(
                self.wire,
                request.body,
                envelope,
                operation=self._operation,
                caller=caller,
                id=id_,
            )
            _context(call, request, surface.keyring)
            target = surface.registry.route(call)
        except GatewayError as exc:
            surface.journal.refused(
                Refusal(
                    id_,
                    caller,
                    self.wire,
                    model,
                    exc,
                    request.started,
                    len(request.body),
                    request.peer,
                )
            )
            return refuse(exc, self.wire, id_)
        if surface.debug:
            surface.journal.asked(call, request)
        try:
            reply = await target.send(call)
            answer = await self._answer(surface, call, reply, request.headers)
        except GatewayError as exc:
            answer = refuse(exc, self.wire, id_)
        if surface.debug:
            answer = surface.journal.answered(call, answer)
        return answer

    def _envelope(self, request: HttpRequest) -> Envelope:
        """What routing needs of a request. Raises `InvalidRequest`."""
        return self._read(request.body)

    async def _answer(
        self, surface: Surface, call: Call, reply: Reply, headers: Mapping[str, str]
    ) -> Answer:
        try:
            take: Take = "json"
            if call.envelope.stream:
                take = surface.streaming.take(headers, self.wire.stream_type(call.envelope))
            fields = self._fields(call, reply)
            if call.envelope.stream and take != "as_asked":
                fields.append((b"x-modelmux-streaming", f"{take}; {HOW_TO_STREAM}".encode()))
            if take == "json":
                fields.append((b"content-type", JSON))
                return Answer(200, fields, await reply.body(self.wire, call.envelope))
            fields.append((b"content-type", self.wire.stream_type(call.envelope)))
            fields += _STREAM_FIELDS
            return Answer(200, fields, self._stream(surface, call, reply, take), reply.aclose)
        except BaseException:  # a defect, or the caller left: nobody else has the reply
            await reply.aclose()
            raise

    def _stream(
        self, surface: Surface, call: Call, reply: Reply, take: Take
    ) -> AsyncGenerator[bytes]:
        batches: AsyncGenerator[list[ev.Event]]
        match take:
            case "buffered":
                batches = surface.streaming.buffered(reply.batches())
            case "at_once":
                batches = at_once(reply.batches())
            case _:
                return reply.stream(self.wire, call.envelope)
        return encode(batches, self.wire, call.envelope)

    def _fields(self, call: Call, reply: Reply) -> list[tuple[bytes, bytes]]:
        meter = call.meter
        overhead_s = max(0.0, self._now() - meter.started - meter.waited_s)
        fields = [
            (b"x-request-id", call.id.encode()),
            (b"x-modelmux-target", field_value(reply.target)),
            (b"x-modelmux-attempts", b"%d" % reply.attempts),
            (b"x-modelmux-overhead-ms", b"%.2f" % (overhead_s * 1000)),
        ]
        own_id = _OWN_ID.get(self.wire.name)
        if own_id is not None and own_id not in reply.headers:
            fields.append((own_id, fields[0][1]))
        if reply.headers:
            fields += reply.headers.items()
        if reply.losses:
            fields.append((b"x-modelmux-losses", _losses(reply.losses)))
        return fields


_STREAM_FIELDS = (
    (b"cache-control", b"no-cache"),
    # nginx in front of us would hold the stream back without it.
    # https://nginx.org/en/docs/http/ngx_http_proxy_module.html#proxy_buffering, read 2026-11-20.
    (b"x-accel-buffering", b"no"),
)


def request_id(request: HttpRequest, new_id: Callable[[], str]) -> str:
    """The caller's own id for the request if it has a usable one, else a new one."""
    id_ = request.headers.get("x-request-id", "")
    if _ID.fullmatch(id_):
        return id_
    return new_id()


def refuse(exc: GatewayError, wire: Wire, id_: str) -> Answer:
    """An error as the wire's own error answer."""
    failure = failure_of(exc)
    fields = [(b"content-type", JSON), (b"x-request-id", id_.encode())]
    if own_id := _OWN_ID.get(wire.name):
        fields.append((own_id, id_.encode()))
    if failure.retry_after_s is not None:
        fields.append((b"retry-after", b"%d" % math.ceil(failure.retry_after_s)))
    if isinstance(exc, TargetError):
        if exc.target:
            fields.append((b"x-modelmux-target", field_value(exc.target)))
        fields.append((b"x-modelmux-attempts", b"%d" % exc.attempts))
    if isinstance(exc, Rejected) and exc.wire == wire.name:
        # The provider's words in the caller's dialect, with all that our own words leave out.
        return Answer(wire.error_status(failure), fields, exc.body)
    return Answer(wire.error_status(failure), fields, wire.encode_error(failure))


def _context(call: Call, request: HttpRequest, keyring: Keyring) -> None:
    """What the headers say of the call. Raises `InvalidRequest`."""
    headers = request.headers
    call.meter.started = request.started
    call.peer = request.peer
    call.headers = keyring.not_ours(request)
    call.headers |= {name: headers[name] for name in _TRAVELLING if name in headers}
    call.fields = request.fields
    call.tags = call.caller.tags
    if tags := headers.get("x-modelmux-tags"):
        # What a listener says of its callers is not theirs to change.
        call.tags = {**call.caller.tags, **_tags(tags), **request.entrance.identity.tags}
    if timeout := headers.get("x-modelmux-timeout"):
        call.deadline = request.started + _seconds(timeout)


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < math.inf:
        raise InvalidRequest(
            f"expected a number of seconds above 0, got {value!r}", param="x-modelmux-timeout"
        )
    return seconds


def _tags(value: str) -> dict[str, str]:
    """`a,b` or `k=v,l=w` as labels; a bare word is a label without a value."""
    pairs = [item.strip().partition("=") for item in value.split(",") if item.strip()]
    return {name.strip(): text.strip() for name, _, text in pairs}


def _losses(losses: Sequence[Loss]) -> bytes:
    """Losses as one header value, cut with a word on how many are left out."""
    said: list[bytes] = []
    room = MAX_LOSSES_BYTES - len("and 1000000 more")
    for index, loss in enumerate(losses):
        item = field_value(f"{loss.path}: {loss.reason}"[:_MAX_LOSS_CHARS].strip())
        room -= len(item) + len(_BETWEEN)
        if room < 0:
            said.append(b"and %d more" % (len(losses) - index))
            break
        said.append(item)
    return _BETWEEN.join(said)
