"""So many calls at once, and a bounded queue for the others.

Whoever finds no place in time gets `Overloaded`, as from a target that is busy: it is retryable,
so that a fallback goes on to the next target instead of queueing here. `LimitExceeded` would be the
wrong word: the limit is not the caller's, and nobody else would be asked.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

from modelmux.errors import Overloaded, TargetError, TargetTimeout
from modelmux.target.base import Target
from modelmux.target.call import Call
from modelmux.target.reply import Reply

SWEEP_INTERVAL_S: Final = 0.1
"""How often waiting calls are looked through, and so how late one may give up. One timer for all
of them, and none while nobody waits."""


class Timer(Protocol):
    """A callback that is due."""

    def cancel(self) -> None: ...


Later = Callable[[float, Callable[[], object]], Timer]
"""Calls a function after so many seconds, as `loop.call_later` does."""


class _Due(NamedTuple):
    """When a waiting call gives up, and whether that is its own deadline."""

    at: float
    is_deadline: bool


class Slots:
    """Places for calls, taken in the order in which they were asked for.

    May be shared by several targets, whose calls then count together. For one event loop.
    """

    def __init__(
        self,
        name: str,
        limit: int,
        *,
        max_waiting: int = 1024,
        max_wait_s: float = 30.0,
        now: Callable[[], float],
        later: Later,
    ) -> None:
        """Make them.

        Args:
            name: Who has the places, for messages.
            limit: Places; at least 1.
            max_waiting: Calls that may wait; the next one is refused at once.
            max_wait_s: Longest wait of any of them, in seconds.
            now: Monotonic clock.
            later: Sets timers.
        """
        self.limit = limit
        self.in_use = 0
        self._name = name
        self._max_waiting = max_waiting
        self._max_wait_s = max_wait_s
        self._now = now
        self._later = later
        self._waiters: OrderedDict[asyncio.Future[None], _Due] = OrderedDict()
        self._timer: Timer | None = None

    @property
    def waiting(self) -> int:
        """How many calls wait for a place."""
        return len(self._waiters)

    async def wait(self, call: Call) -> None:
        """Take a place once there is one; whoever has it must `release` it.

        Raises:
            Overloaded: Too many wait already, or the wait has been too long.
            TargetTimeout: The call's deadline passed meanwhile.
        """
        if len(self._waiters) >= self._max_waiting:
            raise self._overloaded(f"{len(self._waiters)} more are waiting")
        started = self._now()
        due = _Due(started + self._max_wait_s, is_deadline=False)
        if call.deadline is not None and call.deadline < due.at:
            due = _Due(call.deadline, is_deadline=True)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters[future] = due
        if self._timer is None:
            self._timer = self._later(SWEEP_INTERVAL_S, self._sweep)
        try:
            await future
        except asyncio.CancelledError:
            self._waiters.pop(future, None)
            if not future.cancelled() and future.exception() is None:
                self.release()  # it had been given a place just before
            raise
        finally:
            call.meter.waited_s += self._now() - started

    def release(self) -> None:
        """Give a place back: to the call that has waited longest, if one does."""
        while self._waiters:
            future, _ = self._waiters.popitem(last=False)
            if not future.done():
                future.set_result(None)
                return
        self.in_use -= 1

    def _sweep(self) -> None:
        """Send away whoever has waited long enough."""
        self._timer = None
        now = self._now()
        late = [(future, due) for future, due in self._waiters.items() if due.at <= now]
        for future, due in late:
            del self._waiters[future]
            if not future.done():
                future.set_exception(self._too_late(due))
        if self._waiters:
            self._timer = self._later(SWEEP_INTERVAL_S, self._sweep)

    def _too_late(self, due: _Due) -> TargetError:
        if not due.is_deadline:
            return self._overloaded(f"none was free for {self._max_wait_s:g} s")
        exc = TargetTimeout(
            f"the time allowed for the call was over while it waited for one of {self.limit} places"
        )
        exc.target = self._name
        return exc

    def _overloaded(self, why: str) -> Overloaded:
        exc = Overloaded(
            f"the gateway's own limit of {self.limit} calls at once is reached, and {why}; "
            "raise `limits.concurrency`, or add a target to fall back to"
        )
        exc.target = self._name
        return exc


class Concurrency:
    """A target with at most `slots.limit` calls under way, from `send` to the end of the reply."""

    __slots__ = ("_inner", "_slots", "name")

    def __init__(self, inner: Target, *, slots: Slots) -> None:
        """Wrap `inner`; several targets may share `slots`."""
        self.name = inner.name
        self._inner = inner
        self._slots = slots

    async def send(self, call: Call) -> Reply:
        """Answer `call` once there is a place for it. Raises also as `Slots.wait` does."""
        slots = self._slots
        if slots.in_use < slots.limit:
            slots.in_use += 1
        else:
            await slots.wait(call)
        try:
            reply = await self._inner.send(call)
        except BaseException:
            slots.release()
            raise
        reply.on_end(self._ended)
        return reply

    def _ended(self, _reply: Reply) -> None:
        self._slots.release()
