"""Give a call so much time, and no more than its caller gives it.

The layer sets `call.deadline`; whoever waits keeps it. The transport's sweeper ends an exchange
whose deadline has passed, so that no call needs a timer of its own.
"""

from collections.abc import Callable

from modelmux.errors import TargetTimeout
from modelmux.target.base import Target
from modelmux.target.call import Call
from modelmux.target.reply import Reply


class Timeout:
    """A target that answers completely within `timeout_s`, or fails."""

    __slots__ = ("_inner", "_now", "_timeout_s", "name")

    def __init__(self, inner: Target, *, timeout_s: float, now: Callable[[], float]) -> None:
        """Wrap `inner`.

        Args:
            inner: The target; it must keep the deadline of its calls.
            timeout_s: From `send` to the end of the answer; above 0.
            now: Monotonic clock, the one by which deadlines are kept.
        """
        self.name = inner.name
        self._inner = inner
        self._timeout_s = timeout_s
        self._now = now

    async def send(self, call: Call) -> Reply:
        """Answer `call`.

        Raises:
            TargetTimeout: The call's own deadline had passed before it was sent.
        """
        now = self._now()
        if call.deadline is not None and call.deadline <= now:
            exc = TargetTimeout(
                "the time allowed for the call was over before it was sent; allow more with "
                "`x-modelmux-timeout` or the target's `timeout_s`"
            )
            exc.target = self.name
            raise exc
        return await self._inner.send(call.with_deadline(now + self._timeout_s))
