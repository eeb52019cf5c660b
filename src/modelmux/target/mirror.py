"""Shadow traffic: a share of the calls goes to another target too, whose answers are dropped.

The caller never waits for it: the copy is sent once its own answer has begun, and a shadow that is
slow, fails or hangs is seen in its records only.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from modelmux.errors import GatewayError
from modelmux.target.base import Target
from modelmux.target.call import Call, Meter
from modelmux.target.counts import ChoiceCounts
from modelmux.target.facts import Facts, World
from modelmux.target.reply import Reply
from modelmux.target.rules import Condition

MAX_SHADOWS: Final = 64
"""Copies under way at once. Further ones are left out, and counted: a shadow that is slower than
the traffic must not fill the memory."""

TAG: Final = "mirror"
"""Label of a copy's record; its value is the id of the caller's call."""


class Shadow(Struct, frozen=True):
    """Who gets copies, and of which calls."""

    target: Target
    share: float = 1.0
    """Of the calls, from 0 to 1."""
    when: Condition | None = None


class Background:
    """Copies under way. One for a configuration; for one event loop."""

    def __init__(self, counts: ChoiceCounts | None = None) -> None:
        """Begin with none; `counts` are those of the process."""
        self.counts = counts or ChoiceCounts()
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, call: Call, target: Target) -> None:
        """Send a copy of `call`, and return at once."""
        if len(self._tasks) >= MAX_SHADOWS:
            self.counts.mirrors_dropped += 1
            return
        self.counts.mirrored += 1
        copy = call.step()
        copy.meter = Meter()
        copy.deadline = None  # the caller's; the target has a limit of its own
        copy.tags = {**call.tags, TAG: call.id}
        task = asyncio.get_running_loop().create_task(_drop_answer(copy, target))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Give up what is under way."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


class Mirror:
    """A target some of whose calls go to shadows too."""

    __slots__ = ("_background", "_inner", "_rng", "_shadows", "_world", "name")

    def __init__(
        self,
        inner: Target,
        *,
        shadows: Sequence[Shadow],
        background: Background,
        world: World,
        rng: Callable[[], float],
    ) -> None:
        """Wrap `inner`.

        Args:
            inner: Whose answers the callers get.
            shadows: Who gets copies.
            background: Where copies are under way.
            world: For conditions.
            rng: Random numbers of at least 0 and below 1.
        """
        self.name = inner.name
        self._inner = inner
        self._shadows = tuple(shadows)
        self._background = background
        self._world = world
        self._rng = rng

    async def send(self, call: Call) -> Reply:
        """Answer `call`."""
        try:
            reply = await self._inner.send(call)
        except GatewayError:
            self._copy(call)
            raise
        self._copy(call)
        return reply

    def _copy(self, call: Call) -> None:
        for shadow in self._shadows:
            if shadow.share < 1.0 and self._rng() >= shadow.share:
                continue
            if shadow.when is None or shadow.when.holds(Facts(call, self._world)):
                self._background.send(call, shadow.target)


async def _drop_answer(call: Call, target: Target) -> None:
    """Send `call`, and read the answer to its end, so that its record is whole."""
    try:
        reply = await target.send(call)
        if call.envelope.stream:
            async for _ in reply.stream(call.wire, call.envelope):
                pass
        else:
            await reply.body(call.wire, call.envelope)
    except GatewayError:
        pass  # its record says so
