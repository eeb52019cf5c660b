"""What the gateway looks for in streams of the API that it passes on unchanged."""

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import ProtocolViolation
from modelmux.ir.response import Failure, FinishReason, Summary
from modelmux.wire import extra
from modelmux.wire.anthropic_messages import counts, errors, finish, schema
from modelmux.wire.anthropic_messages.stream_decode import INTERRUPTED
from modelmux.wire.framing import sse


class _Frame(Struct):
    type: str = ""
    message: Raw = Raw()
    delta: schema.Stopping = schema.Stopping()
    usage: Raw = Raw()
    error: Raw = Raw()


class _Message(Struct):
    model: str = ""
    usage: Raw = Raw()


_frame = msgspec.json.Decoder(_Frame)
_message = msgspec.json.Decoder(_Message)


class Watch:
    """A `framing.relay.Watch`."""

    def __init__(self, rename: str | None) -> None:
        self._rename = rename
        self._tally: counts.Tally | None = None
        self._reason: FinishReason | None = None
        self._failure: Failure | None = None
        self._ended = False

    @property
    def summary(self) -> Summary:
        usage = self._tally.usage if self._tally is not None else None
        return Summary(usage, self._reason, self._failure)

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def renames(self) -> None:
        """The model's name stands in one frame only, and is changed there."""

    def concerns(self, data: bytes) -> bool:
        # In quotes, which a string would escape: the model's own words rarely look like this.
        return b'"message_' in data or b'"error"' in data

    def look(self, frame: sse.SSE, raw: bytes) -> bytes:
        try:
            found = _frame.decode(frame.data)
        except extra.MALFORMED:  # not ours to judge: the caller's SDK will
            return raw
        match found.type or ("error" if found.error else ""):
            case "message_start":
                return self._look_at_start(found.message, raw)
            case "message_delta":
                self._count(found.usage)
                if found.delta.stop_reason is not None:
                    self._reason = finish.neutral(found.delta.stop_reason)
            case "message_stop":
                self._ended = True
            case "error":
                self._ended = True
                self._failure = errors.decode(200, frame.data)
            case _:  # the words of interest were something else's
                pass
        return raw

    def _look_at_start(self, message: Raw, raw: bytes) -> bytes:
        try:
            found = _message.decode(message)
        except extra.MALFORMED:  # as above
            return raw
        self._count(found.usage)
        if self._rename is None or not found.model:
            return raw
        before = bytes(message)
        after = extra.replace_string(before, "model", found.model, self._rename)
        return raw.replace(before, after, 1)

    def _count(self, usage: Raw) -> None:
        if not usage:
            return
        if self._tally is None:
            self._tally = counts.Tally()
        try:
            self._tally.read(usage)
        except ProtocolViolation:  # counts that cannot be read are none
            return

    def close(self) -> bytes:
        return self.fail(INTERRUPTED)

    def fail(self, failure: Failure) -> bytes:
        self._ended = True
        self._failure = failure
        return sse.encode(errors.encode(failure), "error")
