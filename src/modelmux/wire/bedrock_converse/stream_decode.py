"""Streams of the API to events.

Only blocks that are no text or thinking are announced: those two begin with their first delta.
`messageStop` has the reason and `metadata` after it the usage, so that the end is known when both
have come, or when the stream has closed after the first.
"""

from collections import deque
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from modelmux.errors import ProtocolViolation
from modelmux.ir.events import Event, Fail, Finish, PartDelta, PartEnd, PartStart, Start
from modelmux.ir.parts import Extra, Generic, Part, Reasoning, Text, ToolCall
from modelmux.ir.response import NO_USAGE, Failure, FinishReason, Usage
from modelmux.wire import extra
from modelmux.wire.bedrock_converse import content_decode, counts, errors, schema
from modelmux.wire.bedrock_converse.response import STOP_REASON, apart
from modelmux.wire.bedrock_converse.schema import NAME
from modelmux.wire.framing import eventstream

INTERRUPTED: Final = Failure(
    "unavailable", "the stream ended before it was finished", "interrupted", status=502
)
MAX_WAITING_BYTES: Final = 8 * 1024 * 1024
"""Most bytes of blocks that wait for another to end: a provider that interleaves them at all
sends a few kilobytes."""

S = TypeVar("S", bound=Struct)

_delta = msgspec.json.Decoder(schema.ContentBlockDeltaEvent)
_start = msgspec.json.Decoder(schema.ContentBlockStartEvent)
_opening = msgspec.json.Decoder(schema.ContentBlockStart)
_stop = msgspec.json.Decoder(schema.ContentBlockStopEvent)
_message_stop = extra.Schema(schema.MessageStopEvent, ProtocolViolation)
_metadata = extra.Schema(schema.MetadataEvent, ProtocolViolation)
_object = msgspec.json.Decoder(dict[str, Raw])
_string = msgspec.json.Decoder(str)


class _Open(Struct):
    """The block that is open."""

    wire_index: int
    number: int
    part: Part
    size: int = 0
    """Characters of its text, or of a tool's arguments."""
    citations: list[PartDelta] = []
    """Told at its end, when it is known how much they support."""
    pieces: list[Raw] = []
    """Deltas of a block that is not known: it comes whole."""


class Decoder:
    """A `StreamDecoder`."""

    def __init__(self) -> None:
        self._frames = eventstream.Decoder()
        self._started = False
        self._ended = False
        self._open: _Open | None = None
        self._parts = 0
        self._text_size = 0
        self._reason: FinishReason | None = None
        self._fields: dict[str, Raw] = {}
        self._usage: Usage = NO_USAGE
        self._waiting: deque[tuple[str, int, bytes]] = deque()
        self._waiting_size = 0
        self._steps: Mapping[str, Callable[[bytes, list[Event]], None]] = {
            "messageStart": self._on_start,
            "contentBlockStart": self._on_block_start,
            "contentBlockDelta": self._on_delta,
            "contentBlockStop": self._on_block_stop,
            "messageStop": self._on_stop,
            "metadata": self._on_metadata,
        }

    def feed(self, data: bytes) -> list[Event]:
        if self._ended:
            return []
        out: list[Event] = []
        for frame in self._frames.feed(data):
            self._frame(frame, out)
            if self._ended:
                return out
        if self._frames.failure is not None:
            self._fail(_violation(self._frames.failure), out)
        return out

    def finish(self) -> list[Event]:
        if self._ended:
            return []
        out: list[Event] = []
        if self._reason is not None and self._open is None and not self._frames.is_inside:
            self._finish(out)  # all that is missing is usage
        else:
            self._fail(INTERRUPTED, out)
        return out

    def _frame(self, frame: eventstream.Frame, out: list[Event]) -> None:
        if frame.kind != "event":
            self._fail(errors.of_frame(frame), out)
            return
        step = self._steps.get(frame.name)
        if step is None:  # `initial-response`, and what may come later
            return
        try:
            step(frame.payload, out)
        except ProtocolViolation as exc:
            self._fail(_violation(exc), out)
        except extra.MALFORMED as exc:
            self._fail(_violation(extra.invalid(exc, frame.name, ProtocolViolation)), out)

    def _fail(self, failure: Failure, out: list[Event]) -> None:
        self._ended = True
        out.append(Fail(failure))

    def _begin(self, out: list[Event]) -> None:
        if not self._started:
            self._started = True
            out.append(Start("", ""))

    def _on_start(self, payload: bytes, out: list[Event]) -> None:
        _object.decode(payload)
        self._begin(out)

    def _on_block_start(self, payload: bytes, out: list[Event]) -> None:
        event = _start.decode(payload)
        if self._waits("contentBlockStart", event.contentBlockIndex, payload):
            return
        self._begin(out)
        opening = _opening.decode(event.start)
        use = opening.toolUse
        part: Part
        if use is not None and use.type is None:
            part = ToolCall(use.toolUseId, use.name)
        else:
            kind = next(iter(_object.decode(event.start)), "")
            part = Generic(kind, NAME, event.start)
        self._begin_part(event.contentBlockIndex, part, out)

    def _on_delta(self, payload: bytes, out: list[Event]) -> None:
        event = _delta.decode(payload)
        index, delta = event.contentBlockIndex, event.delta
        if self._waits("contentBlockDelta", index, payload):
            return
        opened = self._open
        if opened is None:
            self._begin(out)
            opened = self._begin_part(index, _first(delta, payload), out)
        if delta.text is not None:
            opened.size += len(delta.text)
            out.append(PartDelta(opened.number, delta.text))
        elif delta.toolUse is not None and isinstance(opened.part, ToolCall):
            opened.size += len(delta.toolUse.input)
            out.append(PartDelta(opened.number, delta.toolUse.input))
        elif delta.reasoningContent is not None:
            _reason(opened, delta.reasoningContent, out)
        elif delta.citation and isinstance(opened.part, Text):
            cited = content_decode.citation(delta.citation)
            opened.citations.append(PartDelta(opened.number, citation=cited))
        else:
            self._keep(opened, payload)

    def _keep(self, opened: _Open, payload: bytes) -> None:
        """Note a delta of a block that is not known."""
        raw = _object.decode(payload).get("delta", Raw(b"{}"))
        self._wait_for(len(raw))
        opened.pieces.append(raw)

    def _on_block_stop(self, payload: bytes, out: list[Event]) -> None:
        event = _stop.decode(payload)
        if self._waits("contentBlockStop", event.contentBlockIndex, payload):
            return
        opened = self._open
        if opened is None:
            # A text without a word is not announced either.
            return
        self._end_part(opened, out)
        waiting, self._waiting, self._waiting_size = self._waiting, deque(), 0
        for name, _, held in waiting:
            self._steps[name](held, out)

    def _on_stop(self, payload: bytes, out: list[Event]) -> None:
        event, unknown = _message_stop.decode(payload)
        if self._open is not None or self._waiting:
            raise ProtocolViolation("the message stops while a content block is open")
        self._begin(out)
        self._reason = counts.reason(event.stopReason)
        self._fields.update(unknown)
        spelling = counts.spelling(event.stopReason)
        if spelling is not None:
            self._fields[STOP_REASON] = spelling

    def _on_metadata(self, payload: bytes, out: list[Event]) -> None:
        event, unknown = _metadata.decode(payload)
        fields, of_usage = apart(unknown)
        self._fields.update(fields)
        self._usage = counts.decode(event.usage, of_usage)
        if self._reason is not None:
            self._finish(out)

    def _finish(self, out: list[Event]) -> None:
        self._ended = True
        reason = self._reason or "stop"
        kept = Extra(NAME, self._fields) if self._fields else None
        out.append(Finish(reason, self._usage, extra=kept))

    def _begin_part(self, index: int, part: Part, out: list[Event]) -> _Open:
        opened = self._open = _Open(index, self._parts, part)
        self._parts += 1
        if not isinstance(part, Generic):
            out.append(PartStart(opened.number, part))
        return opened

    def _end_part(self, opened: _Open, out: list[Event]) -> None:
        self._open = None
        part, number = opened.part, opened.number
        if isinstance(part, Generic):
            out.append(PartStart(number, _whole(part, opened.pieces)))
        elif isinstance(part, ToolCall) and not opened.size:
            out.append(PartDelta(number, "{}"))  # none are streamed for a tool that takes none
        elif isinstance(part, Text):
            start, self._text_size = self._text_size, self._text_size + opened.size
            for delta in opened.citations:
                citation = delta.citation
                if citation is not None:
                    placed = replace(citation, start_index=start, end_index=self._text_size)
                    out.append(PartDelta(number, citation=placed))
        out.append(PartEnd(number))

    def _waits(self, name: str, index: int, payload: bytes) -> bool:
        """Whether an event is of another block than the open one, and so is kept for later."""
        opened = self._open
        if opened is None or opened.wire_index == index:
            return False
        self._wait_for(len(payload))
        self._waiting.append((name, index, payload))
        return True

    def _wait_for(self, size: int) -> None:
        self._waiting_size += size
        if self._waiting_size > MAX_WAITING_BYTES:
            raise ProtocolViolation(
                f"more than {MAX_WAITING_BYTES} bytes came for content blocks behind one that "
                "is still open"
            )


def _first(delta: schema.ContentBlockDelta, payload: bytes) -> Part:
    """The part that a delta without an announcement begins."""
    if delta.text is not None or delta.citation:
        return Text()
    thought = delta.reasoningContent
    if thought is not None:
        if thought.redactedContent is not None:
            return Reasoning(encrypted=thought.redactedContent, origin=NAME)
        return Reasoning(origin=NAME)
    if delta.toolUse is not None:
        raise ProtocolViolation("a tool's arguments come before its name")
    raw = _object.decode(payload).get("delta", Raw(b"{}"))
    return Generic(next(iter(_object.decode(raw)), ""), NAME, Raw(b"{}"))


def _reason(opened: _Open, delta: schema.ReasoningContentBlockDelta, out: list[Event]) -> None:
    if not isinstance(opened.part, Reasoning) or opened.part.encrypted is not None:
        return  # what only the provider can read comes in one piece
    if delta.text:
        out.append(PartDelta(opened.number, delta.text))
    if delta.signature:
        out.append(PartDelta(opened.number, signature=delta.signature))


def _whole(part: Generic, pieces: list[Raw]) -> Generic:
    """A block of a kind that is not known: its start with what its deltas add."""
    if not pieces:
        return part
    fields = _object.decode(part.raw)
    for piece in pieces:
        for name, raw in _object.decode(piece).items():
            fields[name] = _added(fields.get(name), raw)
    use = fields.get("toolUse")
    if use is not None:
        fields["toolUse"] = _with_input(use)
    return replace(part, raw=Raw(msgspec.json.encode(fields)))


def _added(before: Raw | None, more: Raw) -> Raw:
    """`more` behind `before`: strings are put together, objects by field, all else replaces."""
    if before is None:
        return more
    first = bytes(before)[:1], bytes(more)[:1]
    if first == (b'"', b'"'):
        return Raw(msgspec.json.encode(_string.decode(before) + _string.decode(more)))
    if first == (b"{", b"{"):
        fields = _object.decode(before)
        for name, raw in _object.decode(more).items():
            fields[name] = _added(fields.get(name), raw)
        return Raw(msgspec.json.encode(fields))
    return more


def _with_input(use: Raw) -> Raw:
    """A tool's call whose arguments came as text, as it is in a whole answer."""
    fields = _object.decode(use)
    written = fields.get("input")
    if written is None or bytes(written)[:1] != b'"':
        return use
    text = _string.decode(written).encode()
    try:
        _object.decode(text)
    except extra.MALFORMED:  # the model was cut off
        return use
    return Raw(msgspec.json.encode({**fields, "input": Raw(text)}))


def _violation(exc: Exception) -> Failure:
    return Failure("unavailable", str(exc), "protocol_violation", status=502)
