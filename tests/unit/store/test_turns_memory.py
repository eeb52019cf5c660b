import asyncio

from modelmux.store.turn import Turn
from modelmux.store.turns_memory import MemoryTurns


def test_the_oldest_goes_first():
    async def run() -> list[str]:
        store = MemoryTurns(60.0, lambda: 0.0, max_bytes=1000)
        for number in range(5):
            store.keep(Turn(f"r{number}", "", 0, answer=bytes(100)))
        return [f"r{n}" for n in range(5) if await store.get("", f"r{n}") is not None]

    assert asyncio.run(run()) == ["r3", "r4"]


def test_what_is_too_old_makes_room():
    now = [0.0]

    async def run() -> int:
        store = MemoryTurns(60.0, lambda: now[0])
        store.keep(Turn("old", "", 0))
        now[0] = 61.0
        store.keep(Turn("new", "", 61))
        return len(store._turns)

    assert asyncio.run(run()) == 1
