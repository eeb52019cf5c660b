"""An event loop whose time passes at once: pauses take none, and end in their order."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):  # type: ignore[valid-type,misc]
    """Never waits: it moves the clock instead."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise RuntimeError("nothing is due and nothing can happen: a deadlock")
        self.loop.pass_time(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time begins at 1000 s, so that no clock's zero is taken for the present."""

    def __init__(self) -> None:
        selector = _Selector()
        self._now_s = 1000.0
        super().__init__(selector)
        selector.loop = self

    def time(self) -> float:
        return self._now_s

    def pass_time(self, seconds: float) -> None:
        # A hair more, as timers compare with the clock's resolution.
        self._now_s += seconds + 1e-9 if seconds > 0 else 0.0


async def pause(seconds: float) -> None:
    """Let so much virtual time pass."""
    await asyncio.sleep(seconds)


def run(main: Coroutine[Any, Any, T]) -> T:
    """The result of `main`, in virtual time."""
    # Debug mode keeps a stack for each task, which takes longer than all the rest.
    with asyncio.Runner(debug=False, loop_factory=VirtualLoop) as runner:
        return runner.run(main)
