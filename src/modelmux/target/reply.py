"""A reply: what a target answered, as bytes on its own wire or as events.

Either view is made when asked for. Whoever speaks the target's wire gets the target's bytes;
anybody else gets them decoded and encoded again.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from modelmux.errors import ProtocolViolation, TargetError
from modelmux.ir import events as ev
from modelmux.ir.request import Envelope, Loss
from modelmux.ir.response import Failure, Response, Summary
from modelmux.ir.restore import Restore, restore_response
from modelmux.target.chunks import Chunks
from modelmux.target.failures import error_of, failure_of
from modelmux.target.freshness import CacheWord
from modelmux.wire.base import StreamRelay, Wire


class Whole(Struct, frozen=True):
    """A complete body on one wire."""

    wire: Wire
    body: bytes
    opaque: bool = False
    """The answer to an operation that has no neutral form: it is passed on and not looked into."""


class Events(Struct, frozen=True):
    """Events that the gateway made itself, and that keep the grammar."""

    events: AsyncIterator[ev.Event]


class Passed(Struct, frozen=True):
    """The answer to a request that was passed on: bytes, of whatever kind."""

    body: bytes | AsyncIterator[bytes]
    status: int
    fields: tuple[tuple[bytes, bytes], ...]
    """Header fields that say what the bytes are."""


Source = Whole | Chunks | Events | Response | Passed


_NO_SUMMARY = Summary()
_MASK = "…"
_NO_HEADERS: Mapping[bytes, bytes] = {}


class Reply:
    """A target's answer. Not for use by two tasks at once.

    Whoever receives one must exhaust one view of it (`body`, `stream`, `events`, `response`), or
    `aclose` it; callbacks of `on_end` then run exactly once.

    Attributes:
        target: Name of the target that answered.
        fallback_id: The answer's id where its wire has none.
        answered_at_s: Unix time of the answer, for wires that want one from wires that have none.
        attempts: How many times a target was tried for this answer.
        losses: What of the request the target did not hear.
        headers: Header fields of the target's answer that the caller may see.
        upstream_id: The target's own id for the exchange, for logs.
        summary: Usage, finish reason and failure as far as they are known; final at the end.
        complete: The answer was read to its end, and the end was there.
        cache: What the cache had to do with it; empty: nothing.
        saved: It was asked for and is paid by another call.
        credential: The secret that was sent with the call, or `b""`: a target that quotes it in
            its stream must not show it to the caller. In whole answers it is masked already.
    """

    __slots__ = (
        "_aclose",
        "_callbacks",
        "_ended",
        "_relay",
        "_renamed",
        "_restore",
        "_source",
        "answered_at_s",
        "attempts",
        "cache",
        "complete",
        "credential",
        "fallback_id",
        "headers",
        "losses",
        "saved",
        "summary",
        "target",
        "upstream_id",
    )

    def __init__(
        self,
        source: Source,
        *,
        target: str = "",
        aclose: Callable[[], Awaitable[None]] | None = None,
        losses: Sequence[Loss] = (),
        restore: Restore | None = None,
        renamed: bool = False,
    ) -> None:
        """Wrap `source`.

        Args:
            source: The answer.
            target: Name of the target that gave it.
            aclose: Gives up what is left of it; called once, also after the end.
            losses: What of the request was not said to the target.
            restore: What must be undone in the answer.
            renamed: The target knows the model by another name than the caller.
        """
        self._source: Source = source
        self._aclose = aclose
        self._restore = restore
        self._renamed = renamed
        self._callbacks: list[Callable[[Reply], None]] = []
        self._ended = False
        self._relay: StreamRelay | None = None
        self.target = target
        self.fallback_id = ""
        self.answered_at_s = 0
        self.attempts = 1
        self.losses = losses
        self.headers: Mapping[bytes, bytes] = _NO_HEADERS
        self.upstream_id = ""
        self.summary = _NO_SUMMARY
        self.complete = False
        self.cache: CacheWord = ""
        self.saved = False
        self.credential = b""

    @property
    def is_stream(self) -> bool:
        """The target answers piece by piece."""
        return not isinstance(self._source, (Whole, Response))

    def speaks(self, wire: Wire) -> bool:
        """Whether the target's own bytes are what a caller who speaks `wire` gets."""
        source = self._source
        own = isinstance(source, Whole | Chunks) and source.wire is wire
        return own and self._restore is None

    def on_end(self, callback: Callable[["Reply"], None]) -> None:
        """Call `callback` with this reply once it is exhausted or closed. It must not raise."""
        if self._ended:
            callback(self)
        else:
            self._callbacks.append(callback)

    async def peek(self, wire: Wire) -> None:
        """Wait for the first sign that the target answers, and not with an error.

        This is the commit point: before it a call may be tried elsewhere, after it never.

        Args:
            wire: The caller's, by which an answer may have to be decoded to be usable.

        Raises:
            TargetError: The answer is an error, is not of the target's wire, or ends at once.
        """
        source = self._source
        if isinstance(source, Whole):
            if source.opaque:
                return
            if wire is source.wire:
                self.summary = _success(source)
                return
            try:
                self._decode(source)
            except ProtocolViolation:
                _success(source)  # raises what the answer says, if it is an error
                raise
        elif isinstance(source, Chunks):
            first = await source.first()
            if isinstance(first, ev.Fail):
                raise error_of(self._masked(first.failure))
            if first is None:
                raise ProtocolViolation("expected a stream of events, got none")

    async def body(self, wire: Wire, envelope: Envelope) -> bytes:
        """The whole answer for a caller who speaks `wire` and asked with `envelope`.

        Raises:
            TargetError: The answer broke off, or is not of the target's wire.
        """
        source = self._source
        if not (isinstance(source, Whole) and source.wire is wire and self._restore is None):
            return wire.encode_response(await self.response(), envelope)
        try:
            if self.summary is _NO_SUMMARY and not source.opaque:
                self.summary = wire.summarise(source.body)
            self.complete = True
            return wire.rename(source.body, envelope.model) if self._renamed else source.body
        except TargetError as exc:
            self._fail(exc)
            raise
        finally:
            await self.aclose()

    async def response(self) -> Response:
        """The whole answer, decoded. Raises as `body` does."""
        try:
            source = self._source
            if isinstance(source, Whole):
                source = self._decode(source)
            if isinstance(source, Response):
                self.summary = Summary(source.usage, source.reason)
                self.complete = True
                return source
            folder = ev.Folder()
            async with aclosing(self.batches()) as batches:
                async for batch in batches:
                    for event in batch:
                        folder.add(event)
            return folder.response()
        except TargetError as exc:
            self._fail(exc)
            raise
        finally:
            await self.aclose()

    async def events(self) -> AsyncGenerator[ev.Event, None]:
        """The answer's events. A failure is the `Fail` event; nothing is raised."""
        async with aclosing(self.batches()) as batches:
            async for batch in batches:
                for event in batch:
                    yield event

    async def batches(self) -> AsyncGenerator[list[ev.Event], None]:
        """The answer's events, as they came together. A failure is the `Fail` event."""
        source = self._batches()
        try:
            async for batch in source:
                self._note(batch)
                yield batch
        finally:
            await source.aclose()
            await self.aclose()

    def stream(self, wire: Wire, envelope: Envelope) -> AsyncGenerator[bytes, None]:
        """The answer as a stream for a caller who speaks `wire` and asked with `envelope`.

        A failure is the wire's own error event; nothing is raised.
        """
        source = self._source
        if isinstance(source, Chunks) and source.wire is wire and self._restore is None:
            return self._relayed(source, envelope)
        return encode(self.batches(), wire, envelope)

    @property
    def passed(self) -> Passed | None:
        """What was passed on and is not looked into, if that is what this is."""
        return self._source if isinstance(self._source, Passed) else None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """The bytes of an answer that was `passed`.

        Raises:
            TargetError: The answer broke off.
        """
        source = self._source
        assert isinstance(source, Passed)  # noqa: S101  # whoever asks has looked
        try:
            if isinstance(source.body, bytes):
                yield source.body
            else:
                async for chunk in source.body:
                    yield chunk
            self.complete = True
        except TargetError as exc:
            self._fail(exc)
            raise
        finally:
            await self.aclose()

    async def aclose(self) -> None:
        """Give up what is left of the answer. Safe to call again."""
        if self._ended:
            return
        self._ended = True
        if self._relay is not None:
            summary = self.summary = self._relay.summary
            if summary.failure is not None:
                self.summary = replace(summary, failure=self._masked(summary.failure))
            # Callers hang up once the answer is all there, before the bytes have ended.
            self.complete |= summary.reason is not None and summary.failure is None
        try:
            if self._aclose is not None:
                await self._aclose()
        finally:
            for callback in self._callbacks:
                callback(self)

    def _fail(self, exc: TargetError) -> Failure:
        """Note that the answer turned out to be none."""
        exc.target = exc.target or self.target
        exc.attempts = self.attempts
        failure = failure_of(exc)
        if self.summary.failure is None:
            self.summary = replace(self.summary, failure=failure)
        return failure

    def _masked(self, failure: Failure) -> Failure:
        secret = self.credential.decode("latin-1")
        if not secret or secret not in failure.message:
            return failure
        return replace(failure, message=failure.message.replace(secret, _MASK))

    def _decode(self, source: Whole) -> Response:
        """Go on with the decoded answer. Raises `ProtocolViolation`."""
        response = source.wire.decode_response(source.body)
        if self._restore is not None:
            response = restore_response(response, self._restore)
        if not response.created_at_s:
            response = replace(response, created_at_s=self.answered_at_s)
        if not response.id:
            response = replace(response, id=self.fallback_id)
        self._source = response
        return response

    async def _relayed(self, source: Chunks, envelope: Envelope) -> AsyncGenerator[bytes, None]:
        relay = self._relay = source.wire.relay(envelope, envelope.model if self._renamed else None)
        secret = self.credential
        try:
            try:
                for chunk in source.head:
                    if out := relay.feed(chunk):
                        yield out.replace(secret, _MASK.encode()) if secret else out
                async for chunk in source.chunks:
                    if out := relay.feed(chunk):
                        # Whole frames, so that no secret is cut in two.
                        yield out.replace(secret, _MASK.encode()) if secret else out
                out = relay.finish()
            except TargetError as exc:
                out = relay.fail(self._fail(exc))
            self.complete = relay.summary.failure is None
            if out:
                yield out.replace(secret, _MASK.encode()) if secret else out
        finally:
            await self.aclose()

    def _batches(self) -> AsyncGenerator[list[ev.Event], None]:
        source = self._source
        if isinstance(source, Whole):
            try:
                source = self._decode(source)
            except TargetError as exc:
                return _once([ev.Fail(self._fail(exc))])
        match source:
            case Response():
                return _once(list(ev.unfold(source)))
            case Chunks():
                return source.batches(self._restore, self._fail)
            case Events(events=events):
                return _singly(events)
            case Passed():
                raise TypeError("what is passed on has no events")
            case _:
                assert_never(source)

    def _note(self, batch: list[ev.Event]) -> None:
        """Keep what the summary needs of `batch`, and date the answer if its wire does not."""
        for index, event in enumerate(batch):
            match event:
                case ev.Start(usage=usage, created_at_s=created_at_s):
                    self.summary = Summary(usage)
                    if not (created_at_s and event.id):
                        batch[index] = replace(
                            event,
                            created_at_s=created_at_s or self.answered_at_s,
                            id=event.id or self.fallback_id,
                        )
                case ev.Finish(reason=reason, usage=usage):
                    self.summary = Summary(usage, reason)
                    self.complete = True
                case ev.Fail(failure=failure):
                    failure = self._masked(failure)
                    batch[index] = ev.Fail(failure)
                    self.summary = replace(self.summary, failure=failure)
                case _:
                    pass


def _success(source: Whole) -> Summary:
    """What is to be known of a whole answer. Raises `TargetError` if it is an error."""
    summary = source.wire.summarise(source.body)
    if summary.failure is not None:
        raise error_of(summary.failure)
    return summary


async def encode(
    batches: AsyncGenerator[list[ev.Event], None], wire: Wire, envelope: Envelope
) -> AsyncGenerator[bytes, None]:
    """Events as a stream on `wire`, for a caller who asked with `envelope`."""
    encoder = wire.encoder(envelope)
    async with aclosing(batches):
        async for batch in batches:
            data = b"".join([encoder.encode(event) for event in batch])
            if data:
                yield data


async def _once(batch: list[ev.Event]) -> AsyncGenerator[list[ev.Event], None]:
    yield batch


async def _singly(events: AsyncIterator[ev.Event]) -> AsyncGenerator[list[ev.Event], None]:
    try:
        async for event in events:
            yield [event]
    finally:
        if isinstance(events, AsyncGenerator):
            await events.aclose()
