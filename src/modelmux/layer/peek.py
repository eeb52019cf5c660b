"""Commit to an answer at its first event, and not at HTTP 200.

Providers send 200 and then an error. Until the first event has come, a call may be tried again
or elsewhere; so `send` returns only then, and what `retry` and fallback wrap is wrapped in this.
"""

from collections.abc import Callable

from modelmux.errors import TargetError
from modelmux.target.base import Target
from modelmux.target.call import Call
from modelmux.target.reply import Reply


class Peek:
    """A target whose reply has begun to answer, and not with an error."""

    __slots__ = ("_inner", "_now", "name")

    def __init__(self, inner: Target, *, now: Callable[[], float]) -> None:
        """Wrap `inner`; `now` is the monotonic clock."""
        self.name = inner.name
        self._inner = inner
        self._now = now

    async def send(self, call: Call) -> Reply:
        """Answer `call`; a reply whose first event is an error is closed and raised as one."""
        reply = await self._inner.send(call)
        started = self._now() if reply.is_stream else 0.0
        try:
            await reply.peek(call.wire)
        except TargetError as exc:
            exc.target = exc.target or reply.target or self.name
            await reply.aclose()
            raise
        except BaseException:  # cancelled while waiting, or a defect: nobody else has the reply
            await reply.aclose()
            raise
        finally:
            if started:
                call.meter.waited_s += self._now() - started
        return reply
