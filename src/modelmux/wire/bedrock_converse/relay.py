"""A stream whose two ends speak this wire: frames go on as they came, and are looked at."""

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import ProtocolViolation
from modelmux.ir.response import NO_USAGE, Failure, FinishReason, Summary, Usage
from modelmux.wire import extra
from modelmux.wire.bedrock_converse import counts, errors
from modelmux.wire.bedrock_converse.stream_decode import INTERRUPTED
from modelmux.wire.framing import eventstream


class _Stop(Struct):
    stopReason: str = ""


class _Metadata(Struct):
    usage: Raw = Raw()


_stop = msgspec.json.Decoder(_Stop)
_metadata = msgspec.json.Decoder(_Metadata)


class Relay:
    """A `StreamRelay`. There is no model's name in a stream to be changed."""

    def __init__(self) -> None:
        self._frames = eventstream.Decoder()
        self._usage: Usage | None = None
        self._reason: FinishReason | None = None
        self._failure: Failure | None = None

    @property
    def summary(self) -> Summary:
        usage = self._usage
        if usage is None and self._reason is not None:
            usage = NO_USAGE
        return Summary(usage, self._reason, self._failure)

    def feed(self, data: bytes) -> bytes:
        if self._failure is not None:
            return b""
        out: list[bytes] = []
        for frame, raw in self._frames.pieces(data):
            out.append(raw)
            self._look(frame)
            if self._failure is not None:
                return b"".join(out)
        broken = self._frames.failure
        if broken is not None:
            out.append(
                self._end(Failure("unavailable", broken.message, "protocol_violation", status=502))
            )
        return b"".join(out)

    def finish(self) -> bytes:
        if self._failure is not None or (self._reason is not None and not self._frames.is_inside):
            return b""
        return self._end(INTERRUPTED)

    def fail(self, failure: Failure) -> bytes:
        if self._failure is not None or self._reason is not None:
            return b""
        return self._end(failure)

    def _end(self, failure: Failure) -> bytes:
        self._failure = failure
        payload = msgspec.json.encode({"message": failure.message})
        return eventstream.exception(errors.in_stream(failure), payload)

    def _look(self, frame: eventstream.Frame) -> None:
        try:
            if frame.kind != "event":
                self._failure = errors.of_frame(frame)
            elif frame.name == "messageStop":
                self._reason = counts.reason(_stop.decode(frame.payload).stopReason)
            elif frame.name == "metadata":
                self._usage = counts.read(_metadata.decode(frame.payload).usage)
        except (ProtocolViolation, *extra.MALFORMED):  # not ours to judge: the caller's SDK will
            return
