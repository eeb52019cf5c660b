"""What a store of answers is. No I/O here."""

from typing import Protocol

from msgspec import Struct

MAX_TURNS = 1000
"""Longest conversation that is put together of kept answers: a longer one fits no model."""

MAX_KEPT_BYTES = 64 * 1024 * 1024
"""Largest turn that is kept: two of the largest requests that are taken by default."""


class Turn(Struct, frozen=True):
    """One answer, and what it answers."""

    id: str
    """The answer's id, by which callers name it."""
    caller: str
    """Name of the key it was given to, `""` without keys: nobody else gets it."""
    created_at_s: int
    """Unix time."""
    previous_id: str = ""
    """The turn that it goes on with; empty: none."""
    target: str = ""
    """Who answered, where the provider keeps the turn itself; empty: the gateway keeps it."""
    items: bytes = b"[]"
    """What was said in this turn, as the list of items that it came as."""
    answer: bytes = b""
    """The answer as the caller got it."""

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return len(self.items) + len(self.answer) + 256


class TurnStore(Protocol):
    """Keeps answers for the callers who got them, for a time. For one event loop."""

    @property
    def dropped(self) -> int:
        """How many turns could not be kept."""
        ...

    def keep(self, turn: Turn) -> None:
        """Keep a turn. Returns at once; what is asked for later is as if it had waited."""
        ...

    async def get(self, caller: str, id_: str) -> Turn | None:
        """A turn that `caller` got; `None` where there is none, or not any more."""
        ...

    async def conversation(self, caller: str, id_: str) -> list[Turn] | None:
        """That turn and all before it, the oldest first; `None` where one of them is gone."""
        ...

    async def forget(self, caller: str, id_: str) -> bool:
        """Delete a turn; whether there was one."""
        ...

    async def aclose(self) -> None:
        """Finish writing, and close."""
        ...
