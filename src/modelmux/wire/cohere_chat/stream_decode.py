"""Streams of the API to events.

Each piece of content and each call of a tool is announced and ended; the plan before calls is not.
Citations come while the text that they are of is open or after it has ended: so the end of a text
is told only when something else begins.
"""

from collections.abc import Callable, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from modelmux.errors import ProtocolViolation
from modelmux.ir.events import Event, Fail, Finish, PartDelta, PartEnd, PartStart, Start
from modelmux.ir.parts import Extra, Generic, Part, Reasoning, Text, ToolCall
from modelmux.ir.response import Failure
from modelmux.wire import extra
from modelmux.wire.cohere_chat import content, counts, errors, schema
from modelmux.wire.cohere_chat.response import FINISH_REASON
from modelmux.wire.cohere_chat.schema import NAME
from modelmux.wire.framing import sse

INTERRUPTED: Final = Failure(
    "unavailable", "the stream ended before it was finished", "interrupted", status=502
)
DONE: Final = b"[DONE]"

_event = msgspec.json.Decoder(schema.Event)
_content = msgspec.json.Decoder(schema.DeltaContent)
_call = msgspec.json.Decoder(schema.ToolCall)
_error = msgspec.json.Decoder(schema.Error)


class _Open(Struct):
    """The part that is open."""

    key: tuple[str, int]
    number: int
    part: Part
    size: int = 0
    ended: bool = False
    """Its end has come, and is told when something else begins."""


class Decoder:
    """A `StreamDecoder`."""

    def __init__(self) -> None:
        self._frames = sse.Decoder()
        self._started = False
        self._ended = False
        self._open: _Open | None = None
        self._parts = 0
        self._text_size = 0
        self._steps: Mapping[str, Callable[[schema.Event, list[Event]], None]] = {
            "message-start": self._on_start,
            "content-start": self._on_content_start,
            "content-delta": self._on_content_delta,
            "content-end": self._on_end,
            "tool-plan-delta": self._on_plan,
            "tool-call-start": self._on_call_start,
            "tool-call-delta": self._on_call_delta,
            "tool-call-end": self._on_end,
            "citation-start": self._on_citation,
            "message-end": self._on_message_end,
        }

    def feed(self, data: bytes) -> list[Event]:
        if self._ended:
            return []
        out: list[Event] = []
        try:
            self._take(self._frames.feed(data), out)
        except ProtocolViolation as exc:
            self._fail(_violation(exc), out)
        return out

    def finish(self) -> list[Event]:
        if self._ended:
            return []
        out: list[Event] = []
        try:
            self._take(self._frames.finish(), out)
        except ProtocolViolation as exc:
            self._fail(_violation(exc), out)
        if not self._ended:
            self._fail(INTERRUPTED, out)
        return out

    def _take(self, frames: list[sse.SSE], out: list[Event]) -> None:
        for frame in frames:
            if self._ended or frame.event == sse.COMMENT or frame.data == DONE:
                continue
            try:
                self._frame(frame.data, out)
            except ProtocolViolation as exc:
                self._fail(_violation(exc), out)
            except extra.MALFORMED as exc:
                self._fail(_violation(extra.invalid(exc, "", ProtocolViolation)), out)

    def _frame(self, data: bytes, out: list[Event]) -> None:
        try:
            event = _event.decode(data)
        except msgspec.ValidationError:
            if _error.decode(data).message is None:
                raise
            self._fail(errors.decode(200, data), out)
            return
        step = self._steps.get(event.type)
        if step is not None:  # `citation-end`, `debug`, and what may come later say nothing
            step(event, out)

    def _fail(self, failure: Failure, out: list[Event]) -> None:
        self._ended = True
        out.append(Fail(failure))

    def _begin(self, out: list[Event], id_: str = "") -> None:
        if not self._started:
            self._started = True
            out.append(Start(id_, ""))

    def _on_start(self, event: schema.Event, out: list[Event]) -> None:
        self._begin(out, event.id or "")

    def _on_content_start(self, event: schema.Event, out: list[Event]) -> None:
        found = _content.decode(_of(event).content)
        part: Part
        if found.type == "thinking":
            part = Reasoning(origin=NAME)
        elif found.type in {None, "text"}:
            part = Text()
        else:
            part = Generic(found.type or "", NAME, _of(event).content)
        opened = self._begin_part(("content", event.index or 0), part, out)
        self._add(opened, found.text or found.thinking or "", out)

    def _on_content_delta(self, event: schema.Event, out: list[Event]) -> None:
        found = _content.decode(_of(event).content)
        opened = self._opened(("content", event.index or 0))
        self._add(opened, found.text or found.thinking or "", out)

    def _on_plan(self, event: schema.Event, out: list[Event]) -> None:
        key = ("plan", 0)
        opened = self._open
        if opened is None or opened.key != key:
            opened = self._begin_part(key, content.plan(""), out)
        self._add(opened, _of(event).tool_plan or "", out)

    def _on_call_start(self, event: schema.Event, out: list[Event]) -> None:
        found = _call.decode(_of(event).tool_calls)
        function = found.function or schema.ToolCallFunction()
        part = ToolCall(found.id or "", function.name or "")
        opened = self._begin_part(("call", event.index or 0), part, out)
        self._add(opened, function.arguments or "", out)

    def _on_call_delta(self, event: schema.Event, out: list[Event]) -> None:
        function = _call.decode(_of(event).tool_calls).function or schema.ToolCallFunction()
        opened = self._opened(("call", event.index or 0))
        self._add(opened, function.arguments or "", out)

    def _on_end(self, event: schema.Event, out: list[Event]) -> None:
        opened = self._open
        if opened is not None:
            opened.ended = True

    def _on_citation(self, event: schema.Event, out: list[Event]) -> None:
        raw = _of(event).citations
        opened = self._open
        if opened is None or not isinstance(opened.part, Text) or not content.is_textual(raw):
            return
        start = self._text_size - opened.size
        out.append(PartDelta(opened.number, citation=content.citation(raw, start)))

    def _on_message_end(self, event: schema.Event, out: list[Event]) -> None:
        self._begin(out)
        delta = event.delta or schema.Delta()
        said = delta.finish_reason or ""
        if delta.error is not None or said in {"ERROR", "TIMEOUT"}:
            self._fail(errors.in_stream(delta.error), out)
            return
        usage = counts.decode(delta.usage)
        self._end_part(out)
        spelling = counts.spelling(said) if said else None
        kept = Extra(NAME, {FINISH_REASON: spelling}) if spelling is not None else None
        self._ended = True
        out.append(Finish(counts.reason(said), usage, extra=kept))

    def _add(self, opened: _Open, text: str, out: list[Event]) -> None:
        if not text:
            return
        opened.size += len(text)
        if isinstance(opened.part, Text):
            self._text_size += len(text)
        out.append(PartDelta(opened.number, text))

    def _begin_part(self, key: tuple[str, int], part: Part, out: list[Event]) -> _Open:
        self._begin(out)
        self._end_part(out)
        opened = self._open = _Open(key, self._parts, part)
        self._parts += 1
        out.append(PartStart(opened.number, part))
        return opened

    def _end_part(self, out: list[Event]) -> None:
        opened, self._open = self._open, None
        if opened is None:
            return
        if isinstance(opened.part, ToolCall) and not opened.size:
            out.append(PartDelta(opened.number, "{}"))  # a tool that takes nothing
        out.append(PartEnd(opened.number))

    def _opened(self, key: tuple[str, int]) -> _Open:
        opened = self._open
        if opened is None or opened.key != key or opened.ended:
            raise ProtocolViolation(f"more of {key[0]} {key[1]} comes, which is not open")
        return opened


def _of(event: schema.Event) -> schema.DeltaMessage:
    message = event.delta.message if event.delta is not None else None
    if message is None:
        raise ProtocolViolation(f"{event.type}: expected a message in its delta, got none")
    return message


def _violation(exc: Exception) -> Failure:
    return Failure("unavailable", str(exc), "protocol_violation", status=502)
