"""Try again what failed before its answer began, within a budget that all targets share.

Backoff is exponential with full jitter: without it the calls that failed together come back
together. The budget is what keeps retries from multiplying an outage: each call deposits a
fraction of a retry, each retry takes a whole one, so retries stay a fraction of calls however
many calls fail.
"""

from collections.abc import Awaitable, Callable
from typing import Protocol

from msgspec import Struct

from modelmux.errors import CredentialRefused, Limited, RateLimited, TargetError
from modelmux.target.base import Target
from modelmux.target.call import Call
from modelmux.target.reply import Reply


class RetryPolicy(Struct, frozen=True):
    """How often, and after what pause. All times in seconds."""

    max_attempts: int = 3
    """Attempts in all, the first one included."""
    base_s: float = 0.5
    """Longest pause before the second attempt; it doubles with each further one."""
    cap_s: float = 8.0
    """Longest pause of the gateway's own."""
    retry_after_cap_s: float = 30.0
    """A target that asks for a longer pause is not waited for: another one may answer sooner."""
    keys: int = 1
    """How many keys the target has. A refused key is worth one try with each of the others, at
    once; a refused call with the only key is not."""

    def pause_s(self, exc: TargetError, attempt: int, random: float) -> float | None:
        """How long to wait after attempt number `attempt` failed; `None`: give up.

        Args:
            exc: Why it failed.
            attempt: 1 for the first.
            random: At least 0 and below 1.
        """
        if not exc.retryable or attempt >= self.max_attempts:
            return None
        if isinstance(exc, Limited):
            return None  # it has waited for room already, or was told that there is none in time
        if isinstance(exc, CredentialRefused):
            return 0.0 if attempt < self.keys else None
        # The exponent is bounded, so that no number of attempts overflows.
        jitter_s = random * min(self.cap_s, self.base_s * 2.0 ** min(attempt - 1, 64))
        if exc.retry_after_s is None:
            return jitter_s
        if exc.retry_after_s > self.retry_after_cap_s:
            return None
        return exc.retry_after_s + jitter_s  # never sooner than the target asked


class RetryBudget:
    """How many retries may still be made. Shared by every target; for one event loop.

    In any period of T seconds with N calls there are at most
    `burst + ratio * N + min_per_s * T` retries.
    """

    __slots__ = ("_balance", "_burst", "_min_per_s", "_ratio", "_refilled_at")

    def __init__(
        self, *, ratio: float = 0.2, min_per_s: float = 1.0, burst: float = 10.0, now: float = 0.0
    ) -> None:
        """Start with `burst`.

        Args:
            ratio: Retries that each call pays for.
            min_per_s: Retries per second that are there without any calls.
            burst: Most that is ever saved up; at least 1, or there are no retries.
            now: Monotonic time of the beginning.
        """
        self._ratio = ratio
        self._min_per_s = min_per_s
        self._burst = burst
        self._balance = burst
        self._refilled_at = now

    def deposit(self) -> None:
        """A call is made."""
        self._balance += self._ratio  # `withdraw` keeps it below the burst

    def withdraw(self, now: float) -> bool:
        """Take one retry; false if there is none.

        Args:
            now: Monotonic time.
        """
        earned = self._min_per_s * max(0.0, now - self._refilled_at)
        self._refilled_at = max(now, self._refilled_at)
        self._balance = min(self._burst, self._balance + earned)
        if self._balance < 1.0:
            return False
        self._balance -= 1.0
        return True


class Pacing(Struct, frozen=True):
    """Clock, randomness and pauses, so that nobody has to wait in tests."""

    now: Callable[[], float]
    """Monotonic clock."""
    rng: Callable[[], float]
    """Random numbers of at least 0 and below 1."""
    sleep: Callable[[float], Awaitable[object]]
    """Waits so many seconds."""


class RetryMeter(Protocol):
    """Counts retries."""

    def retried(self, target: str, exc: TargetError) -> None:
        """`target` is tried again because of `exc`."""
        ...


class Retry:
    """A target that is tried more than once.

    Only what `send` raises is tried again: after it has returned, the caller may have begun to
    read. `reply.attempts` and `exc.attempts` count every attempt.
    """

    __slots__ = ("_budget", "_inner", "_meter", "_pacing", "_policy", "name")

    def __init__(
        self,
        inner: Target,
        *,
        policy: RetryPolicy,
        budget: RetryBudget,
        meter: RetryMeter,
        pacing: Pacing,
    ) -> None:
        """Wrap `inner`.

        Args:
            inner: The target; wrap it in `Peek` first, or errors inside a 200 are not seen.
            policy: How often and when.
            budget: The one for all targets.
            meter: Told of each retry.
            pacing: Clock, randomness and pauses.
        """
        self.name = inner.name
        self._inner = inner
        self._policy = policy
        self._budget = budget
        self._meter = meter
        self._pacing = pacing

    async def send(self, call: Call) -> Reply:
        """Answer `call`, trying as often as policy, budget and deadline allow."""
        self._budget.deposit()
        try:
            return await self._inner.send(call)
        except TargetError as exc:
            first = exc
        return await self._again(call, first)

    async def _again(self, call: Call, exc: TargetError) -> Reply:
        """Go on after the first attempt failed with `exc`."""
        attempt = 1
        attempts = exc.attempts
        while (pause_s := self._pause_s(call, exc, attempt)) is not None:
            self._meter.retried(exc.target or self.name, exc)
            if pause_s > 0.0:
                started = self._pacing.now()
                await self._pacing.sleep(pause_s)
                call.meter.waited_s += self._pacing.now() - started
            attempt += 1
            try:
                reply = await self._inner.send(call)
            except TargetError as next_exc:
                exc = next_exc
                attempts += exc.attempts
            else:
                reply.attempts += attempts
                return reply
        exc.attempts = attempts
        raise exc

    def _pause_s(self, call: Call, exc: TargetError, attempt: int) -> float | None:
        """How long to wait; `None`: give up."""
        pause_s = self._policy.pause_s(exc, attempt, self._pacing.rng())
        if pause_s is None:
            return None
        now = self._pacing.now()
        if call.deadline is not None and now + pause_s >= call.deadline:
            return None
        if isinstance(exc, RateLimited) and exc.retry_after_s is not None:
            # A call that comes back when it was told to is no storm; the limit itself keeps count.
            return pause_s
        return pause_s if self._budget.withdraw(now) else None
