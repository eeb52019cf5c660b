"""A provider's model as a target: encode, authorise, send, and say what came of it."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from modelmux.errors import Rejected, TargetError, Unrepresentable
from modelmux.ir.profile import Profile
from modelmux.ir.request import Encoded, Envelope, Loss, OnLoss
from modelmux.provider import estimate, operation, passing
from modelmux.provider.admission import Admission, Entry
from modelmux.provider.body import BodyEdits
from modelmux.provider.endpoint import Endpoint
from modelmux.provider.errors import error_from
from modelmux.provider.forward import Forward
from modelmux.provider.keys import Key, KeyRing
from modelmux.provider.operation import Answered
from modelmux.target.call import Call
from modelmux.target.chunks import Chunks
from modelmux.target.passage import Passage, Payload
from modelmux.target.reply import Reply, Whole
from modelmux.transport.base import Headers, HttpClient, HttpResponse, Timeouts
from modelmux.wire.base import Wire
from modelmux.wire.framing import eventstream

MAX_RESPONSE_BYTES = 128 * 1024 * 1024
"""Largest whole answer: a dozen generated images in Base64 come to about 50 MB."""

_REQUEST_IDS = (b"x-request-id", b"x-amzn-requestid")

MAX_ERROR_BYTES = 1024 * 1024
"""Largest error answer that is read; no API's comes near it."""

_MASK = "…".encode()
"""Stands for our credential in the answers of those who quote it."""


_STREAMED = Envelope("", stream=True)
"""A target is asked for streams in the wire's usual form, whatever the caller's is."""


class Credentials(Protocol):
    """Header fields of the caller's that go upstream in place of ours."""

    def __call__(self, headers: Mapping[str, str], /) -> bytes: ...


class Signer(Protocol):
    """Shows a credential by signing with it what is sent, where a provider wants that."""

    def __call__(self, head: bytes, body: bytes, block: bytes, /) -> bytes:
        """Header fields for one request, made of what the credential gave as its block."""
        ...

    def learn(self, status: int, headers: Headers, /) -> bool:
        """Whether the same request, signed anew, may be taken after this refusal of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What all models at one place of a provider share. For one event loop."""

    name: str
    """The provider's."""
    wires: tuple[Wire, ...]
    """What it speaks, in the order of preference."""
    endpoint: Endpoint
    client: HttpClient
    admission: Admission
    """Who may ask now, and with which key."""
    forward: Forward
    edits: BodyEdits
    timeouts: Timeouts
    now: Callable[[], float]
    """Monotonic clock, the event loop's."""
    unix_time: Callable[[], float]
    passthrough: Credentials | None = None
    """Takes the caller's own credentials, where those are to be used instead of ours."""
    sign: Signer | None = None
    """Makes header fields of a credential's block, which is then not sent itself."""
    unwrap: Callable[[AsyncIterator[bytes], Wire], AsyncIterator[bytes]] | None = None
    """Takes a stream out of frames that are not its wire's own."""
    retried_codes: frozenset[str] = frozenset()
    """Codes of a 400 that another try may not meet."""

    @property
    def ring(self) -> KeyRing:
        """The provider's keys."""
        return self.admission.ring


class ModelTarget:
    """One model of one provider."""

    __slots__ = (
        "_foreign",
        "_host",
        "_on_loss",
        "_tools_wire",
        "name",
        "profile",
        "upstream",
    )

    def __init__(
        self,
        host: Host,
        model: str,
        upstream: str,
        profile: Profile,
        on_loss: OnLoss | None = None,
    ) -> None:
        """Make the target.

        Args:
            host: Where the model is.
            model: The name callers know it by.
            upstream: The provider's name for it.
            profile: What it can do and needs.
            on_loss: What is done where content would be lost and the call does not say;
                `None`: it is refused.
        """
        self._on_loss = on_loss
        self.name = f"{host.name}/{model}"
        self.upstream = upstream
        self.profile = profile
        self._host = host
        spoken = {wire.name: wire for wire in host.wires}
        self._foreign = spoken.get(profile.wire) or host.wires[0]
        self._tools_wire = spoken.get(profile.tools_wire)

    async def send(self, call: Call) -> Reply:
        """Ask the provider.

        Raises:
            Unrepresentable: Part of what the caller said cannot be said to this model.
            InvalidRequest: The caller's body is not of its wire, or contradicts itself.
            TargetError: The provider did not accept the call.
        """
        host = self._host
        if not call.is_chat:
            if call.passage is not None:
                return await self._pass_on(call, call.passage)
            return await operation.answer(call, self)
        wire = self.wire_for(call)
        if wire is None:
            return estimate.counted(call.request, call.wire, self.name)
        encoded = call.encode(wire, self.profile, self.upstream)
        forwarded = host.forward.of(call.headers)
        asked, stream = call.operation, call.envelope.stream
        body, edit_losses = host.edits.apply(
            encoded.body,
            drops_model=not wire.in_path and host.endpoint.names_model(wire.name, asked),
            betas=forwarded.body_betas,
        )
        losses = (*encoded.losses, *forwarded.losses, *edit_losses)
        if losses and (call.on_loss or self._on_loss) != "warn":
            self._refuse_content(losses)
        head = host.endpoint.head(wire.name, asked, stream=stream, model=self.upstream)
        response, attempts, secret, entry = await self._exchange(
            call, wire, head + forwarded.block, body
        )
        source: Chunks | Whole
        if host.unwrap is not None and _is_wrapped(response):
            source = Chunks(wire, host.unwrap(response, wire))
        elif _is_stream(response, wire, asked=stream):
            source = Chunks(wire, response)
        else:
            whole = await self._read(call, response, attempts, entry)
            source = Whole(wire, whole.replace(secret, _MASK) if secret else whole)
        reply = Reply(
            source,
            target=self.name,
            aclose=response.aclose,
            losses=losses,
            restore=encoded.restore,
            renamed=call.operation == "chat" and self.upstream != call.envelope.model,
        )
        reply.on_end(entry.ended)
        reply.fallback_id = call.id
        reply.answered_at_s = int(host.unix_time())
        reply.attempts = attempts
        reply.credential = secret
        upstream_id = response.header(b"request-id")  # Anthropic's name, which its SDK reads
        if upstream_id is not None:
            reply.headers = {b"request-id": upstream_id}
        else:
            upstream_id = _first(response, _REQUEST_IDS)
        reply.upstream_id = upstream_id.decode("latin-1")
        return reply

    def wire_for(self, call: Call) -> Wire | None:
        """What to speak to the provider; `None` where it does not offer the operation."""
        host = self._host
        if call.wire in host.wires and host.endpoint.offers(call.wire.name, call.operation):
            if self._tools_wire is None or not self._thinks_with_tools(call):
                return call.wire
            return self._tools_wire
        if call.operation == "chat":
            return self._foreign
        if call.operation == "count_tokens":
            return None  # there is no neutral form of its answer
        offering = (w for w in host.wires if host.endpoint.offers(w.name, call.operation))
        return next(offering, None)

    def _thinks_with_tools(self, call: Call) -> bool:
        """Whether the model is offered tools on a call in which it is to think."""
        if not call.envelope.has_tools or call.operation != "chat":
            return False
        asked = call.request.reasoning
        effort = asked.effort if asked is not None else None
        return (effort or self.profile.default_effort) != "none"

    async def post(self, call: Call, wire: Wire, encoded: Encoded) -> Answered:
        """Send one request of an operation that is not chat; its whole answer.

        Raises:
            Unrepresentable: Part of the request cannot be said to this model.
            TargetError: The provider did not answer it.
        """
        host, name = self._host, self.upstream
        forwarded = host.forward.of(call.headers)
        losses = (*encoded.losses, *forwarded.losses)
        if losses:
            self._refuse_content(losses)
        head = host.endpoint.head(wire.name, call.operation, model=name) + forwarded.block
        response, attempts, secret, entry = await self._exchange(call, wire, head, encoded.body)
        try:
            body = await self._read(call, response, attempts, entry)
        finally:
            await response.aclose()
        entry.done(None)
        body = body.replace(secret, _MASK) if secret else body
        upstream_id = (response.header(b"x-request-id") or b"").decode("latin-1")
        return Answered(body, response.header, attempts, upstream_id, losses)

    async def _pass_on(self, call: Call, passage: Passage) -> Reply:
        """The provider's answer to a request of an operation that only its own API has."""
        host, wire = self._host, call.wire
        if wire not in host.wires or not host.endpoint.offers(wire.name, call.operation):
            raise Unrepresentable(
                f"{self.name} does not offer {call.operation} in the API that was called, and "
                "no other API has words for it"
            )
        forwarded = host.forward.of(call.headers)
        head = host.endpoint.passing(wire.name, call.operation, passage, self.upstream)
        payload = passing.renamed(passage, call.envelope.model, self.upstream)
        response, attempts, secret, entry = await self._exchange(
            call, wire, head + forwarded.block, payload
        )
        try:
            reply = await passing.reply(response, secret)
        except BaseException:  # it broke off, or the caller left: nobody else has the place
            entry.failed()
            raise
        reply.on_end(entry.ended)
        reply.target = self.name
        reply.attempts = attempts
        reply.losses = forwarded.losses
        reply.upstream_id = (response.header(b"x-request-id") or b"").decode("latin-1")
        return reply

    def _refuse_content(self, losses: tuple[Loss, ...]) -> None:
        """Raise `Unrepresentable` where something said would not be heard at all."""
        content = [f"{loss.path}: {loss.reason}" for loss in losses if loss.kind == "content"]
        if content:
            raise Unrepresentable(
                f"{self.name} cannot be told all of the request: {'; '.join(content)}",
                losses=content,
            )

    async def _exchange(
        self, call: Call, wire: Wire, head: bytes, body: Payload
    ) -> tuple[HttpResponse, int, bytes, Entry]:
        """The provider's 2xx, by the first key that gets one, how many were tried, and the key."""
        host, scope = self._host, self.upstream
        if call.operation != "chat":
            scope = f"{scope} {call.operation}"  # which providers limit apart
        said = body if isinstance(body, bytes) else b""  # files are no text to count
        # Each key, and once more with a token that was got anew. A failure that lets another try
        # mostly takes its key out; not so a 429 whose `retry-after` is 0.
        most = 2 * host.ring.total
        attempts = 0
        while True:
            entry = Entry(host.admission, call, scope, said, keyless=host.passthrough is not None)
            try:
                if not entry.enter():
                    await entry.wait()
            except TargetError as exc:
                exc.target = self.name
                exc.attempts = attempts
                raise
            attempts += 1
            key, started, block = entry.key, host.now(), b""
            try:
                block = await self._credentials(call, key)
                response = await self._ask(call, head, body, block)
                entry.heard(response.headers)
                if 200 <= response.status < 300:
                    if key is not None:
                        host.ring.succeeded(key, started, scope)
                    return response, attempts, _secret(block), entry
                raise await self._error(response, wire, block)
            except TargetError as exc:
                exc.target = self.name
                exc.attempts = attempts
                again = key is not None and host.ring.failed(
                    key, exc, host.now(), scope, block=block
                )
                # Only now: whoever is let in instead must see how the key stands.
                entry.failed()
                if not again or attempts >= most:
                    raise
            except BaseException:  # cancelled, or a defect: nobody else has the place
                entry.failed()
                raise
            finally:
                call.meter.waited_s += host.now() - started

    async def _ask(self, call: Call, head: bytes, body: Payload, block: bytes) -> HttpResponse:
        """The answer to one try. Raises as `HttpClient.send` does."""
        host = self._host
        sign, send = host.sign, host.client.send
        if sign is None:
            return await send(head + block, body, host.timeouts, call.deadline)
        whole = body[:]  # what is signed is all of it
        signed = head + sign(head, whole, block)
        response = await send(signed, whole, host.timeouts, call.deadline)
        if sign.learn(response.status, response.headers):
            await response.aclose()
            signed = head + sign(head, whole, block)
            response = await send(signed, whole, host.timeouts, call.deadline)
        return response

    async def _credentials(self, call: Call, key: Key | None) -> bytes:
        if key is not None:
            return key.credential.block() or await key.credential.refresh()
        passthrough = self._host.passthrough
        return passthrough(call.headers) if passthrough is not None else b""

    async def _error(self, response: HttpResponse, wire: Wire, block: bytes) -> TargetError:
        host = self._host
        try:
            body = await response.read(MAX_ERROR_BYTES)
        except TargetError:
            body = b""  # the status is what counts, also for the key
        finally:
            await response.aclose()
        if secret := _secret(block):
            body = body.replace(secret, _MASK)
        error = error_from(
            response.status,
            response.headers,
            body,
            wire,
            unix_time=host.unix_time(),
            passthrough=host.passthrough is not None,
        )
        if isinstance(error, Rejected) and error.upstream_code in host.retried_codes:
            code = error.upstream_code
            return TargetError(error.message, status=response.status, upstream_code=code)
        return error

    async def _read(self, call: Call, response: HttpResponse, attempts: int, entry: Entry) -> bytes:
        started = self._host.now()
        try:
            return await response.read(MAX_RESPONSE_BYTES)
        except TargetError as exc:
            entry.failed()
            exc.target = self.name
            exc.attempts = attempts
            raise
        except BaseException:  # the caller left: nobody else has the response
            entry.failed()
            await response.aclose()
            raise
        finally:
            call.meter.waited_s += self._host.now() - started


def _secret(block: bytes) -> bytes:
    """What is secret in a credential's header field: its last word."""
    return block.strip().rpartition(b" ")[2]


def _is_stream(response: HttpResponse, wire: Wire, *, asked: bool) -> bool:
    """Whether the answer comes piece by piece: some servers do not do as they are asked."""
    content_type = response.header(b"content-type")
    if content_type is None:
        return asked
    expected = wire.stream_type(_STREAMED).partition(b";")[0]
    return content_type.lower().startswith(expected)


def _first(response: HttpResponse, names: Sequence[bytes]) -> bytes:
    """The first header field there is of some."""
    for name in names:
        value = response.header(name)
        if value is not None:
            return value
    return b""


def _is_wrapped(response: HttpResponse) -> bool:
    """Whether the answer is a stream in frames that are not its wire's own."""
    content_type = response.header(b"content-type") or b""
    return content_type.lower().startswith(eventstream.MEDIA_TYPE)
