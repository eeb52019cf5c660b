"""Events into streams of the API.

Nearly every event is a piece of text. So when a part begins, the bytes before each of its pieces
are made once, and a piece costs one small encoding. What has been said is collected, because the
end of each item, and of the stream, repeats it whole.
"""

from collections.abc import Mapping
from typing import assert_never

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.ir.events import Event, Fail, Finish, PartDelta, PartEnd, PartStart, Ping, Start, grow
from modelmux.ir.parts import Blob, Part, Reasoning, Refusal, Text, ToolCall
from modelmux.ir.request import Envelope
from modelmux.ir.response import NO_USAGE
from modelmux.wire import extra
from modelmux.wire.framing import sse
from modelmux.wire.openai_responses import (
    citations,
    content,
    envelopes,
    item_encode,
    items,
    notes,
    reasoning,
    response,
    stream_errors,
    usage,
)
from modelmux.wire.openai_responses.item_encode import Ids, Json, Space
from modelmux.wire.openai_responses.schema import NAME

PING = b": ping\n\n"
"""A comment: the API has no event that says nothing."""

_NO_SPACES: Mapping[str, Space] = {}


class Encoder:
    """One stream's events in, its bytes out."""

    def __init__(self, envelope: Envelope) -> None:
        """Answer a caller who asked with `envelope`."""
        self._envelope = envelope
        self._sequence = 0
        self._head: Json = {}
        self._ids = Ids("")
        self._spaces = _NO_SPACES
        self._items: list[object] = []  # those that are done, whole
        self._message: Json | None = None  # the message that is open
        self._said: list[Json] = []  # its texts that are done
        self._part: Part | None = None  # the open part, as it began
        self._deltas: list[PartDelta] = []
        self._prefix = b""  # of a delta of the open part; empty: it has none
        self._item: Json = {}  # the open item, unless it is a message
        self._length = 0  # characters of text so far
        self._cited = 0  # sources of the open text so far
        self._summarised = False  # the open reasoning has a summary

    def encode(self, event: Event) -> bytes:
        """The bytes for `event`, in whole frames."""
        match event:
            case PartDelta(text=text):
                self._deltas.append(event)
                if event.citation is not None:
                    return self._cite(event)
                if not text or not self._prefix:
                    return b"" if not text else self._first(text)
                return self._piece(text)
            case PartStart(part=part):
                return self._begin(part)
            case PartEnd():
                return self._end()
            case Start():
                return self._open(event)
            case Ping():
                return PING
            case Finish():
                return self._finish(event)
            case Fail(failure=failure):
                return stream_errors.event(failure, self._head, self._items, self._next())
            case _:
                assert_never(event)

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence - 1

    def _event(self, type_: str, **fields: object) -> bytes:
        data = msgspec.json.encode({"type": type_, **fields, "sequence_number": self._next()})
        if b"\n" in data or b"\r" in data:  # raw JSON keeps the line ends it came with
            data = msgspec.json.format(data, indent=-1)
        return sse.encode(data, type_)

    def _piece(self, text: str) -> bytes:
        self._sequence += 1
        return b'%b%b,"sequence_number":%d}\n\n' % (
            self._prefix,
            msgspec.json.encode(text),
            self._sequence - 1,
        )

    def _open(self, event: Start) -> bytes:
        envelope = self._envelope
        answer_id = response.answer_name(event.id, envelope)
        model = envelope.model or event.model
        self._ids = Ids(answer_id)
        echo = envelopes.echo(envelope)
        self._spaces = item_encode.spaces(echo.get("tools"))
        self._head = response.head(answer_id, event.created_at_s, model, echo, event.extra)
        begun = {**self._head, "status": "in_progress", "output": (), "usage": None}
        created = self._event("response.created", response=begun)
        return created + self._event("response.in_progress", response=begun)

    def _begin(self, part: Part) -> bytes:
        self._part, self._deltas, self._prefix = part, [], b""
        if isinstance(part, Text | Refusal):
            return self._begin_text(part)
        match part:
            case ToolCall():
                return self._close_message() + self._begin_call(part)
            case Reasoning():
                return self._close_message() + self._begin_reasoning(part)
            case Blob(modality="image"):
                out = self._close_message()
                self._item = item_encode.drawn(part, self._ids)
                return out + self._added({**self._item, "result": None, "status": "in_progress"})
            case _:
                own = items.own_item(part)
                return b"" if own is None else self._close_message() + self._added(own)

    def _begin_reasoning(self, part: Reasoning) -> bytes:
        self._summarised = False
        self._item = reasoning.encode(_bare(part), self._ids.new("rs"))
        self._item.pop("encrypted_content", None)
        out = self._added({**self._item, "summary": ()})
        return out + (self._first(part.text) if part.text else b"")

    def _added(self, item: object) -> bytes:
        index = len(self._items)
        return self._event("response.output_item.added", output_index=index, item=item)

    def _begin_text(self, part: Text | Refusal) -> bytes:
        out = b""
        if notes.has(part.extra, notes.ITEM):
            out = self._close_message()
        if self._message is None:
            self._message = item_encode.message(part, [], self._ids)
            begun = {**self._message, "status": "in_progress", "content": ()}
            out += self._added(begun)
        if notes.has(part.extra, "empty"):
            return out
        self._cited = 0
        kind = "refusal" if isinstance(part, Refusal) else "output_text"
        fields: Json = {"type": kind}
        fields |= {"refusal": ""} if kind == "refusal" else {"text": "", "annotations": ()}
        out += self._event("response.content_part.added", **self._place(), part=fields)
        field: Json = {} if kind == "refusal" else {"logprobs": ()}
        self._frame(f"response.{kind}.delta", **self._place(), **field)
        if part.text:
            out += self._piece(part.text)
        if isinstance(part, Text):
            out += b"".join([self._cite(PartDelta(0, citation=c)) for c in part.citations])
        return out

    def _place(self) -> Json:
        message = self._message or {}
        return {
            "item_id": message.get("id", ""),
            "output_index": len(self._items),
            "content_index": len(self._said),
        }

    def _frame(self, type_: str, **fields: object) -> None:
        """Make what stands before each piece of the open part."""
        data = msgspec.json.encode({"type": type_, **fields})
        self._prefix = b'event: %b\ndata: %b,"delta":' % (type_.encode(), data[:-1])

    def _begin_call(self, part: ToolCall) -> bytes:
        self._item = item_encode.call_head(part, self._ids, self._spaces)
        field = "input" if part.custom else "arguments"
        begun: Json = {**self._item, field: ""}
        if not part.custom:
            begun["status"] = "in_progress"
        out = self._added(begun)
        kind = "custom_tool_call_input" if part.custom else "function_call_arguments"
        self._frame(f"response.{kind}.delta", **self._item_place())
        return out + (self._piece(part.arguments) if part.arguments else b"")

    def _item_place(self) -> Json:
        return {"item_id": self._item.get("id", ""), "output_index": len(self._items)}

    def _first(self, text: str) -> bytes:
        """The first text of a reasoning, by which its summary begins."""
        if not isinstance(self._part, Reasoning):
            return b""
        self._summarised = True
        place: Json = {**self._item_place(), "summary_index": 0}
        part = {"type": "summary_text", "text": ""}
        out = self._event("response.reasoning_summary_part.added", **place, part=part)
        self._frame("response.reasoning_summary_text.delta", **place)
        return out + self._piece(text)

    def _cite(self, event: PartDelta) -> bytes:
        said = self._piece(event.text) if event.text and self._prefix else b""
        if event.citation is None or not isinstance(self._part, Text):
            return said
        whole = grow(self._part, self._deltas)
        end = self._length + (len(whole.text) if isinstance(whole, Text) else 0)
        found = citations.encode(event.citation, self._length, end)
        if found is None:
            return said
        self._cited += 1
        return said + self._event(
            "response.output_text.annotation.added",
            **self._place(),
            annotation_index=self._cited - 1,
            annotation=found,
        )

    def _end(self) -> bytes:
        part = self._part
        if part is None:
            return b""
        part, self._part = grow(part, self._deltas), None
        match part:
            case Text() | Refusal():
                return self._end_text(part)
            case ToolCall():
                return self._end_call(part)
            case Reasoning():
                return self._end_reasoning(part)
            case Blob(modality="image"):
                return self._done({**self._item, "result": part.content})
            case _:
                own = items.own_item(part)
                return b"" if own is None else self._done(own)

    def _end_text(self, part: Text | Refusal) -> bytes:
        if notes.has(part.extra, "empty"):
            return b""
        mine = response.is_mine(part.extra)
        said = content.encode_output(part, self._length, mine=mine)
        place = self._place()
        self._said.append(said)
        if isinstance(part, Text):
            self._length += len(part.text)
            out = self._event("response.output_text.done", **place, text=part.text, logprobs=())
        else:
            out = self._event("response.refusal.done", **place, refusal=part.text)
        return out + self._event("response.content_part.done", **place, part=said)

    def _close_message(self) -> bytes:
        if self._message is None:
            return b""
        message, self._message = self._message, None
        message["content"], self._said = self._said, []
        return self._done(message)

    def _end_call(self, part: ToolCall) -> bytes:
        field = "input" if part.custom else "arguments"
        text = part.arguments or ("" if part.custom else item_encode.NO_ARGUMENTS)
        out = b"" if part.arguments or part.custom else self._piece(text)
        kind = "custom_tool_call_input" if part.custom else "function_call_arguments"
        out += self._event(f"response.{kind}.done", **self._item_place(), **{field: text})
        return out + self._done(extra.merge({**self._item, field: text}, part.extra, NAME))

    def _end_reasoning(self, part: Reasoning) -> bytes:
        out = b""
        if self._summarised:
            place: Json = {**self._item_place(), "summary_index": 0}
            said = {"type": "summary_text", "text": part.text}
            out = self._event("response.reasoning_summary_text.done", **place, text=part.text)
            out += self._event("response.reasoning_summary_part.done", **place, part=said)
        whole = reasoning.encode(part, str(self._item.get("id", "")))
        return out + self._done({**whole, "id": self._item.get("id", whole.get("id"))})

    def _done(self, item: object) -> bytes:
        out = self._event("response.output_item.done", output_index=len(self._items), item=item)
        self._items.append(Raw(msgspec.json.encode(item)))
        return out

    def _finish(self, event: Finish) -> bytes:
        out = self._close_message()
        status, incomplete = usage.ending(event.reason)
        whole: Json = {**self._head, "status": status, "output": self._items}
        if incomplete is not None:
            whole["incomplete_details"] = {"reason": incomplete}
        whole["usage"] = usage.encode(event.usage) if event.usage != NO_USAGE else None
        whole |= response.rest(event.extra)
        return out + self._event(f"response.{status}", response=whole)


def _bare(part: Reasoning) -> Reasoning:
    """Reasoning as it begins: what it says is told by its deltas, or at its end."""
    kept = part.extra
    note = notes.read(kept, notes.ITEM)
    if note is not None and kept is not None:
        note = {n: raw for n, raw in note.items() if n not in {"summary", "content"}}
        kept = notes.with_note(kept, notes.ITEM, note)
    return replace(part, text="", signature=part.signature, extra=kept)
