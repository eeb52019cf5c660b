"""Take note of how each call to a target goes, for its breaker and for whoever chooses."""

from collections.abc import Callable

from modelmux.errors import TargetError
from modelmux.target.base import Target
from modelmux.target.call import Call
from modelmux.target.health import TargetHealth
from modelmux.target.reply import Reply


class Watch:
    """A target whose health is kept. It never refuses a call: who has a choice looks before."""

    __slots__ = ("_health", "_inner", "_now", "name")

    def __init__(self, inner: Target, *, health: TargetHealth, now: Callable[[], float]) -> None:
        """Wrap `inner`.

        Args:
            inner: The target, with all that waits for it: those who wait are its load, too.
            health: Where notes are taken.
            now: Monotonic clock, the one of deadlines.
        """
        self.name = inner.name
        self._inner = inner
        self._health = health
        self._now = now

    async def send(self, call: Call) -> Reply:
        """Answer `call`."""
        health = self._health
        started = self._now()
        health.begin(started)
        try:
            reply = await self._inner.send(call)
        except TargetError as exc:
            health.failed(exc, call, started, self._now())
            raise
        except BaseException:  # cancelled, or nothing that the target has seen
            health.left(call, started, self._now())
            raise
        health.began(started, self._now(), stream=reply.is_stream)
        reply.on_end(self._ended)
        return reply

    def _ended(self, reply: Reply) -> None:
        self._health.ended(reply.summary.failure, self._now())
