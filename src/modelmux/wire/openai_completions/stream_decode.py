"""Streams of `text_completion` chunks into events.

Of the choices of a chunk the first answer is followed. Usage and the finish reason are noted as
they come and reported at `[DONE]`, or where the stream closes after a finish reason: servers
forget `[DONE]`. A stream that closes before a finish reason was cut, and fails.
"""

from msgspec import Raw

from modelmux.errors import ProtocolViolation
from modelmux.ir.events import Event, Fail, Finish, PartDelta, PartEnd, PartStart, Ping, Start
from modelmux.ir.parts import Extra, Text
from modelmux.ir.response import NO_USAGE, Failure
from modelmux.wire import extra
from modelmux.wire.framing import sse
from modelmux.wire.openai import usage
from modelmux.wire.openai.chunks import DONE, INTERRUPTED
from modelmux.wire.openai_completions import response, schema
from modelmux.wire.openai_completions.schema import NAME


class Decoder:
    """One stream's bytes in, its events out. Never raises."""

    def __init__(self) -> None:
        self._frames = sse.Decoder()
        self._started = self._ended = self._talking = False
        self._reason: str | None = None
        self._usage = Raw()

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes."""
        out: list[Event] = []
        if self._ended:
            return out
        try:
            for frame in self._frames.feed(data):
                self._frame(frame, out)
        except ProtocolViolation as exc:
            self._fail(Failure("unavailable", exc.message, "protocol_violation", status=502), out)
        return out

    def finish(self) -> list[Event]:
        """The events that the end of the stream completes, of which the last is terminal."""
        out: list[Event] = []
        if self._ended:
            return out
        try:
            for frame in self._frames.finish():
                self._frame(frame, out)
        except ProtocolViolation:
            pass  # what came of a last frame before the stream broke off
        if not self._ended:
            if self._reason is None:
                self._fail(INTERRUPTED, out)
            else:
                self._end(out)
        return out

    def _frame(self, frame: sse.SSE, out: list[Event]) -> None:
        if self._ended:
            return
        if frame.event == sse.COMMENT:
            out.append(Ping())
            return
        try:
            chunk = schema.chunk.decode(frame.data)
        except extra.MALFORMED as exc:
            if frame.data.strip() != DONE:
                raise ProtocolViolation(f"a chunk of the stream cannot be read: {exc}") from None
            if self._started:
                self._end(out)
            else:
                self._fail(INTERRUPTED, out)
        else:
            self._chunk(chunk, frame.data, out)

    def _chunk(self, chunk: schema.Chunk, raw: bytes, out: list[Event]) -> None:
        failure = response.failed(chunk.object, chunk.error, raw)
        if failure is not None:
            self._fail(failure, out)
            return
        if not self._started:
            self._started = True
            out.append(Start(chunk.id or "", chunk.model or "", int(chunk.created or 0)))
        if usage.decode(chunk.usage) is not None:
            self._usage = chunk.usage
        for choice in chunk.choices or ():
            if choice.index == 0:
                self._choice(choice, out)

    def _choice(self, choice: schema.ChunkChoice, out: list[Event]) -> None:
        if choice.text:
            if not self._talking:
                self._talking = True
                out.append(PartStart(0, Text()))
            out.append(PartDelta(0, choice.text))
        if choice.finish_reason == "error":
            failed = Failure("unavailable", "the model stopped with an error", "error", status=502)
            self._fail(failed, out)
        elif choice.finish_reason:
            self._reason = choice.finish_reason

    def _end(self, out: list[Event]) -> None:
        if not self._started:
            out.append(Start("", ""))
        if self._talking:
            out.append(PartEnd(0))
        kept = dict(usage.kept_reason(self._reason, called=False))
        if self._usage:
            kept["/usage"] = self._usage
        counted = usage.decode(self._usage) or NO_USAGE
        rest = Extra(NAME, kept) if kept else None
        out.append(Finish(usage.reason(self._reason), counted, extra=rest))
        self._ended = True

    def _fail(self, failure: Failure, out: list[Event]) -> None:
        self._ended = True
        out.append(Fail(failure))
