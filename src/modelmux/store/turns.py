"""The store that a configuration names, opened when it is first needed."""

import time
from collections.abc import Callable
from pathlib import Path

from modelmux.store.turn import Turn, TurnStore
from modelmux.store.turns_memory import MemoryTurns

MEMORY = "memory"
SQLITE = "sqlite"


class Turns:
    """A `TurnStore` by its URL.

    Most processes keep nothing, and to load SQLite costs each of them some milliseconds at start.
    """

    def __init__(
        self, url: str, default: Path, keep_s: float, now: Callable[[], float] = time.time
    ) -> None:
        """Name the store; nothing is opened.

        Args:
            url: `memory`, `sqlite`, or `sqlite:///` and a path.
            default: The file of `sqlite` without a path.
            keep_s: For how long a turn is kept.
            now: Unix time.
        """
        self._url = url
        self._default = default
        self._keep_s = keep_s
        self._now = now
        self._store: TurnStore | None = None

    @property
    def dropped(self) -> int:
        """How many turns could not be kept."""
        return 0 if self._store is None else self._store.dropped

    def keep(self, turn: Turn) -> None:
        """Keep a turn."""
        self._open().keep(turn)

    async def get(self, caller: str, id_: str) -> Turn | None:
        """A turn that `caller` got."""
        return await self._open().get(caller, id_)

    async def conversation(self, caller: str, id_: str) -> list[Turn] | None:
        """That turn and all before it, the oldest first."""
        return await self._open().conversation(caller, id_)

    async def forget(self, caller: str, id_: str) -> bool:
        """Delete a turn; whether there was one."""
        return await self._open().forget(caller, id_)

    async def aclose(self) -> None:
        """Finish writing, and close; a later use opens it again."""
        store, self._store = self._store, None
        if store is not None:
            await store.aclose()

    def _open(self) -> TurnStore:
        if self._store is None:
            if self._url == MEMORY:
                self._store = MemoryTurns(self._keep_s, self._now)
            else:
                # Loaded here for the sake of the start: see the class.
                from modelmux.store.turns_sqlite import SqliteTurns  # noqa: PLC0415

                path = self._url.removeprefix(SQLITE).removeprefix("://")
                file = Path(path) if path else self._default
                self._store = SqliteTurns(file, self._keep_s, self._now)
        return self._store
