"""Try targets in order until one accepts the call."""

from collections.abc import Sequence

from modelmux.errors import CredentialRefused, TargetError, Unrepresentable
from modelmux.target.base import Target
from modelmux.target.call import Call
from modelmux.target.reply import Reply


class Fallback:
    """Sends a call to the first of its targets that accepts it.

    A target is passed over when it fails in a way that another may not (`retryable`), or when
    the call cannot be said to it. The caller's other mistakes are nobody else's to answer.
    """

    def __init__(self, name: str, targets: Sequence[Target]) -> None:
        """Make a chain of at least one target, the preferred one first."""
        if not targets:
            raise ValueError("a fallback needs a target")
        self.name = name
        self._targets = tuple(targets)

    async def send(self, call: Call) -> Reply:
        failures: list[TargetError | Unrepresentable] = []
        attempts = 0
        for target in self._targets:
            try:
                reply = await target.send(call.step())
            except TargetError as exc:
                exc.target = exc.target or target.name
                attempts += exc.attempts
                failures.append(exc)
                if not exc.retryable:
                    exc.attempts = attempts
                    raise
            except Unrepresentable as exc:
                failures.append(exc)
            else:
                reply.attempts += attempts
                return reply
        raise _summary(failures, attempts)


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
