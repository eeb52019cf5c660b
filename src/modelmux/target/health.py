"""How targets fare: circuit breakers, error rates, times, calls under way.

Theory of operation. A breaker is *closed* while calls go well. Enough failures in a row, or too
large a share of the last calls, open it. While it is *open*, those who have a choice send nothing;
when its time is up it is *half open*, and takes one call at a time as a probe: enough answers close
it, a failure opens it again, for twice as long. For a while after that it takes only some of the
calls that would go to it, more and more of them.

A caller's mistake is no failure; nor is a limit that the gateway keeps itself, or a caller who
leaves. A target over its rate limit has not failed either: it rests until it wants calls again.

State is kept by the target's name and outlives a configuration. For one event loop.
"""

from collections.abc import Callable, Iterator
from typing import Final, Literal

from msgspec import Struct

from modelmux.errors import Limited, RateLimited, Rejected, TargetError, TargetTimeout
from modelmux.ir.response import Failure
from modelmux.target.call import Call
from modelmux.target.counts import ChoiceCounts
from modelmux.target.latency import Latency

MAX_TARGETS: Final = 4096
"""Targets whose health is kept. Callers choose the names that a glob takes, so there must be an
end to it; one entry takes about 1 KB, and times up to 2 KB more."""

MAX_REST_S: Final = 60.0
"""Longest time for which a rate limit is believed without asking again. Whoever keeps the keys
knows better, and answers at once."""

LEAST_RAMP: Final = 0.1
"""Share of its calls that a target takes right after it recovered."""

State = Literal["closed", "open", "half_open"]

_FAULTS: Final = frozenset({"rate_limit", "overloaded", "timeout", "unavailable", "internal"})
"""Kinds of failure inside a stream that are the target's own."""


class BreakerPolicy(Struct, frozen=True):
    """When breakers open and close. All times in seconds."""

    enabled: bool = True
    failures: int = 5
    """So many in a row open it."""
    error_rate: float = 0.5
    """So large a share of failures among the last calls opens it."""
    min_calls: int = 20
    """Fewer calls than this have no rate."""
    window_s: float = 30.0
    """Which calls are the last ones: those of half this time at least, of all of it at most."""
    open_s: float = 5.0
    """How long it stays open, first; doubled each time it opens again without having closed."""
    max_open_s: float = 60.0
    probes: int = 1
    """So many answers in a row close it."""
    slow_start_s: float = 20.0
    """How long it takes after that until it has its full share of calls."""
    is_checked: bool = False
    """Somebody asks apart from calls whether targets are there: no call is a probe."""


class TargetHealth:
    """How one target fares. May be shared by all that send to it.

    Attributes:
        name: The target's.
        in_flight: Calls it has been sent and that are not over.
        state: Of its breaker.
        has_trouble: It is open, half open, resting or recovering: `admits` has to be asked.
        consecutive: Failures since the last success.
        opened: How often the breaker has opened.
        whole: Times of whole answers.
        streamed: Times to the first events of streams.
    """

    __slots__ = (
        "_book",
        "_calls",
        "_earlier",
        "_failures",
        "_open_s",
        "_opened_at",
        "_probing",
        "_proved",
        "_recovered_at",
        "_rotates_at",
        "consecutive",
        "has_trouble",
        "in_flight",
        "name",
        "opened",
        "reopens_at",
        "rests_until",
        "state",
        "streamed",
        "whole",
    )

    def __init__(self, name: str, book: "HealthBook") -> None:
        """Start well. Use `HealthBook.of`."""
        self.name = name
        self.in_flight = 0
        self.state: State = "closed"
        self.has_trouble = False
        self.consecutive = 0
        self.opened = 0
        self.reopens_at = 0.0
        self.rests_until = 0.0
        self.whole = Latency()
        self.streamed = Latency()
        self._book = book
        self._calls = 0
        self._failures = 0
        self._earlier = (0, 0)
        self._rotates_at = 0.0
        self._open_s = 0.0
        self._opened_at = 0.0
        self._recovered_at = 0.0
        self._probing = 0
        self._proved = 0

    @property
    def answers(self) -> int:
        """How many answers have begun."""
        return self.whole.count + self.streamed.count

    @property
    def error_rate(self) -> float:
        """Share of the last calls that failed; 0 where there were none."""
        return self.rate(self._book.now())

    def rate(self, now: float) -> float:
        """The same, at that time."""
        calls, failures = self._calls, self._failures
        if now < self._rotates_at:
            calls += self._earlier[0]
            failures += self._earlier[1]
        elif now >= self._rotates_at + self._book.policy.window_s / 2:
            return 0.0
        return failures / calls if calls else 0.0

    def latency(self, *, stream: bool) -> Latency:
        """Times of answers of that kind, or of the other where there are none of it."""
        asked, other = (self.streamed, self.whole) if stream else (self.whole, self.streamed)
        return asked if asked.count or not other.count else other

    def admits(self, now: float) -> bool:
        """Whether a call may be sent by somebody who has a choice."""
        if now < self.rests_until:
            return False
        match self.state:
            case "closed":
                if self._recovered_at and self.ramp(now) >= 1.0:
                    self._recovered_at = 0.0
                self.has_trouble = self._recovered_at > 0.0
                return True
            case "open":
                return now >= self.reopens_at and not self._book.policy.is_checked
            case "half_open":
                return self._probing == 0

    def ramp(self, now: float) -> float:
        """Share of its calls that it is to take, from `LEAST_RAMP` to 1."""
        slow_start_s = self._book.policy.slow_start_s
        if not self._recovered_at or slow_start_s <= 0.0:
            return 1.0
        return min(1.0, max(LEAST_RAMP, (now - self._recovered_at) / slow_start_s))

    def waits_s(self, now: float) -> float:
        """How long until it may be asked again; 0: now."""
        until = max(self.rests_until, self.reopens_at if self.state == "open" else 0.0)
        return max(0.0, until - now)

    def begin(self, now: float) -> None:
        """A call is sent. Exactly one of `left`, `failed` and `ended` must follow."""
        self.in_flight += 1
        if self.state == "closed":
            return
        if self.state == "open" and now >= self.reopens_at:
            self._change("half_open")
            self._probing = self._proved = 0
        if self.state == "half_open":
            self._probing += 1

    def began(self, started: float, now: float, *, stream: bool) -> None:
        """The answer to a call sent at `started` has begun."""
        (self.streamed if stream else self.whole).observe(now - started, now)
        if self.state != "closed" and started >= self._opened_at:
            self._proved += 1
            self._probing = max(0, self._probing - 1)
            if self._proved >= self._book.policy.probes:
                self._close(now)

    def ended(self, failure: Failure | None, now: float) -> None:
        """The answer is over, well or with a failure."""
        self.in_flight -= 1
        if failure is not None and failure.kind in _FAULTS:
            if self.state == "closed":
                self._count(now, failed=True)
        else:
            self._count(now, failed=False)

    def failed(self, exc: TargetError, call: Call, started: float, now: float) -> None:
        """`call`, sent at `started`, was not accepted."""
        self.in_flight -= 1
        if isinstance(exc, Limited):  # it was not asked
            self._unproved(started)
        elif isinstance(exc, RateLimited):
            self._unproved(started)
            if exc.retry_after_s is not None:
                self.rests_until = max(self.rests_until, now + min(exc.retry_after_s, MAX_REST_S))
                self.has_trouble = True
        elif isinstance(exc, Rejected):  # whoever refuses a call is there
            self._count(now, failed=False)
            if self.state != "closed" and started >= self._opened_at:
                self._close(now)
        else:
            self._slow(call, started, now)
            deadline = call.deadline
            if isinstance(exc, TargetTimeout) and deadline is not None and now >= deadline:
                self._unproved(started)  # the caller's limit and not the target's
            elif self.state == "closed":
                self._count(now, failed=True)
            elif self.state == "half_open" and started >= self._opened_at:
                self._open(now)

    def left(self, call: Call, started: float, now: float) -> None:
        """Whoever made `call` gave it up before it was answered."""
        self.in_flight -= 1
        self._unproved(started)
        self._slow(call, started, now)

    def checked(self, now: float, *, ok: bool) -> None:
        """Somebody asked the target whether it would answer, apart from any call."""
        if not ok:
            if self.state == "closed":
                self._count(now, failed=True)
            elif now >= self.reopens_at:
                self._open(now)
        elif self.state != "closed" and now >= self.reopens_at:
            self._close(now)

    def _slow(self, call: Call, started: float, now: float) -> None:
        """For so long no answer began."""
        (self.streamed if call.envelope.stream else self.whole).at_least(now - started, now)

    def _unproved(self, started: float) -> None:
        """A call came to nothing that says how the target is."""
        if self.state == "half_open" and started >= self._opened_at:
            self._probing = max(0, self._probing - 1)

    def _count(self, now: float, *, failed: bool) -> None:
        policy = self._book.policy
        if now >= self._rotates_at:
            # Two halves: the one that fills, and the one before it.
            gone = now >= self._rotates_at + policy.window_s / 2
            self._earlier = (0, 0) if gone else (self._calls, self._failures)
            self._calls = self._failures = 0
            self._rotates_at = now + policy.window_s / 2
        self._calls += 1
        if not failed:
            self.consecutive = 0
            return
        self._failures += 1
        self.consecutive += 1
        if not policy.enabled or self.state != "closed":
            return
        calls = self._calls + self._earlier[0]
        if self.consecutive >= policy.failures or (
            calls >= policy.min_calls and self.rate(now) >= policy.error_rate
        ):
            self._open(now)

    def _open(self, now: float) -> None:
        policy = self._book.policy
        again = self.state != "closed" or self.ramp(now) < 1.0
        self._open_s = min(policy.max_open_s, self._open_s * 2 if again else policy.open_s)
        self._opened_at = now
        self.reopens_at = now + self._open_s
        self.opened += 1
        self.has_trouble = True
        self._recovered_at = 0.0
        self._change("open")

    def _close(self, now: float) -> None:
        self.consecutive = self._calls = self._failures = 0
        self._earlier = (0, 0)
        self._recovered_at = now
        self._change("closed")

    def _change(self, state: State) -> None:
        if state != self.state:
            self.state = state
            self._book.changed(self)


class HealthBook:
    """The health of every target, by name. Outlives configurations.

    Attributes:
        now: Monotonic clock.
        counts: Of hedges and copies.
        policy: When breakers open and close, as of the last configuration.
        changed: Told of each target whose breaker opens, half opens or closes.
    """

    def __init__(
        self,
        now: Callable[[], float],
        policy: BreakerPolicy | None = None,
        *,
        changed: Callable[[TargetHealth], None] | None = None,
    ) -> None:
        """Start with nobody; `now` is the monotonic clock of all who take notes."""
        self.now = now
        self.counts = ChoiceCounts()
        self.policy = policy or BreakerPolicy()
        self.changed: Callable[[TargetHealth], None] = changed or _ignore
        self._targets: dict[str, TargetHealth] = {}

    def of(self, name: str) -> TargetHealth:
        """The health of the target called `name`; the same object each time."""
        health = self._targets.get(name)
        if health is None:
            if len(self._targets) >= MAX_TARGETS:
                self._forget()
            health = self._targets[name] = TargetHealth(name, self)
        return health

    def known(self, name: str) -> TargetHealth | None:
        """The health of a target that has been asked for; `None`: it has not."""
        return self._targets.get(name)

    def __iter__(self) -> Iterator[TargetHealth]:
        return iter(tuple(self._targets.values()))

    def __len__(self) -> int:
        return len(self._targets)

    def _forget(self) -> None:
        """Make room: whoever has been known longest and has nothing to remember goes first."""
        idle = (name for name, each in self._targets.items() if not each.in_flight)
        well = (name for name, each in self._targets.items() if not each.has_trouble)
        gone = next(well, None) or next(idle, None) or next(iter(self._targets))
        del self._targets[gone]


def _ignore(_health: TargetHealth) -> None:
    pass
