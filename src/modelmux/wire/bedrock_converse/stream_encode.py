"""Events to streams of the API."""

from typing import Final, assert_never

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from modelmux.ir.events import Event, Fail, Finish, PartDelta, PartEnd, PartStart, Ping, Start
from modelmux.ir.parts import (
    Blob,
    Citation,
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
from modelmux.wire import extra, sealed
from modelmux.wire.bedrock_converse import content_encode, counts, errors
from modelmux.wire.bedrock_converse.content_encode import Block
from modelmux.wire.bedrock_converse.response import STOP_REASON, answer_block
from modelmux.wire.bedrock_converse.schema import NAME
from modelmux.wire.framing import eventstream

_OF_STOP: Final = frozenset({STOP_REASON, "/additionalModelResponseFields"})
"""Fields of an answer that a stream says in `messageStop`."""

_json = msgspec.json.encode
_object = msgspec.json.Decoder(dict[str, Raw])


class _Open(Struct):
    index: int
    part: Part
    begun: bool = False
    signature: str = ""
    """What is told at the end of thinking."""


class Encoder:
    """A `StreamEncoder`."""

    def __init__(self) -> None:
        self._blocks = 0
        self._open: _Open | None = None
        self._called = False

    def encode(self, event: Event) -> bytes:
        match event:
            case PartDelta():
                return self._delta(event)
            case PartStart(part=part):
                return self._start_part(part)
            case PartEnd():
                return self._end_part()
            case Start():
                return _frame("messageStart", {"role": "assistant"})
            case Finish():
                return self._finish(event)
            case Ping():
                return b""  # the API has none
            case Fail(failure=failure):
                payload = _json({"message": failure.message})
                return eventstream.exception(errors.in_stream(failure), payload)
            case _:
                assert_never(event)

    def _start_part(self, part: Part) -> bytes:
        self._open = opened = _Open(self._blocks, part)
        self._blocks += 1
        match part:
            case Text(text=text, citations=citations):
                return self._say(opened, text) + b"".join(map(self._cite, citations))
            case Refusal(text=text):
                return self._say(opened, text)
            case Reasoning(text=text, signature=signature, encrypted=None):
                opened.signature = signature or ""
                return self._say(opened, text)
            case ToolCall(arguments=arguments):
                self._called = True
                start = {"toolUse": {"toolUseId": part.id, "name": part.name}}
                return self._announce(opened, start) + self._say(opened, arguments)
            case Blob() | Uri() | File() | Generic() | ServerToolResult() | Reasoning():
                return self._whole(opened, part)
            case ServerToolCall() | ToolResult():
                return self._leave_out()
            case _:
                assert_never(part)

    def _announce(self, opened: _Open, start: object) -> bytes:
        return _frame("contentBlockStart", {"contentBlockIndex": opened.index, "start": start})

    def _whole(self, opened: _Open, part: Part) -> bytes:
        """A part that came whole, as one delta; left out where the API has no block for it."""
        block = answer_block(part)
        if block is None:
            return self._leave_out()
        fields = _object.decode(block) if isinstance(block, Raw) else block
        if isinstance(part, Reasoning):
            said = {"redactedContent": part.encrypted}
            return self._change(opened, {"reasoningContent": said})
        if "text" in fields:
            return self._change(opened, fields)
        opened.begun = True
        return self._announce(opened, fields)

    def _leave_out(self) -> bytes:
        self._open = None
        self._blocks -= 1
        return b""

    def _delta(self, event: PartDelta) -> bytes:
        opened = self._open
        if opened is None:
            return b""
        out = self._say(opened, event.text)
        opened.signature += event.signature
        if event.citation is not None:
            out += self._cite(event.citation)
        return out

    def _say(self, opened: _Open, text: str) -> bytes:
        if not text:
            return b""
        part = opened.part
        if isinstance(part, ToolCall):
            if part.custom:
                text = ("" if opened.begun else '{"input":"') + _json(text)[1:-1].decode()
            delta: Block = {"toolUse": {"input": text}}
        elif isinstance(part, Reasoning):
            delta = {"reasoningContent": {"text": text}}
        elif isinstance(part, Text | Refusal):
            delta = {"text": text}
        else:
            return b""
        return self._change(opened, delta)

    def _change(self, opened: _Open, delta: object) -> bytes:
        opened.begun = True
        return _frame("contentBlockDelta", {"contentBlockIndex": opened.index, "delta": delta})

    def _cite(self, citation: Citation) -> bytes:
        opened = self._open
        said = content_encode.cited(citation)
        if opened is None or said is None:
            return b""
        return self._change(opened, {"citation": said})

    def _end_part(self) -> bytes:
        opened, self._open = self._open, None
        if opened is None:
            return b""
        out = b""
        part = opened.part
        if isinstance(part, Reasoning):
            signature = opened.signature
            if part.origin != NAME and signature:
                signature = sealed.seal(replace(part, signature=signature)) or ""
            if signature:
                out = self._change(opened, {"reasoningContent": {"signature": signature}})
        if isinstance(part, ToolCall):
            if part.custom:
                out = self._finish_custom(opened)
            elif not opened.begun:
                out = self._change(opened, {"toolUse": {"input": "{}"}})
        elif not opened.begun:
            out += self._change(opened, _nothing(part))
        return out + _frame("contentBlockStop", {"contentBlockIndex": opened.index})

    def _finish_custom(self, opened: _Open) -> bytes:
        rest = '"}' if opened.begun else '{"input":""}'
        return self._change(opened, {"toolUse": {"input": rest}})

    def _finish(self, event: Finish) -> bytes:
        stop: Block = {"stopReason": counts.said(event.reason, event.stop_sequence, self._called)}
        metadata: Block = {"usage": counts.encode(event.usage)}
        if event.extra is not None and event.extra.wire == NAME:
            for pointer, raw in event.extra.fields.items():
                place = stop if pointer in _OF_STOP else metadata
                place[extra.unescape(pointer[1:])] = raw
        metadata.setdefault("metrics", {"latencyMs": 0})
        return _frame("messageStop", stop) + _frame("metadata", metadata)


def _nothing(part: Part) -> Block:
    """A delta without a word, by which a block is known that has none."""
    return {"reasoningContent": {"text": ""}} if isinstance(part, Reasoning) else {"text": ""}


def _frame(name: str, payload: Block) -> bytes:
    return eventstream.event(name, _json(payload))
