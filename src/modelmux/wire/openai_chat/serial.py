"""Parts of a streamed answer, one after the other.

The API's chunks may say more of any part at any time: two tool calls can grow in turn, and text
can come between. In the neutral stream a part is closed before the next one opens. So what
belongs to a part that cannot be open yet waits in a queue.

The part at the head of the queue is open. Text may be closed as soon as something else comes,
because more text would simply be another part. A tool call may not, for its arguments must come
whole: it is closed when they are complete JSON, which cannot grow, or at the end of the stream.
So the calls of a target that sends one after the other, which is all of them in practice, are
passed on as they come.
"""

from collections import deque
from typing import Literal

from msgspec.structs import replace

from modelmux.errors import ProtocolViolation
from modelmux.ir.events import Event, PartDelta, PartEnd, PartStart
from modelmux.ir.parts import Citation, Part, Reasoning, Refusal, Text, ToolCall
from modelmux.wire import extra
from modelmux.wire.openai.values import objects
from modelmux.wire.openai_chat import audio, reasoning
from modelmux.wire.openai_chat.schema import NAME

MAX_HELD = 16 * 1024 * 1024
"""Most characters that wait for their part to open: two large files written by tool calls."""

_OVERHEAD = 64
"""What a piece that waits is counted for beside its characters."""

MAX_CHECKS = 64
"""How often unfinished arguments are tried as JSON, so that a target cannot make that costly."""

Said = Literal["text", "refusal", "reasoning", "short reasoning", "transcript"]

_HEADS: dict[Said, Part] = {
    "text": Text(),
    "refusal": Refusal(),
    "reasoning": Reasoning(origin=NAME),
    "short reasoning": Reasoning(origin=NAME, extra=reasoning.SAID_SHORT),
    "transcript": Text(extra=audio.SPOKEN),
}


class Slot:
    """One part of the answer, from its first piece on.

    A tool call's name may come after its id, and its arguments come in pieces.
    """

    def __init__(self, head: Part) -> None:
        self.head = head
        self.is_open = self.is_closed = False
        self.held: list[PartDelta] = []
        """Pieces that came before the part was open; their index is not set yet."""
        self._arguments: list[str] = []
        self._size = self._checks = 0
        self._grown = True

    @property
    def call_id(self) -> str:
        return self.head.id if isinstance(self.head, ToolCall) else ""

    @property
    def ready(self) -> bool:
        """Whether the part can be opened."""
        return not isinstance(self.head, ToolCall) or bool(self.head.name)

    @property
    def closable(self) -> bool:
        """Whether nothing more can belong to the part."""
        if not isinstance(self.head, ToolCall):
            return True
        if self.head.custom or not self._grown or self._checks >= MAX_CHECKS:
            return False
        self._grown = False
        self._checks += 1
        try:
            objects.decode("".join(self._arguments))
        except extra.MALFORMED:
            return False
        return True

    def identify(self, call_id: str, name: str, custom: bool) -> None:
        """Note what is told of a call; what is known already is only being repeated."""
        call = self.head
        if not self.is_open and isinstance(call, ToolCall):
            self.head = replace(
                call, id=call.id or call_id, name=call.name or name, custom=call.custom or custom
            )

    def grow(self, text: str) -> None:
        """Note more of a call's arguments."""
        self._arguments.append(text)
        self._grown = True
        self._size += len(text)
        if self._size > MAX_HELD:  # too long to be tried as JSON: it ends with the stream
            self._arguments, self._checks = [], MAX_CHECKS


class Serial:
    """Pieces in any order in, events in the order of the grammar out. One for each stream."""

    def __init__(self) -> None:
        self._queue: deque[Slot] = deque()
        self._index = -1  # of the last part that was opened
        self._last: Said | None = None  # what the last slot of the queue says, if it is text
        self._held = 0

    def say(self, what: Said, text: str, out: list[Event]) -> None:
        """More of what is being said, or the beginning of it."""
        if self._last != what:
            self._append(Slot(_HEADS[what]), out)
            self._last = what
        slot = self._queue[-1]
        if slot.is_open:
            out.append(PartDelta(self._index, text))
        else:
            self._hold(slot, PartDelta(0, text))
            self.advance(out)

    def cite(self, citation: Citation, out: list[Event]) -> None:
        """A source of the text."""
        if self._last != "text":
            self._append(Slot(_HEADS["text"]), out)
            self._last = "text"
        self._push(self._queue[-1], PartDelta(0, citation=citation), out)

    def sign(self, part: Reasoning, out: list[Event]) -> None:
        """Reasoning whose text has come before, and what proves it; or what is one by itself."""
        if part.signature is not None and self._last == "reasoning":
            self._push(self._queue[-1], PartDelta(0, signature=part.signature), out)
            self._last = None
        else:
            self.add(part, out)

    def add(self, part: Part, out: list[Event]) -> None:
        """A part that comes whole."""
        self._append(Slot(part), out)

    def begin(self, out: list[Event]) -> Slot:
        """A new tool call; it opens when its name is known and its turn has come."""
        slot = Slot(ToolCall("", ""))
        self._append(slot, out)
        return slot

    def extend(self, slot: Slot, text: str, out: list[Event]) -> None:
        """More of a call's arguments.

        Raises:
            ProtocolViolation: They were complete, so that the call has been passed on.
        """
        if slot.is_closed:
            if text.strip():
                raise ProtocolViolation("a tool call went on after its arguments were complete")
            return
        slot.grow(text)
        if slot.is_open:
            out.append(PartDelta(self._index, text))
        else:
            self._push(slot, PartDelta(0, text), out)

    def advance(self, out: list[Event], *, end: bool = False) -> None:
        """Open what can be open. `end`: nothing more will come, so close everything."""
        while self._queue:
            head = self._queue[0]
            if not head.is_open:
                if not (head.ready or end):
                    return
                self._open(head, out)
            if not end and (len(self._queue) == 1 or not head.closable):
                return
            out.append(PartEnd(self._index))
            head.is_open, head.is_closed = False, True
            self._queue.popleft()
        self._last = None

    def _append(self, slot: Slot, out: list[Event]) -> None:
        self._queue.append(slot)
        self._last = None
        self.advance(out)

    def _open(self, slot: Slot, out: list[Event]) -> None:
        self._index += 1
        slot.is_open = True
        out.append(PartStart(self._index, slot.head))
        for delta in slot.held:
            out.append(replace(delta, index=self._index))
            self._held -= len(delta.text) + _OVERHEAD
        slot.held = []

    def _push(self, slot: Slot, delta: PartDelta, out: list[Event]) -> None:
        if slot.is_open:
            out.append(replace(delta, index=self._index))
            return
        self._hold(slot, delta)
        self.advance(out)

    def _hold(self, slot: Slot, delta: PartDelta) -> None:
        slot.held.append(delta)
        self._held += len(delta.text) + _OVERHEAD
        if self._held > MAX_HELD:
            raise ProtocolViolation(f"more than {MAX_HELD} characters of interleaved parts")
