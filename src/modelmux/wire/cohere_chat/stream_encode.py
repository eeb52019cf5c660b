"""Events to streams of the API."""

from typing import Final, assert_never, cast

import msgspec
from msgspec import Struct

from modelmux.ir.events import Event, Fail, Finish, PartDelta, PartEnd, PartStart, Ping, Start
from modelmux.ir.parts import Citation, Part, Reasoning, Refusal, Text, ToolCall
from modelmux.ir.request import Envelope
from modelmux.wire.cohere_chat import content, counts
from modelmux.wire.cohere_chat.content import Block
from modelmux.wire.cohere_chat.response import FINISH_REASON, answer_piece
from modelmux.wire.cohere_chat.schema import NAME
from modelmux.wire.framing import sse

PING: Final = b": ping\n\n"
DONE: Final = b"data: [DONE]\n\n"

_json = msgspec.json.encode


class _Open(Struct):
    part: Part
    kind: str
    index: int
    begun: bool = False


class Encoder:
    """A `StreamEncoder`."""

    def __init__(self, envelope: Envelope) -> None:
        self._id = ""
        self._pieces = 0
        self._calls = 0
        self._citations = 0
        self._open: _Open | None = None

    def encode(self, event: Event) -> bytes:
        match event:
            case PartDelta():
                return self._delta(event)
            case PartStart(part=part):
                return self._start_part(part)
            case PartEnd():
                return self._end_part()
            case Start(id=id_):
                self._id = id_
                empty: Block = {"role": "assistant", "content": [], "tool_plan": ""}
                empty |= {"tool_calls": [], "citations": []}
                return _frame("message-start", id=id_, delta={"message": empty})
            case Finish():
                return self._finish(event)
            case Ping():
                return PING
            case Fail(failure=failure):
                delta = {"error": failure.message, "finish_reason": "ERROR"}
                return _frame("message-end", id=self._id, delta=delta)
            case _:
                assert_never(event)

    def _start_part(self, part: Part) -> bytes:
        match part:
            case ToolCall():
                self._open = _Open(part, "call", self._calls)
                self._calls += 1
                function = {"name": part.name, "arguments": part.arguments}
                said = {"id": part.id, "type": "function", "function": function}
                self._open.begun = bool(part.arguments)
                return self._of("tool-call-start", {"tool_calls": said})
            case Reasoning() if content.is_plan(part):
                self._open = _Open(part, "plan", 0)
                return self._say(part.text)
            case Text(text=text, citations=citations):
                cited = b"".join(map(self._cite, citations))
                return self._announce(part, "text") + self._say(text) + cited
            case Refusal(text=text):
                return self._announce(part, "text") + self._say(text)
            case Reasoning(text=text):
                return self._announce(part, "thinking") + self._say(text)
            case _:
                return self._whole(part)

    def _announce(self, part: Part, kind: str) -> bytes:
        self._open = _Open(part, kind, self._pieces)
        self._pieces += 1
        return self._of("content-start", {"content": {"type": kind, kind: ""}})

    def _whole(self, part: Part) -> bytes:
        """A part that came whole: as a text where the API has a word for it, else left out."""
        piece = answer_piece(part)
        text = cast("Block", piece).get("text") if isinstance(piece, dict) else None
        if not isinstance(text, str):
            self._open = None
            return b""
        return self._announce(part, "text") + self._say(text)

    def _of(self, type_: str, message: Block) -> bytes:
        index = self._open.index if self._open is not None else 0
        return _frame(type_, index=index, delta={"message": message})

    def _delta(self, event: PartDelta) -> bytes:
        out = self._say(event.text)
        return out + self._cite(event.citation) if event.citation is not None else out

    def _say(self, text: str) -> bytes:
        opened = self._open
        if opened is None or not text:
            return b""
        match opened.kind:
            case "call":
                if isinstance(opened.part, ToolCall) and opened.part.custom:
                    start = "" if opened.begun else '{"input":"'
                    text = start + _json(text)[1:-1].decode()
                opened.begun = True
                said: Block = {"tool_calls": {"function": {"arguments": text}}}
                return self._of("tool-call-delta", said)
            case "plan":
                return _frame("tool-plan-delta", delta={"message": {"tool_plan": text}})
            case kind:
                return self._of("content-delta", {"content": {kind: text}})

    def _cite(self, citation: Citation) -> bytes:
        said = content.said_citation(citation)
        if said is None or self._open is None:
            return b""
        index = self._citations
        self._citations += 1
        start = _frame("citation-start", index=index, delta={"message": {"citations": said}})
        return start + _frame("citation-end", index=index)

    def _end_part(self) -> bytes:
        opened = self._open
        if opened is None:
            return b""
        out = b""
        if isinstance(opened.part, ToolCall):
            rest = self._rest(opened)
            if rest:
                said: Block = {"tool_calls": {"function": {"arguments": rest}}}
                out = self._of("tool-call-delta", said)
            out += _frame("tool-call-end", index=opened.index)
        elif opened.kind != "plan":
            out = _frame("content-end", index=opened.index)
        self._open = None
        return out

    def _rest(self, opened: _Open) -> str:
        """What is missing of a tool's arguments."""
        if isinstance(opened.part, ToolCall) and opened.part.custom:
            return '"}' if opened.begun else '{"input":""}'
        return "" if opened.begun else "{}"

    def _finish(self, event: Finish) -> bytes:
        reason: object = counts.said(event.reason, event.stop_sequence, bool(self._calls))
        own = event.extra
        if own is not None and own.wire == NAME:
            reason = own.fields.get(FINISH_REASON, reason)
        delta = {"finish_reason": reason, "usage": counts.encode(event.usage)}
        return _frame("message-end", id=self._id, delta=delta) + DONE


def _frame(type_: str, **fields: object) -> bytes:
    data = _json({"type": type_, **fields})
    if b"\n" in data or b"\r" in data:  # raw JSON keeps the line ends it came with
        data = msgspec.json.format(data, indent=-1)
    return sse.encode(data, type_)
