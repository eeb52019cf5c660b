"""Streams of the API to events.

Theory of operation. The API numbers content blocks and opens one at a time; the event grammar
wants the same. Servers that imitate the API interleave them, so each block is kept by its number
and only one is live: its deltas become events at once. What comes for the others waits until the
live one has closed.

Usage comes in pieces: `message_start` counts the prompt, and each `message_delta` gives totals
that replace what was known. The `Finish` event therefore waits for `message_stop`, and a stream
that ends without it is cut, whatever it said before.

Follows `RawMessageStreamEvent` and `accumulate_event` of Anthropic's SDK (`anthropic` 2.10.0, read
2026-11-20).
"""

import re
from collections import deque
from collections.abc import Mapping
from typing import assert_never

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from modelmux.errors import ProtocolViolation
from modelmux.ir.events import (
    Event,
    Fail,
    Finish,
    PartDelta,
    PartEnd,
    PartStart,
    Ping,
    Start,
)
from modelmux.ir.parts import (
    Citation,
    Extra,
    Generic,
    Part,
    Reasoning,
    ServerToolCall,
    Text,
    ToolCall,
)
from modelmux.ir.response import Failure
from modelmux.wire import extra
from modelmux.wire.anthropic_messages import block_decode, counts, errors, finish, schema
from modelmux.wire.anthropic_messages.response import apart, reader
from modelmux.wire.anthropic_messages.schema import NAME
from modelmux.wire.framing import sse

MAX_WAITING_BYTES = 16 * 1024 * 1024
"""What may be held back of blocks that are not live: more is a server that never closes one."""

INTERRUPTED = Failure(
    "unavailable",
    "the stream ended before the answer was finished",
    code="interrupted",
    status=502,
)

_PING = Ping()

_lone_delta = re.compile(rb"event: content_block_delta\ndata: (\{[^\r\n]*)\n\n").fullmatch

_delta = msgspec.json.Decoder(schema.ContentBlockDelta)
_event = msgspec.json.Decoder(schema.Event)
_untyped = msgspec.json.Decoder(schema.Untyped)
_object = msgspec.json.Decoder(dict[str, Raw])
_opaque = msgspec.json.Decoder(schema.OpaqueDelta)
_string = msgspec.json.Decoder(str)
_message_start = extra.Schema(schema.MessageStart, ProtocolViolation)
_message_delta = extra.Schema(schema.MessageDelta, ProtocolViolation)

_EVENTS = frozenset(
    {
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
        "ping",
        "error",
    }
)


class _Block(Struct):
    """A content block that has been opened."""

    part: Part
    """As it was at its start."""
    wire_index: int
    number: int = -1
    """Its index among the parts, once it is live."""
    waiting: list[PartDelta] = []
    """What came for it while another block was live; their index is wrong."""
    closed: bool = False
    text_size: int = 0
    citations: list[Citation] = []
    """Told at the end of the block, when it is known which text they support."""
    written: str = ""
    """Arguments that came with the start of the block, for a server that sends no deltas."""
    streamed: bool = False
    """Some of its arguments have come as deltas."""
    fields: dict[str, Raw] = {}
    pieces: dict[str, list[str]] = {}
    """What its deltas brought, where the schema does not know it."""


class Decoder:
    """A `StreamDecoder`."""

    def __init__(self) -> None:
        self._frames = sse.Decoder()
        self._started = False
        self._ended = False
        self._tally = counts.Tally()
        self._fields: dict[str, Raw] = {}
        self._stop_reason: str | None = None
        self._stop_sequence: str | None = None
        self._blocks: dict[int, _Block] = {}
        self._live: _Block | None = None
        self._queue: deque[_Block] = deque()
        self._waiting_size = 0
        self._parts = 0
        self._text_size = 0

    def feed(self, data: bytes) -> list[Event]:
        live = self._live
        if live is not None and self._frames.between and (lone := _lone_delta(data)):
            event = _quickly(live, lone[1])
            if event is not None:
                return [event]
        out: list[Event] = []
        if self._ended:
            return out
        try:
            for frame in self._frames.feed(data):
                self._on_frame(frame, out)
        except ProtocolViolation as exc:
            self._fail(Failure("unavailable", exc.message, exc.code, status=exc.status), out)
        return out

    def finish(self) -> list[Event]:
        out: list[Event] = []
        if self._ended:
            return out
        try:
            for frame in self._frames.finish():
                self._on_frame(frame, out)
        except ProtocolViolation:  # the stream broke off inside its last frame
            pass
        if not self._ended:
            self._fail(INTERRUPTED, out)
        return out

    def _on_frame(self, frame: sse.SSE, out: list[Event]) -> None:
        if self._ended:
            return
        if frame.event == sse.COMMENT:
            out.append(_PING)
            return
        try:
            event = _event.decode(frame.data)
        except extra.MALFORMED as exc:
            self._on_unknown(frame.data, exc, out)
            return
        try:
            self._on_event(event, frame.data, out)
        except extra.MALFORMED as exc:  # inside of what was taken as it came
            raise extra.invalid(exc, "", ProtocolViolation) from None

    def _on_event(self, event: schema.Event, data: bytes, out: list[Event]) -> None:
        match event:
            case schema.ContentBlockDelta(index=index, delta=delta):
                self._on_delta(index, delta, data, out)
            case schema.ContentBlockStart(index=index, content_block=raw):
                self._on_block(index, raw, out)
            case schema.ContentBlockStop(index=index):
                self._on_stop(index, out)
            case schema.PingEvent():
                out.append(_PING)
            case schema.MessageStartEvent():
                self._on_start(data, out)
            case schema.MessageDeltaEvent():
                self._on_message_delta(data)
            case schema.MessageStopEvent():
                self._on_end(out)
            case schema.ErrorEvent():
                self._fail(errors.decode(200, data), out)
            case _:
                assert_never(event)

    def _on_unknown(self, data: bytes, exc: Exception, out: list[Event]) -> None:
        """Pass over an event of a later version of the API, which announces that there will be.

        Raises:
            ProtocolViolation: It is none, but a known one in a bad form, or no event at all.
        """
        try:
            frame = _untyped.decode(data)
        except extra.MALFORMED:
            raise extra.invalid(exc, "", ProtocolViolation) from None
        if frame.error and not frame.type:  # as servers of other APIs say it
            self._fail(errors.decode(200, data), out)
        elif not frame.type or frame.type in _EVENTS:
            raise extra.invalid(exc, "", ProtocolViolation)

    def _fail(self, failure: Failure, out: list[Event]) -> None:
        self._ended = True
        self._live = None
        out.append(Fail(failure))

    def _on_start(self, data: bytes, out: list[Event]) -> None:
        if self._started:  # proxies that retry in the middle say it twice: the first one stands
            return
        self._started = True
        event, unknown = _message_start.decode(data)
        message = event.message
        fields, of_usage = apart(unknown, "/message")
        self._tally.add(message.usage, of_usage)
        usage = self._tally.usage
        out.append(Start(message.id, message.model, 0, usage, _extra(fields)))

    def _on_message_delta(self, data: bytes) -> None:
        event, unknown = _message_delta.decode(data)
        fields, of_usage = apart(unknown, "/delta")
        self._fields.update(fields)
        self._tally.add(event.usage, of_usage)
        if event.delta.stop_reason is not None:
            self._stop_reason = event.delta.stop_reason
            self._stop_sequence = event.delta.stop_sequence

    def _on_end(self, out: list[Event]) -> None:
        self._require_start()
        for block in [*self._blocks.values()]:  # left open by the server: it says nothing more
            self._close(block, out)
        spelling = finish.spelling(self._stop_reason, self._stop_sequence)
        if spelling is not None:
            self._fields["/stop_reason"] = spelling
        self._ended = True
        out.append(
            Finish(
                finish.neutral(self._stop_reason),
                self._tally.usage,
                self._stop_sequence,
                _extra(self._fields),
            )
        )

    def _require_start(self) -> None:
        if not self._started:
            raise ProtocolViolation("expected message_start first")

    def _on_block(self, index: int, raw: Raw, out: list[Event]) -> None:
        self._require_start()
        if index in self._blocks:
            raise ProtocolViolation(f"content block {index} starts twice")
        part = reader.part(raw, "/content", index)
        block = self._blocks[index] = _opened(part, index)
        if self._live is None:
            self._enliven(block, out)
        else:
            self._queue.append(block)
            self._wait(len(bytes(raw)))

    def _on_delta(self, index: int, delta: schema.Delta, data: bytes, out: list[Event]) -> None:
        block = self._blocks.get(index)
        if block is None:
            raise ProtocolViolation(f"a delta of content block {index}, which is not open")
        kind = type(block.part)
        signature = ""
        if kind is Text:
            text = delta.text
            block.text_size += len(text)
            if delta.citation:
                block.citations.append(block_decode.citation(delta.citation))
        elif kind is Reasoning:
            text, signature = delta.thinking, delta.signature
        elif kind is ToolCall or kind is ServerToolCall:
            text = delta.partial_json
            block.streamed = block.streamed or bool(text)
        else:
            self._keep_opaque(block, data)
            return
        if not text and not signature:
            return
        if block is self._live:
            out.append(PartDelta(block.number, text, signature))
        else:
            block.waiting.append(PartDelta(0, text, signature))
            self._wait(len(text) + len(signature))

    def _keep_opaque(self, block: _Block, data: bytes) -> None:
        """Keep the delta of a block that the schema does not know.

        Strings grow, as all that the API streams do; other values are set.
        """
        self._wait(len(data))
        try:
            delta = _opaque.decode(data).delta
        except extra.MALFORMED as exc:
            raise extra.invalid(exc, "", ProtocolViolation) from None
        for name, raw in delta.items():
            try:
                piece = _string.decode(raw)
            except extra.MALFORMED:
                block.fields[name] = raw
            else:
                block.pieces.setdefault(name, []).append(piece)

    def _wait(self, size: int) -> None:
        self._waiting_size += size
        if self._waiting_size > MAX_WAITING_BYTES:
            raise ProtocolViolation(
                f"more than {MAX_WAITING_BYTES} bytes came for content blocks behind one that "
                "is still open"
            )

    def _on_stop(self, index: int, out: list[Event]) -> None:
        block = self._blocks.pop(index, None)
        if block is None:
            raise ProtocolViolation(f"content block {index} stops and is not open")
        self._close(block, out)

    def _enliven(self, block: _Block, out: list[Event]) -> None:
        """Let the deltas of `block` through from now on, and those that have waited."""
        self._live = block
        block.number = self._parts
        self._parts += 1
        if isinstance(block.part, Generic):  # a part that is not known cannot grow: it comes whole
            return
        out.append(PartStart(block.number, block.part))
        out += [replace(delta, index=block.number) for delta in block.waiting]

    def _close(self, block: _Block, out: list[Event]) -> None:
        if block is not self._live:
            block.closed = True
            return
        self._end(block, out)
        self._live = None
        while self._queue:
            following = self._queue.popleft()
            self._enliven(following, out)
            if not following.closed:
                return
            self._end(following, out)
            self._live = None
        self._waiting_size = 0

    def _end(self, block: _Block, out: list[Event]) -> None:
        number, part = block.number, block.part
        if isinstance(part, Generic):
            out.append(PartStart(number, _grown(part, block)))
        elif isinstance(part, ToolCall | ServerToolCall) and not block.streamed:
            out.append(PartDelta(number, block.written))
        elif isinstance(part, Text):
            start, self._text_size = self._text_size, self._text_size + block.text_size
            end = self._text_size
            out += [
                PartDelta(number, citation=replace(cited, start_index=start, end_index=end))
                for cited in block.citations
            ]
        out.append(PartEnd(number))


def _quickly(live: _Block, data: bytes) -> PartDelta | None:
    """The event for what most chunks are: one delta of the text that is live."""
    try:
        event = _delta.decode(data)
    except extra.MALFORMED:  # the careful way says what is wrong
        return None
    delta = event.delta
    if event.index != live.wire_index or type(live.part) is not Text:
        return None
    text = delta.text
    if not text or delta.citation:
        return None
    live.text_size += len(text)
    return PartDelta(live.number, text)


def _extra(fields: Mapping[str, Raw]) -> Extra | None:
    return Extra(NAME, fields) if fields else None


def _opened(part: Part, index: int) -> _Block:
    match part:
        case Text(text=text, citations=citations):
            head = replace(part, citations=()) if citations else part
            return _Block(head, index, text_size=len(text), citations=[*citations])
        case ToolCall(arguments=written) | ServerToolCall(arguments=written):
            # Nearly always `{}` for a start: the deltas hold the whole. Where none come, because
            # the tool takes no arguments or the server does not stream them, this is it.
            return _Block(replace(part, arguments=""), index, written=written)
        case _:
            return _Block(part, index)


def _grown(part: Generic, block: _Block) -> Generic:
    """A block that the schema does not know, with its deltas."""
    if not block.fields and not block.pieces:
        return part
    fields = _object.decode(part.raw)
    fields.update(block.fields)
    for name, pieces in block.pieces.items():
        if name == "partial_json":
            fields["input"] = _arguments("".join(pieces))
        elif name != "type":
            fields[name] = Raw(msgspec.json.encode(_text(fields.get(name)) + "".join(pieces)))
    return replace(part, raw=Raw(msgspec.json.encode(fields)))


def _arguments(written: str) -> Raw:
    raw = written.encode()
    try:
        _object.decode(raw)
    except extra.MALFORMED:  # the model was cut off
        return Raw(b"{}")
    return Raw(raw)


def _text(raw: Raw | None) -> str:
    try:
        return _string.decode(raw) if raw is not None else ""
    except extra.MALFORMED:  # such as null, until the text comes
        return ""
