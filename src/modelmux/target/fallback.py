"""What to say when nobody answered."""

from collections.abc import Sequence

from modelmux.errors import CredentialRefused, Rejected, TargetError, Unrepresentable

Failed = TargetError | Unrepresentable
"""How one of several targets failed to take a call."""


def summary(failures: Sequence[Failed], attempts: int) -> Failed:
    """The failure that says most about why nobody answered, with a word on each of the others.

    Args:
        failures: At least one, in the order in which they came.
        attempts: How often targets were tried in all.
    """
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


def _hopelessness(failure: Failed) -> int:
    """How little is to be hoped from another try: the least hopeless says whether to make one."""
    if isinstance(failure, Unrepresentable):
        return 3
    if isinstance(failure, Rejected):
        return 2
    return 1 if isinstance(failure, CredentialRefused) else 0
