import asyncio
import time

import pytest

from bench import virtual


def test_pauses_take_no_time_and_end_in_their_order():
    async def main() -> tuple[list[int], float]:
        ended: list[int] = []

        async def pause(seconds: int) -> None:
            await virtual.pause(seconds)
            ended.append(seconds)

        started = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as tasks:
            for seconds in (3000, 1000, 2000):
                tasks.create_task(pause(seconds))
        return ended, asyncio.get_running_loop().time() - started

    began = time.monotonic()
    ended, took_s = virtual.run(main())
    assert ended == [1000, 2000, 3000]
    assert took_s == pytest.approx(3000)
    assert time.monotonic() - began < 5


def test_what_can_never_happen_is_told():
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="deadlock"):
        virtual.run(main())
