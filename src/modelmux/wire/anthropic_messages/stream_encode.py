"""Events to streams of the API.

Each part becomes one content block, opened and closed in strict pairs and numbered without gaps;
parts that the API has no block for are left out. Deltas, which are nearly all of a stream, are
put together from bytes made when their block was opened.
"""

from typing import assert_never

import msgspec
from msgspec import Struct
from msgspec.structs import replace

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
    Blob,
    Citation,
    Extra,
    File,
    Generic,
    Part,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.request import Envelope
from modelmux.ir.response import NO_USAGE, Usage
from modelmux.wire import extra, sealed
from modelmux.wire.anthropic_messages import block_encode, counts, errors, finish
from modelmux.wire.anthropic_messages.block_encode import Block
from modelmux.wire.anthropic_messages.response import answer_block, cited
from modelmux.wire.anthropic_messages.schema import NAME
from modelmux.wire.framing import sse

PING = b'event: ping\ndata: {"type":"ping"}\n\n'

_STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'
_DELTA = b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b'
_TEXT = b'{"type":"text_delta","text":'
_THINKING = b'{"type":"thinking_delta","thinking":'
_ARGUMENTS = b'{"type":"input_json_delta","partial_json":'

_OF_DELTA = frozenset({"/container", "/stop_details", "/stop_reason", "/stop_sequence"})
"""Fields of an answer that a stream says in the `delta` of `message_delta`."""

_json = msgspec.json.encode


class _Open(Struct):
    """The block of the part that is open."""

    index: int
    part: Part
    prefix: bytes = b""
    """All of a delta before what it adds; nothing where the block came whole."""
    held: bytes = b""
    """Its start, while it may turn out to be empty and nobody's to read."""
    signature: str = ""
    """What is to be told at its end: SDKs take the last such delta for the whole."""
    begun: bool = False
    """Something has been added to it."""


class Encoder:
    """A `StreamEncoder`."""

    def __init__(self, envelope: Envelope) -> None:
        self._model = envelope.model
        self._blocks = 0
        self._open: _Open | None = None
        self._prefix = b""  # that of the open block, once a delta is nothing but its text
        self._called = False
        self._refused = False
        self._told: Usage = NO_USAGE

    def encode(self, event: Event) -> bytes:
        if isinstance(event, PartDelta):
            if self._prefix and event.citation is None and not event.signature:
                return self._prefix + _json(event.text) + b"}}\n\n"
            return self._delta(event)
        match event:
            case PartStart(part=part):
                return self._start_part(part)
            case PartEnd():
                return self._end_part()
            case Start():
                return self._start(event)
            case Finish():
                return self._finish(event)
            case Ping():
                return PING
            case Fail(failure=failure):
                return sse.encode(errors.encode(failure), "error")
            case _:
                assert_never(event)

    def _start(self, event: Start) -> bytes:
        self._told = event.usage
        message: Block = {
            "id": event.id,
            "type": "message",
            "role": "assistant",
            "model": self._model or event.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": counts.encode(event.usage),
        }
        return _frame("message_start", message=extra.merge(message, event.extra, NAME))

    def _start_part(self, part: Part) -> bytes:
        self._called = self._called or type(part) is ToolCall
        self._refused = self._refused or type(part) is Refusal
        block, delta = _opening(part)
        if block is None:
            self._open = None
            return b""
        prefix = _DELTA % (self._blocks, delta) if delta else b""
        start = _frame("content_block_start", index=self._blocks, content_block=block)
        opened = self._open = _Open(self._blocks, part, prefix)
        if isinstance(part, Reasoning) and part.origin != NAME and not part.text:
            opened.held = start  # thinking that only another provider can read stays empty
            self._sign(part.signature or "")
            return b""
        self._blocks += 1
        if isinstance(part, Text | Refusal):
            self._prefix = prefix
        return start + self._contents(part)

    def _contents(self, part: Part) -> bytes:
        """What a part holds already when it starts."""
        match part:
            case Text(text=text, citations=citations):
                said = self._add(text) if text else b""
                return said + b"".join([self._cite(citation) for citation in citations])
            case Reasoning(text=text, signature=signature) if self._open and self._open.prefix:
                self._sign(signature or "")
                return self._add(text) if text else b""
            case Refusal(text=text) | ToolCall(arguments=text) | ServerToolCall(arguments=text):
                return self._add(text) if text else b""
            case _:  # came whole
                return b""

    def _delta(self, event: PartDelta) -> bytes:
        out = self._add(event.text) if event.text else b""
        if event.signature:
            self._sign(event.signature)
        if event.citation is not None:
            out += self._cite(event.citation)
        return out

    def _add(self, text: str) -> bytes:
        opened = self._open
        if opened is None or not opened.prefix:
            return b""
        start, opened.held = opened.held, b""
        if start:
            self._blocks += 1
        if isinstance(opened.part, ToolCall) and opened.part.custom:
            text = ("" if opened.begun else '{"input":"') + _json(text)[1:-1].decode()
        else:
            self._prefix = opened.prefix
        opened.begun = True
        return start + opened.prefix + _json(text) + b"}}\n\n"

    def _sign(self, signature: str) -> None:
        opened = self._open
        if opened and isinstance(opened.part, Reasoning):
            opened.signature += signature

    def _cite(self, citation: Citation) -> bytes:
        block = cited(citation)
        if self._open is None or block is None or not isinstance(self._open.part, Text):
            return b""
        return _frame(
            "content_block_delta",
            index=self._open.index,
            delta={"type": "citations_delta", "citation": block},
        )

    def _end_part(self) -> bytes:
        opened, self._open, self._prefix = self._open, None, b""
        if opened is None:
            return b""
        if isinstance(opened.part, Reasoning) and opened.part.origin != NAME:
            opened.signature = sealed.seal(_signed(opened.part, opened.signature)) or ""
        if opened.held:
            return self._redacted(opened) if opened.signature else b""
        out = self._end_arguments(opened) if opened.prefix.endswith(_ARGUMENTS) else b""
        if opened.signature:
            delta = {"type": "signature_delta", "signature": opened.signature}
            out += _frame("content_block_delta", index=opened.index, delta=delta)
        return out + _frame("content_block_stop", index=opened.index)

    def _redacted(self, opened: _Open) -> bytes:
        """Thinking without a text, which only its own provider can read."""
        self._blocks += 1
        block = {"type": "redacted_thinking", "data": opened.signature}
        start = _frame("content_block_start", index=opened.index, content_block=block)
        return start + _frame("content_block_stop", index=opened.index)

    def _end_arguments(self, opened: _Open) -> bytes:
        """What is missing of a tool's arguments: all SDKs parse them, and some take nothing ill."""
        custom = isinstance(opened.part, ToolCall) and opened.part.custom
        if custom:
            rest = '"}' if opened.begun else '{"input":""}'
        else:
            rest = "" if opened.begun else "{}"
        return opened.prefix + _json(rest) + b"}}\n\n" if rest else b""

    def _finish(self, event: Finish) -> bytes:
        sequence = event.stop_sequence
        reason = finish.said(event.reason, sequence, self._called, self._refused)
        delta: Block = {"stop_reason": reason, "stop_sequence": sequence}
        rest: Block = {}
        if event.extra is not None and event.extra.wire == NAME:
            for pointer, raw in event.extra.fields.items():
                place = delta if pointer in _OF_DELTA else rest
                place[extra.unescape(pointer[1:])] = raw
        usage = counts.encode(self._untold(event.usage))
        return _frame("message_delta", delta=delta, usage=usage, **rest) + _STOP

    def _untold(self, usage: Usage) -> Usage:
        """`usage` without those fields of the API's own that stood in `message_start`."""
        known = self._told.extra
        if usage.extra is None or known is None:
            return usage
        fields = {p: raw for p, raw in usage.extra.fields.items() if known.fields.get(p) != raw}
        return replace(usage, extra=Extra(usage.extra.wire, fields))


def _signed(part: Reasoning, signature: str) -> Reasoning:
    return replace(part, signature=signature or None)


def _opening(part: Part) -> tuple[object, bytes]:
    """The block with which a part begins, and how its deltas do; `None` where there is none."""
    match part:
        case Text():
            return answer_block(replace(part, text="", citations=())), _TEXT
        case Refusal():
            return {"type": "text", "text": ""}, _TEXT
        case Reasoning(origin=origin, encrypted=encrypted):
            if origin != NAME:
                return {"type": "thinking", "thinking": "", "signature": ""}, _THINKING
            if encrypted is None:
                return answer_block(replace(part, text="", signature=None)), _THINKING
            return answer_block(part), b""
        case ToolCall():
            return answer_block(replace(part, arguments="", custom=False)), _ARGUMENTS
        case ServerToolCall(origin=origin):
            if origin != NAME:
                return None, b""
            return block_encode.server_tool_use(replace(part, arguments="")), _ARGUMENTS
        case Blob() | Uri() | File() | Generic() | ServerToolResult() | ToolResult():
            return answer_block(part), b""
        case _:
            assert_never(part)


def _frame(type_: str, **fields: object) -> bytes:
    data = _json({"type": type_, **fields})
    if b"\n" in data or b"\r" in data:  # raw JSON keeps the line ends it came with
        data = msgspec.json.format(data, indent=-1)
    return sse.encode(data, type_)
