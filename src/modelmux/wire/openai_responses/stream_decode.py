"""Streams of the API into events.

Theory of operation: every event says its type in its data. An item is announced
(`output_item.added`), grows by deltas, and is done (`output_item.done`), which repeats it whole;
a message's texts are announced and done by themselves (`content_part.*`). Each becomes a slot of
`Serial`. What is only known at the end, as the encrypted content of reasoning, or what was never
streamed, is taken from the whole item. The last event has the whole answer, of which usage and
fields without a neutral word are taken. A stream that closes before it was cut, and fails.
"""

from collections.abc import Callable, Mapping

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import GatewayError, ProtocolViolation
from modelmux.ir.events import Event, Fail, Finish, PartDelta, Ping, Start
from modelmux.ir.parts import Part, Reasoning, Refusal, Text, ToolCall
from modelmux.ir.response import NO_USAGE, Failure
from modelmux.wire import extra
from modelmux.wire.framing import sse
from modelmux.wire.openai import errors
from modelmux.wire.openai.values import objects, present
from modelmux.wire.openai_responses import (
    citations,
    items,
    notes,
    reasoning,
    response,
    schema,
    usage,
)
from modelmux.wire.openai_responses.serial import Serial, Slot

INTERRUPTED = Failure(
    "unavailable", "the answer broke off before it was finished", "interrupted", status=502
)

ENDINGS = frozenset({"response.completed", "response.incomplete"})

MAX_ITEMS = 10_000
"""Most items of one answer: many times what any has."""

_DONE = b"[DONE]"


_DELTA = b"event: response.output_text.delta\ndata: "
_BETWEEN = b"\n\n" + _DELTA


class _Open:
    """An item that has been announced."""

    def __init__(self, kind: str, slot: Slot | None) -> None:
        self.kind = kind
        self.slot = slot  # of an item that is one part
        self.texts: dict[int, Slot] = {}  # of a message's texts, by their place
        self.note: notes.Note | None = None  # of a message, until its first text
        self.told = ""  # which of its two texts reasoning tells: the first that comes
        self.summaries = 0  # parts of the summary so far
        self.arguments: list[str] = []


class Decoder:
    """One stream's bytes in, its events out. Never raises."""

    def __init__(self) -> None:
        self._frames = sse.Decoder()
        self._serial = Serial()
        self._open: dict[int, _Open] = {}  # by output_index
        self._current: tuple[int, int] = (-1, -1)
        self._slot: Slot | None = None  # of the text that is growing, which most deltas are for
        self._asks = False  # the caller is asked to do something
        self._started = self._ended = False

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes."""
        out: list[Event] = []
        if self._ended:
            return out
        try:
            if self._slot is not None and self._frames.between and (deltas := _plain(data)):
                for raw in deltas:
                    self._delta(raw, out)
            else:
                for frame in self._frames.feed(data):
                    self._frame(frame, out)
        except GatewayError as exc:
            self._fail(_violation(exc.message), out)
        except extra.MALFORMED as exc:
            self._fail(_violation(f"an event of the stream cannot be read: {exc}"), out)
        return out

    def finish(self) -> list[Event]:
        """The events that the end of the stream completes, of which the last is terminal."""
        out: list[Event] = []
        if self._ended:
            return out
        try:
            for frame in self._frames.finish():
                self._frame(frame, out)
        except (GatewayError, *extra.MALFORMED):
            pass  # what came of a last frame before the stream broke off
        if not self._ended:
            self._fail(INTERRUPTED, out)
        return out

    def _frame(self, frame: sse.SSE, out: list[Event]) -> None:
        if self._ended:
            return
        if frame.event == sse.COMMENT:
            out.append(Ping())
            return
        if frame.data.strip() == _DONE:
            self._fail(INTERRUPTED, out)
            return
        event = schema.event.decode(frame.data)
        if not event.type:
            event.type = frame.event
        self._event(event, frame.data, out)

    def _delta(self, raw: bytes, out: list[Event]) -> None:
        """A piece of text, as most events are."""
        try:
            delta = schema.text_delta.decode(raw)
        except extra.MALFORMED:
            self._frame(sse.SSE("", raw), out)
            return
        slot = self._slot
        if (
            slot is not None
            and slot.is_open
            and self._current == (delta.output_index, delta.content_index)
        ):
            slot.size += len(delta.delta)
            out.append(PartDelta(self._serial.index, delta.delta))
        elif not self._ended:
            self._text(delta.output_index, delta.content_index, delta.delta, out)

    def _event(self, event: schema.Event, raw: bytes, out: list[Event]) -> None:
        kind = event.type
        if kind == "error" or (present(event.error) and not kind.startswith("response.")):
            self._fail(_error(event, raw), out)
        elif kind == "response.failed":
            self._fail(_failed(event.response), out)
        elif kind in ENDINGS:
            self._end(event.response, out)
        elif kind == "response.created":
            self._start(event.response, out)
        elif not self._started:
            if kind.startswith("response.output"):  # a server that does not announce the answer
                self._start(Raw(b"{}"), out)
                self._event(event, raw, out)
        elif not self._grow(event, out):
            out.append(Ping())  # the progress of what the provider runs, and what is not known

    def _grow(self, event: schema.Event, out: list[Event]) -> bool:
        """Take an event that says more of the answer; whether it is one."""
        take = _TAKERS.get(event.type)
        if take is not None:
            take(self, event, out)
        return take is not None

    def _take_text(self, event: schema.Event, out: list[Event]) -> None:
        refusal = event.type == "response.refusal.delta"
        text = event.delta or ""
        self._text(event.output_index, event.content_index, text, out, refusal=refusal)

    def _cite(self, event: schema.Event, out: list[Event]) -> None:
        slot = self._text_slot(event.output_index, event.content_index, out)
        if present(event.annotation):
            cited = PartDelta(0, citation=citations.decode(event.annotation))
            self._serial.say(slot, cited, out)

    def _start(self, raw: Raw, out: list[Event]) -> None:
        if self._started:
            return
        self._started = True
        r = schema.response.decode(raw)
        out.append(Start(r.id or "", r.model or "", int(r.created_at or 0)))

    def _announce(self, event: schema.Event, out: list[Event]) -> None:
        item = schema.item.decode(event.item)
        kind = item.type or "message"
        if len(self._open) >= MAX_ITEMS:
            raise ProtocolViolation(f"an answer of more than {MAX_ITEMS} items")
        opened = _Open(kind, None)
        self._open[event.output_index] = opened
        if kind == "message":
            opened.note = notes.read(_head(event.item).extra, notes.ITEM) or {}
            return
        head = _head(event.item) if kind in _STREAMED else None
        opened.slot = self._serial.add(head, out)

    def _announce_text(self, event: schema.Event, out: list[Event]) -> None:
        part = schema.output_part.decode(event.part)
        if part.type == "reasoning_text":
            return
        refusal = part.type == "refusal"
        slot = self._text_slot(event.output_index, event.content_index, out, refusal=refusal)
        said = part.refusal if refusal else part.text
        if said:
            self._serial.text(slot, said, out)

    def _text(
        self, item: int, place: int, text: str, out: list[Event], *, refusal: bool = False
    ) -> None:
        slot = self._slot
        if slot is None or self._current != (item, place):
            slot = self._text_slot(item, place, out, refusal=refusal)
        self._serial.text(slot, text, out)

    def _text_slot(self, item: int, place: int, out: list[Event], *, refusal: bool = False) -> Slot:
        """The slot of a message's text, which some servers do not announce."""
        opened = self._open.get(item)
        if opened is None:
            opened = self._open[item] = _Open("message", None)
        slot = opened.texts.get(place)
        if slot is None:
            if opened.note is not None or not opened.texts:
                kept = notes.keep("", {}, item=opened.note or {})
            else:
                kept = notes.keep("", {}, more={})
            opened.note = None
            head = Refusal(extra=kept) if refusal else Text(extra=kept)
            slot = opened.texts[place] = self._serial.add(head, out)
        self._current, self._slot = (item, place), slot
        return slot

    def _complete_text(self, event: schema.Event, out: list[Event]) -> None:
        part = schema.output_part.decode(event.part)
        if part.type == "reasoning_text":
            return
        refusal = part.type == "refusal"
        slot = self._text_slot(event.output_index, event.content_index, out, refusal=refusal)
        said = part.refusal if refusal else part.text
        if said and not slot.size:
            self._serial.text(slot, said, out)
        self._slot = None
        self._serial.done(slot, out)

    def _arguments(self, event: schema.Event, out: list[Event]) -> None:
        opened = self._open.get(event.output_index)
        if opened is not None and opened.slot is not None and opened.slot.head is not None:
            self._serial.text(opened.slot, event.delta or "", out)

    def _think(self, event: schema.Event, out: list[Event]) -> None:
        """More of what reasoning tells: a summary, or the thoughts themselves, but not both."""
        opened = self._open.get(event.output_index)
        if opened is None or opened.slot is None:
            return
        opened.told = opened.told or event.type
        if opened.told == event.type:
            self._serial.text(opened.slot, event.delta or "", out)

    def _paragraph(self, event: schema.Event, out: list[Event]) -> None:
        """A further part of a summary, which is a paragraph of one text elsewhere."""
        opened = self._open.get(event.output_index)
        if opened is None or opened.slot is None:
            return
        opened.summaries += 1
        if opened.summaries > 1:
            self._serial.text(opened.slot, reasoning.BETWEEN, out)

    def _complete(self, event: schema.Event, out: list[Event]) -> None:
        """An item is done: say what of it was not streamed."""
        whole = items.decode(
            event.item, f"/output/{event.output_index}", ProtocolViolation, answers=True
        )
        parts = response.item_parts(whole)
        opened = self._open.get(event.output_index)
        if opened is None:
            opened = self._open[event.output_index] = _Open("", None)
        self._slot = None
        self._asks = self._asks or any(response.asks(part) for part in parts)
        if opened.texts or opened.note is not None:
            self._complete_message(opened, parts, out)
        elif opened.slot is None:
            for part in parts:
                self._whole(self._serial.add(None, out), part, out)
        elif opened.slot.head is None:
            self._whole(opened.slot, parts[0], out)
        else:
            self._rest(opened.slot, parts[0], out)

    def _complete_message(self, opened: _Open, parts: tuple[Part, ...], out: list[Event]) -> None:
        for place, part in enumerate(parts):
            slot = opened.texts.get(place)
            if slot is None:
                self._whole(self._serial.add(None, out), part, out)
            elif not slot.is_done:
                if not slot.size and isinstance(part, Text | Refusal) and part.text:
                    self._serial.text(slot, part.text, out)
                self._serial.done(slot, out)
        for slot in opened.texts.values():
            self._serial.done(slot, out)

    def _whole(self, slot: Slot, part: Part, out: list[Event]) -> None:
        self._serial.done(slot, out, part)

    def _rest(self, slot: Slot, part: Part, out: list[Event]) -> None:
        """What of a part was not streamed."""
        match part:
            case ToolCall(arguments=text) if not slot.size and text:
                self._serial.text(slot, text, out)
            case Reasoning(text=text, signature=signature):
                if not slot.size and text:
                    self._serial.text(slot, text, out)
                if signature:
                    self._serial.say(slot, PartDelta(0, signature=signature), out)
            case _:
                pass
        self._serial.done(slot, out)

    def _end(self, raw: Raw, out: list[Event]) -> None:
        r = schema.response.decode(raw)
        self._start(raw, out)
        if not self._open:  # a server that streams nothing but the end
            for index, item in enumerate(r.output or ()):
                event = schema.Event(output_index=index, item=item)
                self._complete(event, out)
        self._serial.finish(out)
        incomplete = r.incomplete_details.reason if r.incomplete_details is not None else None
        found = usage.reason(r.status, incomplete, called=self._asks)
        counted = usage.decode(r.usage) or NO_USAGE
        out.append(Finish(found, counted, extra=response.kept(raw)))
        self._ended = True

    def _fail(self, failure: Failure, out: list[Event]) -> None:
        self._ended = True
        out.append(Fail(failure))


def _plain(data: bytes) -> list[bytes] | None:
    """What is in `data` where it is pieces of text and nothing else, as nearly always."""
    if not (data.startswith(_DELTA) and data.endswith(b"\n\n")) or data.find(b"\r") >= 0:
        return None
    deltas = data[len(_DELTA) : -2].split(_BETWEEN)
    return deltas if data.count(b"\n") == 3 * len(deltas) else None


_TAKERS: Mapping[str, Callable[[Decoder, schema.Event, list[Event]], None]] = {
    "response.output_text.delta": Decoder._take_text,
    "response.refusal.delta": Decoder._take_text,
    "response.function_call_arguments.delta": Decoder._arguments,
    "response.custom_tool_call_input.delta": Decoder._arguments,
    "response.reasoning_summary_text.delta": Decoder._think,
    "response.reasoning_text.delta": Decoder._think,
    "response.output_item.added": Decoder._announce,
    "response.output_item.done": Decoder._complete,
    "response.content_part.added": Decoder._announce_text,
    "response.content_part.done": Decoder._complete_text,
    "response.reasoning_summary_part.added": Decoder._paragraph,
    "response.output_text.annotation.added": Decoder._cite,
}
"""What takes the events that say more of the answer; all others say how far it has come."""

_STREAMED = frozenset({"reasoning", "function_call", "custom_tool_call"})
"""Items that are one part, and grow."""

_AT_THE_END = ("status", "encrypted_content", "summary", "content")
"""Fields of an item that are told when it is done."""


def _head(raw: Raw) -> Text | Reasoning | ToolCall:
    """The part that an item is announced as, without what is told later."""
    fields = {n: value for n, value in objects.decode(raw).items() if n not in _AT_THE_END}
    fields["status"] = Raw(b'"in_progress"')
    kind = schema.item.decode(raw).type
    if kind == "reasoning":
        del fields["status"]
        fields["summary"] = Raw(b"[]")
    if kind == "message":
        fields |= {"content": Raw(b"[]"), "role": Raw(b'"assistant"')}
    message = items.decode(
        Raw(msgspec.json.encode(fields)), "/output", ProtocolViolation, answers=True
    )
    part = message.parts[0]
    if isinstance(part, ToolCall):
        return replace(part, arguments="")
    if isinstance(part, Text | Reasoning):
        return part
    raise ProtocolViolation(f"an item of type {kind!r} cannot be read")


def _error(event: schema.Event, raw: bytes) -> Failure:
    if present(event.error):
        return errors.from_error(event.error)
    return errors.from_error(Raw(raw))


def _failed(raw: Raw) -> Failure:
    r = schema.response.decode(raw)
    return response.failed("", r.status or "failed", r.error, b"") or INTERRUPTED


def _violation(message: str) -> Failure:
    return Failure("unavailable", message, "protocol_violation", status=502)
