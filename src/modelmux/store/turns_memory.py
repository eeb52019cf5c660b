"""Answers in memory: they end with the process."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from modelmux.store.turn import MAX_KEPT_BYTES, MAX_TURNS, Turn

MAX_BYTES: Final = 64 * 1024 * 1024
"""Most that is kept: some thousand long turns. The oldest go first."""


class MemoryTurns:
    """A `TurnStore` without a file."""

    def __init__(self, keep_s: float, now: Callable[[], float], max_bytes: int = MAX_BYTES) -> None:
        """Make an empty store.

        Args:
            keep_s: For how long a turn is kept.
            now: Unix time.
            max_bytes: Most that is kept.
        """
        self._keep_s = keep_s
        self._now = now
        self._max_bytes = max_bytes
        self._bytes = 0
        self._turns: OrderedDict[tuple[str, str], Turn] = OrderedDict()
        self.dropped = 0
        """How many turns could not be kept."""

    def keep(self, turn: Turn) -> None:
        """Keep a turn, and forget the oldest for it."""
        if turn.size > min(self._max_bytes, MAX_KEPT_BYTES):
            self.dropped += 1
            return
        self._remove(turn.caller, turn.id)
        self._turns[turn.caller, turn.id] = turn
        self._bytes += turn.size
        while self._bytes > self._max_bytes or self._is_old(next(iter(self._turns.values()))):
            caller, id_ = next(iter(self._turns))
            self._remove(caller, id_)
            if not self._turns:
                return

    async def get(self, caller: str, id_: str) -> Turn | None:
        """A turn that `caller` got."""
        turn = self._turns.get((caller, id_))
        return None if turn is None or self._is_old(turn) else turn

    async def conversation(self, caller: str, id_: str) -> list[Turn] | None:
        """That turn and all before it, the oldest first."""
        found: list[Turn] = []
        while id_ and len(found) < MAX_TURNS:
            turn = await self.get(caller, id_)
            if turn is None:
                return None
            found.append(turn)
            id_ = turn.previous_id
        return None if id_ else found[::-1]

    async def forget(self, caller: str, id_: str) -> bool:
        """Delete a turn; whether there was one."""
        return self._remove(caller, id_)

    async def aclose(self) -> None:
        """Forget everything."""
        self._turns.clear()
        self._bytes = 0

    def _is_old(self, turn: Turn) -> bool:
        return turn.created_at_s + self._keep_s < self._now()

    def _remove(self, caller: str, id_: str) -> bool:
        turn = self._turns.pop((caller, id_), None)
        if turn is None:
            return False
        self._bytes -= turn.size
        return True
