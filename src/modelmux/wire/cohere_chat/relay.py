"""What the gateway looks for in streams of the API that it passes on unchanged."""

import msgspec

from modelmux.errors import ProtocolViolation
from modelmux.ir.response import Failure, FinishReason, Summary, Usage
from modelmux.wire import extra
from modelmux.wire.cohere_chat import counts, errors, schema
from modelmux.wire.cohere_chat.stream_decode import INTERRUPTED
from modelmux.wire.framing import sse

_event = msgspec.json.Decoder(schema.Event)


class Watch:
    """A `framing.relay.Watch`. There is no model's name in a stream to be changed."""

    def __init__(self) -> None:
        self._usage: Usage | None = None
        self._reason: FinishReason | None = None
        self._failure: Failure | None = None
        self._ended = False

    @property
    def summary(self) -> Summary:
        return Summary(self._usage, self._reason, self._failure)

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def renames(self) -> None:
        """Nothing."""

    def concerns(self, data: bytes) -> bool:
        # In quotes, which a string would escape: the model's own words rarely look like this.
        return b'"message-end"' in data or b'"message"' not in data

    def look(self, frame: sse.SSE, raw: bytes) -> bytes:
        try:
            event = _event.decode(frame.data)
        except extra.MALFORMED:  # not ours to judge: the caller's SDK will
            return raw
        if event.type != "message-end":
            return raw
        self._ended = True
        delta = event.delta or schema.Delta()
        said = delta.finish_reason or ""
        if delta.error is not None or said in {"ERROR", "TIMEOUT"}:
            self._failure = errors.in_stream(delta.error)
            return raw
        self._reason = counts.reason(said)
        try:
            self._usage = counts.decode(delta.usage)
        except ProtocolViolation:  # counts that cannot be read are none
            return raw
        return raw

    def close(self) -> bytes:
        return self.fail(INTERRUPTED)

    def fail(self, failure: Failure) -> bytes:
        self._ended = True
        self._failure = failure
        said = {
            "type": "message-end",
            "delta": {"error": failure.message, "finish_reason": "ERROR"},
        }
        return sse.encode(msgspec.json.encode(said), "message-end")
