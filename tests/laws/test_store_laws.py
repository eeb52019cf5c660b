"""Laws that every store of answers obeys."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest
from msgspec.structs import replace

from modelmux.store.turn import MAX_KEPT_BYTES, Turn, TurnStore
from modelmux.store.turns import Turns
from modelmux.store.turns_memory import MemoryTurns
from modelmux.store.turns_sqlite import SqliteTurns

T = TypeVar("T")
NOW = 1_795_000_000
DAY = 86_400.0
FIRST = Turn("resp_1", "team-a", NOW, items=b'["a"]', answer=b'{"id":"resp_1"}')
SECOND = Turn("resp_2", "team-a", NOW, "resp_1", items=b'["b"]', answer=b'{"id":"resp_2"}')

Make = Callable[[Path, Callable[[], float]], TurnStore]

STORES: dict[str, Make] = {
    "memory": lambda path, now: MemoryTurns(DAY, now),
    "sqlite": lambda path, now: SqliteTurns(path / "a" / "turns.db", DAY, now),
    "opened-memory": lambda path, now: Turns("memory", path / "x.db", DAY, now),
    "opened-file": lambda path, now: Turns(f"sqlite://{path}/y.db", path / "x.db", DAY, now),
    "opened-default": lambda path, now: Turns("sqlite", path / "x.db", DAY, now),
}

stores = pytest.mark.parametrize("make", STORES.values(), ids=STORES)


class Clock:
    def __init__(self) -> None:
        self.time = float(NOW)

    def __call__(self) -> float:
        return self.time


def using(
    make: Make, path: Path, work: Callable[[TurnStore], Awaitable[T]], clock: Clock | None = None
) -> T:
    async def run() -> T:
        store = make(path, clock or Clock())
        try:
            return await work(store)
        finally:
            await store.aclose()

    return asyncio.run(run())


@stores
def test_what_was_kept_is_had_back_at_once(make: Make, tmp_path: Path) -> None:
    async def work(store: TurnStore) -> Turn | None:
        store.keep(FIRST)
        return await store.get("team-a", "resp_1")

    assert using(make, tmp_path, work) == FIRST


@stores
def test_nobody_gets_what_is_anothers(make: Make, tmp_path: Path) -> None:
    async def work(store: TurnStore) -> tuple[object, object, bool, Turn | None]:
        store.keep(FIRST)
        stolen = await store.get("team-b", "resp_1")
        told = await store.conversation("", "resp_1")
        gone = await store.forget("team-b", "resp_1")
        return stolen, told, gone, await store.get("team-a", "resp_1")

    assert using(make, tmp_path, work) == (None, None, False, FIRST)


@stores
def test_a_conversation_is_every_turn_from_the_first(make: Make, tmp_path: Path) -> None:
    async def work(store: TurnStore) -> list[Turn] | None:
        store.keep(FIRST)
        store.keep(SECOND)
        return await store.conversation("team-a", "resp_2")

    assert using(make, tmp_path, work) == [FIRST, SECOND]


@stores
def test_a_conversation_with_a_gap_is_none(make: Make, tmp_path: Path) -> None:
    async def work(store: TurnStore) -> tuple[bool, list[Turn] | None]:
        store.keep(FIRST)
        store.keep(SECOND)
        return await store.forget("team-a", "resp_1"), await store.conversation("team-a", "resp_2")

    assert using(make, tmp_path, work) == (True, None)


@stores
def test_a_conversation_in_a_circle_has_an_end(make: Make, tmp_path: Path) -> None:
    async def work(store: TurnStore) -> list[Turn] | None:
        store.keep(replace(FIRST, previous_id="resp_1"))
        return await store.conversation("team-a", "resp_1")

    assert using(make, tmp_path, work) is None


@stores
def test_a_turn_is_kept_for_a_time(make: Make, tmp_path: Path) -> None:
    clock = Clock()

    async def work(store: TurnStore) -> tuple[Turn | None, Turn | None]:
        store.keep(FIRST)
        kept = await store.get("team-a", "resp_1")
        clock.time += DAY + 1
        return kept, await store.get("team-a", "resp_1")

    assert using(make, tmp_path, work, clock) == (FIRST, None)


@stores
def test_an_answer_is_kept_once(make: Make, tmp_path: Path) -> None:
    later = replace(FIRST, answer=b"{}")

    async def work(store: TurnStore) -> Turn | None:
        store.keep(FIRST)
        store.keep(later)
        return await store.get("team-a", "resp_1")

    assert using(make, tmp_path, work) == later


@stores
def test_what_is_too_large_is_counted_and_not_kept(make: Make, tmp_path: Path) -> None:
    async def work(store: TurnStore) -> tuple[Turn | None, int]:
        store.keep(replace(FIRST, answer=bytes(MAX_KEPT_BYTES)))
        return await store.get("team-a", "resp_1"), store.dropped

    assert using(make, tmp_path, work) == (None, 1)


@pytest.mark.parametrize("name", ["sqlite", "opened-file", "opened-default"])
def test_a_file_outlives_the_process(name: str, tmp_path: Path) -> None:
    async def keep(store: TurnStore) -> None:
        store.keep(FIRST)

    using(STORES[name], tmp_path, keep)
    assert using(STORES[name], tmp_path, lambda store: store.get("team-a", "resp_1")) == FIRST
