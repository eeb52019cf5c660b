import asyncio
import sqlite3
import stat
from pathlib import Path

import pytest

from modelmux.errors import ConfigError
from modelmux.store import turns_sqlite
from modelmux.store.turn import Turn
from modelmux.store.turns_sqlite import SqliteTurns


def now() -> float:
    return 100.0


def test_the_file_is_the_owners_alone(tmp_path: Path):
    path = tmp_path / "state" / "turns.db"

    async def run() -> None:
        store = SqliteTurns(path, 60.0, now)
        store.keep(Turn("r", "", 100))
        await store.aclose()

    asyncio.run(run())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_the_oldest_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(turns_sqlite, "CLEAN_EVERY", 2)

    async def run() -> list[int]:
        store = SqliteTurns(tmp_path / "a.db", 1000.0, now, max_bytes=2000)
        for number in range(9):
            store.keep(Turn(f"r{number}", "", number, answer=bytes(400)))
        kept = [n for n in range(9) if await store.get("", f"r{n}") is not None]
        await store.aclose()
        return kept

    kept = asyncio.run(run())
    assert kept[-1] == 8
    assert 0 not in kept
    assert len(kept) <= 4


def test_what_is_too_old_is_deleted(tmp_path: Path):
    path = tmp_path / "a.db"

    async def run() -> None:
        store = SqliteTurns(path, 60.0, now)
        store.keep(Turn("old", "", 1))
        await store.aclose()

    asyncio.run(run())
    asyncio.run(run())
    with sqlite3.connect(path) as connection:
        count = connection.execute("select count(*) from turns").fetchone()
    connection.close()
    assert count == (0,)


def test_what_waits_for_the_disk_has_a_limit(tmp_path: Path):
    async def run() -> int:
        store = SqliteTurns(tmp_path / "a.db", 60.0, now, max_waiting_bytes=1000)
        for number in range(9):
            store.keep(Turn(f"r{number}", "", 100, answer=bytes(400)))
        await store.aclose()
        return store.dropped

    assert asyncio.run(run()) >= 1


def test_a_file_that_cannot_be_used_is_named(tmp_path: Path):
    path = tmp_path / "a.db"
    path.mkdir()

    async def run() -> int:
        store = SqliteTurns(path, 60.0, now)
        store.keep(Turn("r", "", 100))
        with pytest.raises(ConfigError, match=r"database\.url.*a\.db"):
            await store.get("", "r")
        await asyncio.sleep(0)  # what was counted in the thread arrives with the loop's next turn
        await store.aclose()
        return store.dropped

    assert asyncio.run(run()) == 1


def test_what_is_written_after_the_loop_has_closed_is_nobodys(tmp_path: Path):
    store = SqliteTurns(tmp_path / "a.db", 60.0, now)

    async def keep() -> None:
        store.keep(Turn("r", "", 100))

    asyncio.run(keep())
    asyncio.run(store.aclose())
    assert store.dropped == 0
