"""Asking providers whether they are there, apart from any call."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from modelmux.errors import TargetError
from modelmux.target.health import HealthBook

MAX_AT_ONCE = 16
"""Providers asked at the same time: two hundred of them are no reason for a burst."""

Probe = Callable[[], Awaitable[TargetError | None]]
"""Asks one provider; why it would not answer, if so."""


class Checks:
    """Asks every provider in turn, and tells the health of its targets.

    What is asked for is a list of models, which says nothing of one model: a target that fails
    calls while its provider answers is opened by calls, and closed by the next check after its
    time is up.
    """

    def __init__(
        self, probes: Callable[[], Iterable[tuple[str, Probe]]], health: HealthBook
    ) -> None:
        """Ask with `probes`, by the provider's name; they are looked up anew each time."""
        self._probes = probes
        self._health = health
        self._task: asyncio.Task[None] | None = None

    def start(self, interval_s: float) -> None:
        """Ask every `interval_s` from now on."""
        self.stop()
        self._task = asyncio.get_running_loop().create_task(self._run(interval_s))

    def stop(self) -> None:
        """Ask no more. Safe to call again."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def once(self) -> None:
        """Ask everybody once."""
        places = asyncio.Semaphore(MAX_AT_ONCE)

        async def ask(name: str, probe: Probe) -> None:
            async with places:
                error = await probe()
            self._tell(name, ok=error is None)

        async with asyncio.TaskGroup() as tasks:
            for name, probe in self._probes():
                tasks.create_task(ask(name, probe))

    async def _run(self, interval_s: float) -> None:
        while True:
            await asyncio.sleep(interval_s)
            await self.once()

    def _tell(self, provider: str, *, ok: bool) -> None:
        now = self._health.now()
        for each in self._health:
            if each.name.startswith(f"{provider}/"):
                each.checked(now, ok=ok)
