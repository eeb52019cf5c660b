"""What the gateway looks for in streams of the API that it passes on unchanged."""

import re

import msgspec

from modelmux.errors import ProtocolViolation
from modelmux.ir.response import NO_USAGE, Failure, Summary, Usage
from modelmux.wire import extra
from modelmux.wire.framing import jsonarray, sse
from modelmux.wire.framing.relay import Relay
from modelmux.wire.gemini import counts, errors, finish, schema
from modelmux.wire.gemini.stream_decode import INTERRUPTED

_MODEL = re.compile(rb'"modelVersion"\s*:\s*("(?:[^"\\]|\\.)*")')

_chunk = msgspec.json.Decoder(schema.Summary)
_candidate = msgspec.json.Decoder(schema.CandidateSummary)


class Watch:
    """A `framing.relay.Watch`.

    Counts are in every piece, and the last ones stand: so the last pieces that came with some
    are kept, and read when somebody asks.
    """

    def __init__(self, rename: str | None) -> None:
        self._rename = rename
        self._renames: tuple[bytes, bytes] | None = None
        self._begun = rename is None  # the piece has come that says the model, if it matters
        self._counted = b""
        self._called = False
        self._finish_reason: str | None = None
        self._blocked = False
        self._failure: Failure | None = None

    @property
    def summary(self) -> Summary:
        reason = None
        if self._finish_reason is not None or self._blocked:
            reason = finish.neutral(self._finish_reason or "SAFETY", called=self._called)
        usage = self._usage()
        return Summary(usage if usage or reason is None else NO_USAGE, reason, self._failure)

    @property
    def ended(self) -> bool:
        """An error has been seen. No other frame is the last by what it says."""
        return self._failure is not None

    @property
    def renames(self) -> tuple[bytes, bytes] | None:
        return self._renames

    def concerns(self, data: bytes) -> bool:
        # In quotes, which a string would escape.
        if b'"usageMetadata"' in data:
            self._counted = data
        if b'"functionCall"' in data:
            self._called = True
        return (
            not self._begun
            or b'"finishReason"' in data
            or b'"error"' in data
            or b'"promptFeedback"' in data
        )

    def look(self, frame: sse.SSE, raw: bytes) -> bytes:
        try:
            chunk = _chunk.decode(frame.data)
            candidates = [_candidate.decode(each) for each in chunk.candidates or ()]
        except extra.MALFORMED:  # not ours to judge: the caller's SDK will
            return raw
        if chunk.error:
            self._failure = errors.decode(200, frame.data)
            return raw
        if not self._begun and (candidates or chunk.model_version):
            self._begin(raw)
        if chunk.usage_metadata:
            self._counted = raw if raw.endswith((b"\n\n", b"\r\r")) else raw + b"\n\n"
        self._called = self._called or b'"functionCall"' in frame.data
        self._blocked = self._blocked or (chunk.prompt_feedback is not None and not candidates)
        for candidate in candidates:
            if candidate.finish_reason is not None and candidate.index == 0:
                self._finish_reason = candidate.finish_reason
        return raw

    def _begin(self, raw: bytes) -> None:
        """Learn how the target writes the field that is to be replaced."""
        self._begun = True
        found = _MODEL.search(raw)
        if found is not None:
            shown = b'"modelVersion":' + msgspec.json.encode(self._rename)
            self._renames = (found.group(), shown)

    def _usage(self) -> Usage | None:
        for frame in reversed(sse.Decoder().feed(self._counted)):
            try:
                raw = _chunk.decode(frame.data).usage_metadata
                if raw:
                    return counts.read(raw)
            except (ProtocolViolation, *extra.MALFORMED):  # counts that cannot be read are none
                continue
        return None

    def close(self) -> bytes:
        return self.fail(INTERRUPTED)

    def fail(self, failure: Failure) -> bytes:
        """The frame of an error; an answer that is all there has finished, however it closed."""
        if self._finish_reason is not None or self._blocked:
            return b""
        self._failure = failure
        return sse.encode(errors.encode(failure))


class ArrayRelay:
    """A `StreamRelay` for a caller who wants what comes as events in one JSON array."""

    def __init__(self, rename: str | None) -> None:
        self._relay = Relay(Watch(rename))
        self._frames = sse.Decoder()
        self._array = jsonarray.Encoder()
        self._ended = False

    @property
    def summary(self) -> Summary:
        return self._relay.summary

    def feed(self, data: bytes) -> bytes:
        return self._elements(self._frames.feed(self._relay.feed(data)))

    def finish(self) -> bytes:
        out = self._elements(self._frames.feed(self._relay.finish()) + self._frames.finish())
        return out + self._end()

    def fail(self, failure: Failure) -> bytes:
        out = self._elements(self._frames.feed(self._relay.fail(failure)) + self._frames.finish())
        return out + self._end()

    def _elements(self, frames: list[sse.SSE]) -> bytes:
        elements = [f.data for f in frames if f.event != sse.COMMENT]
        return b"".join([self._array.element(data) for data in elements])

    def _end(self) -> bytes:
        if self._ended:
            return b""
        self._ended = True
        return self._array.end()
