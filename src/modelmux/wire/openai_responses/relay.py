"""What the gateway looks for in a stream that it passes on."""

import re

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.request import Envelope
from modelmux.ir.response import Failure, FinishReason, Summary, Usage
from modelmux.wire import extra
from modelmux.wire.framing import sse
from modelmux.wire.openai import errors
from modelmux.wire.openai.values import present
from modelmux.wire.openai_responses import items, response, schema, stream_errors, usage
from modelmux.wire.openai_responses.stream_decode import ENDINGS, INTERRUPTED

_MODEL = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')

_CALLS = items.ASKED_OF_CALLER | {"function_call", "custom_tool_call"}

_WORDS = (b'"response.completed"', b'"response.incomplete"', b'"response.failed"', b'"error"')
"""What stands in the frames that end a stream. Inside a string its quotes would be escaped."""


class _Answer(Struct):
    id: str | None = None
    model: str | None = None
    status: str | None = None
    incomplete_details: schema.IncompleteDetails | None = None
    output: list[schema.Kind] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()


class _Event(Struct):
    type: str = ""
    response: _Answer | None = None
    item: schema.Kind | None = None
    sequence_number: int = 0
    error: Raw = Raw()


_event = msgspec.json.Decoder(_Event)
_string = msgspec.json.Decoder(str)


class Watch:
    """One stream's `framing.relay.Watch`."""

    def __init__(self, envelope: Envelope, rename: str | None) -> None:
        """Watch a stream for a caller who is shown `rename` as model, if not its own."""
        self._rename = rename
        self._renames: tuple[bytes, bytes] | None = None
        self._begun = False
        self._ended = False
        self._asks = False
        self._id = ""
        self._model = ""
        self._sequence = 0
        self._summary = Summary()

    @property
    def summary(self) -> Summary:
        """What is known so far."""
        return self._summary

    @property
    def ended(self) -> bool:
        """The last event has been seen."""
        return self._ended

    @property
    def renames(self) -> tuple[bytes, bytes] | None:
        """The field `model` as the target writes it, and as the caller is to read it."""
        return self._renames

    def concerns(self, data: bytes) -> bool:
        """Whether some frame may say more than a delta."""
        return (
            not self._begun
            or data.find(b"output_item.done") >= 0
            or any(data.find(word) >= 0 for word in _WORDS)
            or data.find(b"event: error") >= 0
        )

    def look(self, frame: sse.SSE, raw: bytes) -> bytes:
        """Read one frame; all of them are passed on."""
        if self._ended:
            return raw
        try:
            event = _event.decode(frame.data)
        except extra.MALFORMED:
            return raw  # what the caller makes of it is the same as without a gateway
        kind = event.type or frame.event
        self._sequence = event.sequence_number
        if kind == "error" or (present(event.error) and not kind.startswith("response.")):
            found = event.error if present(event.error) else Raw(frame.data)
            self._fail(errors.from_error(found))
        elif event.item is not None and kind == "response.output_item.done":
            self._asks = self._asks or event.item.type in _CALLS
        elif event.response is not None:
            self._answer(kind, event.response, raw)
        return raw

    def _answer(self, kind: str, answer: _Answer, raw: bytes) -> None:
        if not self._begun:
            self._begin(answer, raw)
        if kind == "response.failed":
            failure = response.failed("", answer.status or "failed", answer.error, b"")
            self._fail(failure or INTERRUPTED)
        elif kind in ENDINGS:
            self._ended = True
            incomplete = answer.incomplete_details.reason if answer.incomplete_details else None
            called = self._asks or any(item.type in _CALLS for item in answer.output or ())
            found = usage.reason(answer.status, incomplete, called=called)
            self._summary = Summary(usage.decode(answer.usage), found)

    def _begin(self, answer: _Answer, raw: bytes) -> None:
        """Learn what the answer is called, and how the target writes the name of the model."""
        self._begun = True
        self._id, self._model = answer.id or "", answer.model or ""
        if self._rename is None or not self._model:
            return
        for field in _MODEL.finditer(raw):
            if _reads(field.group(1), self._model):
                shown = b'"model":' + msgspec.json.encode(self._rename)
                self._renames = (field.group(), shown)
                return

    def _fail(self, failure: Failure) -> None:
        self._ended = True
        counted: Usage | None = self._summary.usage
        reason: FinishReason | None = None
        self._summary = Summary(counted, reason, failure)

    def close(self) -> bytes:
        """The stream closed without its last event: the answer was cut."""
        return self.fail(INTERRUPTED)

    def fail(self, failure: Failure) -> bytes:
        """The event of an error, after which nothing comes."""
        self._fail(failure)
        head: dict[str, object] = {}
        if self._begun:
            model = self._rename or self._model
            head = {"id": self._id, "object": "response", "created_at": 0, "model": model}
        return stream_errors.event(failure, head, (), self._sequence + 1)


def _reads(literal: bytes, text: str) -> bool:
    try:
        return _string.decode(literal) == text
    except extra.MALFORMED:
        return False
