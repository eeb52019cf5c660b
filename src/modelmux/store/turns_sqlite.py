"""Answers in an SQLite file, which several gateways on one machine may share.

One thread owns the connection and does everything in the order in which it was asked, so that
whoever asks for what was just kept gets it, and no call waits for the disk.
"""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from modelmux.errors import ConfigError
from modelmux.store.turn import MAX_KEPT_BYTES, MAX_TURNS, Turn

MAX_BYTES: Final = 1024 * 1024 * 1024
"""Most that is kept: the oldest turns go first."""

MAX_WAITING_BYTES: Final = 64 * 1024 * 1024
"""Most that waits for the disk; what comes when it is full is not kept, and counted."""

CLEAN_EVERY: Final = 256
"""Turns after which what is too old or too much is deleted."""

BUSY_S: Final = 5.0
"""How long another gateway's writing is waited for."""

_SCHEMA: Final = """
create table if not exists turns (
  caller text not null,
  id text not null,
  created_at_s integer not null,
  previous_id text not null,
  target text not null,
  items blob not null,
  answer blob not null,
  primary key (caller, id)
) without rowid;
create index if not exists turns_by_age on turns (created_at_s);
"""
_COLUMNS: Final = "id, caller, created_at_s, previous_id, target, items, answer"
_KEEP: Final = f"insert or replace into turns ({_COLUMNS}) values (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
_GET: Final = f"select {_COLUMNS} from turns where caller = ? and id = ? and created_at_s >= ?"  # noqa: S608
_FORGET: Final = "delete from turns where caller = ? and id = ?"
_FORGET_OLD: Final = "delete from turns where created_at_s < ?"
_FORGET_SOME: Final = (
    "delete from turns where (caller, id) in "
    "(select caller, id from turns order by created_at_s limit ?)"
)
_SIZE: Final = "select coalesce(sum(length(items) + length(answer) + 256), 0) from turns"

T = TypeVar("T")


class SqliteTurns:
    """A `TurnStore` in a file. The file is opened when first needed."""

    def __init__(
        self,
        path: Path,
        keep_s: float,
        now: Callable[[], float],
        max_bytes: int = MAX_BYTES,
        max_waiting_bytes: int = MAX_WAITING_BYTES,
    ) -> None:
        """Name the file; nothing is opened.

        Args:
            path: The file; its folder is made.
            keep_s: For how long a turn is kept.
            now: Unix time.
            max_bytes: Most that is kept.
            max_waiting_bytes: Most that waits for the disk.
        """
        self._path = path
        self._keep_s = keep_s
        self._now = now
        self._max_bytes = max_bytes
        self._max_waiting = max_waiting_bytes
        self._waiting = 0
        self._writes = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="modelmux-turns")
        self._connection: sqlite3.Connection | None = None  # the thread's own
        self.dropped = 0
        """How many turns could not be kept."""

    def keep(self, turn: Turn) -> None:
        """Hand a turn to the thread."""
        size = turn.size
        if size > MAX_KEPT_BYTES or self._waiting + size > self._max_waiting:
            self.dropped += 1
            return
        self._waiting += size
        loop = asyncio.get_running_loop()
        future = self._thread.submit(self._keep, turn)

        def written(done: Future[None]) -> None:
            failed = done.exception() is not None
            with contextlib.suppress(RuntimeError):  # the loop has closed: nobody counts any more
                loop.call_soon_threadsafe(self._written, size, failed)

        future.add_done_callback(written)

    async def get(self, caller: str, id_: str) -> Turn | None:
        """A turn that `caller` got. Raises `ConfigError` where the file cannot be read."""
        return await self._ask(lambda: self._get(caller, id_))

    async def conversation(self, caller: str, id_: str) -> list[Turn] | None:
        """That turn and all before it, the oldest first. Raises as `get` does."""
        return await self._ask(lambda: self._conversation(caller, id_))

    async def forget(self, caller: str, id_: str) -> bool:
        """Delete a turn; whether there was one. Raises as `get` does."""
        return await self._ask(lambda: self._forget(caller, id_))

    async def aclose(self) -> None:
        """Finish writing, and close the file."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._close)
        self._thread.shutdown()

    async def _ask(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except (sqlite3.Error, OSError) as exc:
            raise ConfigError(
                f"database.url: {self._path} cannot be used: {exc}",
                hint="let the gateway read and write the file and its folder, or name another",
            ) from exc

    def _written(self, size: int, failed: bool) -> None:
        self._waiting -= size
        self.dropped += failed

    # In the thread.

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(mode=0o600)  # what people said is nobody else's to read
            connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
            connection.execute("pragma journal_mode = wal")
            connection.execute("pragma synchronous = normal")
            connection.executescript(_SCHEMA)
            self._connection = connection
        return self._connection

    def _keep(self, turn: Turn) -> None:
        connection = self._open()
        row = (turn.id, turn.caller, turn.created_at_s, turn.previous_id, turn.target)
        connection.execute(_KEEP, (*row, turn.items, turn.answer))
        self._writes += 1
        if self._writes % CLEAN_EVERY == 1:
            self._clean(connection)

    def _clean(self, connection: sqlite3.Connection) -> None:
        connection.execute(_FORGET_OLD, (self._oldest(),))
        while connection.execute(_SIZE).fetchone()[0] > self._max_bytes:
            connection.execute(_FORGET_SOME, (CLEAN_EVERY,))

    def _oldest(self) -> int:
        return int(self._now() - self._keep_s)

    def _get(self, caller: str, id_: str) -> Turn | None:
        row = self._open().execute(_GET, (caller, id_, self._oldest())).fetchone()
        return None if row is None else Turn(*row)

    def _conversation(self, caller: str, id_: str) -> list[Turn] | None:
        found: list[Turn] = []
        while id_ and len(found) < MAX_TURNS:
            turn = self._get(caller, id_)
            if turn is None:
                return None
            found.append(turn)
            id_ = turn.previous_id
        return None if id_ else found[::-1]

    def _forget(self, caller: str, id_: str) -> bool:
        return self._open().execute(_FORGET, (caller, id_)).rowcount > 0

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
