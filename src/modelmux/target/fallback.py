"""Try targets in order until one accepts the call."""

from collections.abc import Sequence

from modelmux.errors import CredentialRefused, Limited, TargetError, Unrepresentable
from modelmux.target.base import Target
from modelmux.target.call import Call
from modelmux.target.reply import Reply


class Fallback:
    """Sends a call to the first of its targets that accepts it.

    A target is passed over when it fails in a way that another may not (`retryable`), or when
    the call cannot be said to it. The caller's other mistakes are nobody else's to answer.

    One whose limits leave no room is passed over as long as another may have some. Where nobody
    has, the call waits for the one that says it will be the first.
    """

    def __init__(self, name: str, targets: Sequence[Target]) -> None:
        """Make a chain of at least one target, the preferred one first."""
        if not targets:
            raise ValueError("a fallback needs a target")
        self.name = name
        self._targets = tuple(targets)

    async def send(self, call: Call) -> Reply:
        attempt = _Attempt(call)
        for target in self._targets:
            reply = await attempt.send(target, may_wait=False)
            if reply is not None:
                return reply
        if call.may_wait:
            for target in attempt.soonest_first():
                reply = await attempt.send(target, may_wait=True)
                if reply is not None:
                    return reply
                if isinstance(attempt.failures[-1], Limited):
                    break  # it has waited as long as it may
        raise _summary(attempt.failures, attempt.attempts)


class _Attempt:
    """One call on its way along the chain."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._full: list[tuple[float, Target]] = []
        self.failures: list[TargetError | Unrepresentable] = []
        self.attempts = 0

    async def send(self, target: Target, *, may_wait: bool) -> Reply | None:
        """The reply of `target`; `None`: it failed, and another one may not."""
        try:
            reply = await target.send(self._call.step(may_wait=may_wait))
        except TargetError as exc:
            exc.target = exc.target or target.name
            self.attempts += exc.attempts
            if isinstance(exc, Limited) and not may_wait:
                self._full.append((exc.retry_after_s or 0.0, target))
            self.failures.append(exc)
            if not exc.retryable:
                exc.attempts = self.attempts
                raise
        except Unrepresentable as exc:
            self.failures.append(exc)
        else:
            reply.attempts += self.attempts
            return reply
        return None

    def soonest_first(self) -> list[Target]:
        """Those who had no room, the one that will have some first at the front."""
        return [target for _, target in sorted(self._full, key=lambda each: each[0])]


def _summary(
    failures: list[TargetError | Unrepresentable], attempts: int
) -> TargetError | Unrepresentable:
    """The failure that says most about why nobody answered, with a word on each of the others."""
    chosen = min(reversed(failures), key=_hopelessness)
    if isinstance(chosen, TargetError):
        chosen.attempts = attempts
        waits = [f.retry_after_s for f in failures if isinstance(f, TargetError)]
        known = [wait for wait in waits if wait is not None]
        chosen.retry_after_s = min(known) if known else None
    others = [
        f"{failure.target}: {failure.message}"
        if isinstance(failure, TargetError)
        else failure.message
        for failure in failures
        if failure is not chosen
    ]
    if others:
        chosen.message += f" (before that: {'; '.join(others)})"
    return chosen


def _hopelessness(failure: TargetError | Unrepresentable) -> int:
    """How little is to be hoped from another try: the least hopeless says whether to make one."""
    if isinstance(failure, Unrepresentable):
        return 2
    return 1 if isinstance(failure, CredentialRefused) else 0
