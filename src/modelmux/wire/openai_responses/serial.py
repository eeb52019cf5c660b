"""Parts of a streamed answer, one after the other.

Each item of the API's stream, and each text of a message, is a slot. Slots open in the order in
which they were announced; the first is open, and what belongs to others waits until it is done.
In practice items come one after the other, and everything is passed on as it comes.
"""

from collections import deque

from msgspec.structs import replace

from modelmux.errors import ProtocolViolation
from modelmux.ir.events import Event, PartDelta, PartEnd, PartStart
from modelmux.ir.parts import Part

MAX_HELD = 16 * 1024 * 1024
"""Most characters that wait for their part to open: two large files written by tool calls."""

_OVERHEAD = 64
"""What a piece that waits is counted for beside its characters."""


class Slot:
    """One part of the answer, from its announcement on."""

    def __init__(self, head: Part | None) -> None:
        """Announce a part; without `head`, one that will come whole, or not at all."""
        self.head = head
        self.is_open = self.is_done = False
        self.size = 0  # characters so far
        self.held: list[PartDelta] = []
        """Pieces that came before the part was open; their index is not set yet."""


class Serial:
    """Pieces in any order in, events in the order of the grammar out. One for each stream."""

    def __init__(self) -> None:
        self._queue: deque[Slot] = deque()
        self.index = -1
        """Of the last part that was opened."""
        self._held = 0

    def add(self, head: Part | None, out: list[Event]) -> Slot:
        """Announce a part."""
        slot = Slot(head)
        self._queue.append(slot)
        self.advance(out)
        return slot

    def say(self, slot: Slot, delta: PartDelta, out: list[Event]) -> None:
        """More of a part; of one that is done, nothing is taken."""
        if slot.is_done:
            return
        slot.size += len(delta.text)
        if slot.is_open:
            out.append(replace(delta, index=self.index))
            return
        slot.held.append(delta)
        self._held += len(delta.text) + len(delta.signature) + _OVERHEAD
        if self._held > MAX_HELD:
            raise ProtocolViolation(f"more than {MAX_HELD} characters of interleaved parts")

    def text(self, slot: Slot, text: str, out: list[Event]) -> None:
        """More of the text of a part: the quick form of `say`."""
        if slot.is_open and not slot.is_done:
            slot.size += len(text)
            out.append(PartDelta(self.index, text))
        else:
            self.say(slot, PartDelta(0, text), out)

    def done(self, slot: Slot, out: list[Event], whole: Part | None = None) -> None:
        """Nothing more belongs to a part. `whole`: it comes only now."""
        if slot.head is None:
            slot.head = whole
        slot.is_done = True
        self.advance(out)

    def finish(self, out: list[Event]) -> None:
        """The answer is complete, whatever was not said to be."""
        for slot in self._queue:
            slot.is_done = True
        self.advance(out)

    def advance(self, out: list[Event]) -> None:
        """Open what can be open, and close what is done."""
        while self._queue:
            slot = self._queue[0]
            if slot.head is not None and not slot.is_open:
                self._open(slot, slot.head, out)
            if not slot.is_done:
                return
            if slot.is_open:
                out.append(PartEnd(self.index))
                slot.is_open = False
            self._queue.popleft()

    def _open(self, slot: Slot, head: Part, out: list[Event]) -> None:
        self.index += 1
        slot.is_open = True
        out.append(PartStart(self.index, head))
        for delta in slot.held:
            out.append(replace(delta, index=self.index))
            self._held -= len(delta.text) + len(delta.signature) + _OVERHEAD
        slot.held = []
