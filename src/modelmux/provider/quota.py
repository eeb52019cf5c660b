"""How much may still be sent: buckets that fill again, by our own limits and by the provider's.

No clock and no waiting here: time is a parameter, in seconds of a monotonic clock. What a call
costs is told as four numbers, one for each kind of limit; see `Cost`.
"""

from math import inf
from typing import Final

from msgspec import Struct

from modelmux.provider.limit_headers import Kind, Said

KINDS: Final[tuple[Kind, ...]] = ("requests", "tokens", "input_tokens", "output_tokens")

FIRST_OUTPUT_TOKENS: Final = 256.0
"""What an answer is taken to have before any has been seen."""
OUTPUT_WEIGHT: Final = 0.2
"""Of the latest answer in the mean of their lengths."""

RELAXED_SHARE: Final = 0.25
"""While more than this of every limit is left, not every answer's header fields are read."""
RELAXED_LOOK_S: Final = 0.1
SILENT_LOOK_S: Final = 5.0
"""How long a provider that says nothing of limits is not listened to."""

SLACK_S: Final = 0.1
"""How much later than it could a call goes once nothing was left: it must not come to the provider
before its turn because one before it was slower on the way. Nothing is lost by it, but once."""

_EPSILON: Final = 1e-6
"""Of a request or token: sums of fractions are not exact."""

Cost = tuple[float, float, float, float]
"""What a call takes of each of `KINDS`. `tokens`: prompt and the longest answer that it allows, as
OpenAI counts beforehand. `output_tokens`: what the answer will probably have."""


class Bucket:
    """So much, filled again steadily or at one moment."""

    __slots__ = ("_at", "_full_at", "_was_empty", "capacity", "level", "rate")

    def __init__(self, capacity: float, now: float, *, per_s: float) -> None:
        """Start full, to be filled by `per_s`."""
        self.capacity = capacity
        self.level = capacity
        self.rate = per_s
        self._at = now
        self._full_at = inf
        self._was_empty = False  # since it was last full

    def wait_s(self, now: float, amount: float) -> float:
        """How long until there is so much, or all that there can be; 0: now."""
        self.refill(now)
        if self._was_empty:
            amount += SLACK_S * self.rate
        missing = min(amount, self.capacity) - self.level
        if missing <= _EPSILON:
            return 0.0
        if not self._was_empty:
            self._was_empty = True
            return self.wait_s(now, amount)
        steadily = missing / self.rate if self.rate > 0.0 else inf
        return min(steadily, self._full_at - now)

    def take(self, now: float, amount: float) -> None:
        """Take so much, whether it is there or not."""
        self.refill(now)
        self.level -= amount

    def give(self, amount: float) -> None:
        """Put back what was not used; a negative amount is what was used in addition."""
        self.level = min(self.capacity, self.level + amount)

    def refill(self, now: float) -> None:
        """Add what has come since the last time."""
        if now >= self._full_at:
            self.level = max(self.level, self.capacity)
            self._full_at = inf
            self._was_empty = False
        elif now > self._at:
            self.level += self.rate * (now - self._at)
            if self.level >= self.capacity:
                self.level = self.capacity
                self._was_empty = False
        self._at = max(now, self._at)

    def believe(self, now: float, said: Said, *, sent_at: float, since: float) -> None:
        """Go on from what the provider says.

        Args:
            now: When its word came.
            said: The limit, in the answer to one call.
            sent_at: When that call was sent: about then the provider counted.
            since: What has been taken for calls sent after it.
        """
        limit = said.limit if said.limit is not None else max(self.capacity, said.remaining)
        self.capacity = max(limit, 1.0)
        used = self.capacity - said.remaining
        back_s = said.reset_s
        self._full_at = inf
        self._at = now
        if said.is_window:
            self.rate = 0.0
            self.level = said.remaining - since
            self._full_at = now + (back_s if back_s is not None else 60.0) + said.imprecision_s
            return
        if back_s is not None and used >= 1.0:
            self.rate = used / max(back_s + said.imprecision_s, 1e-3)
        # What has come back since it was counted, and what has gone.
        refilled = said.remaining + self.rate * max(0.0, now - sent_at)
        self.level = min(self.capacity, refilled) - since


class Limits(Struct, frozen=True):
    """What the configuration allows; 0: no limit."""

    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    concurrency: int = 0

    def __bool__(self) -> bool:
        return bool(self.requests_per_minute or self.tokens_per_minute or self.concurrency)


class Quota:
    """The configuration's limits at work, for a provider or for one of its keys."""

    __slots__ = ("in_flight", "limits", "requests", "tokens")

    def __init__(self, limits: Limits, now: float) -> None:
        """Start with everything unused."""
        self.limits = limits
        self.in_flight = 0
        self.requests = _per_minute(limits.requests_per_minute, now)
        self.tokens = _per_minute(limits.tokens_per_minute, now)

    def wait_s(self, now: float, tokens: float) -> float:
        """How long until a call of so many tokens fits; infinite: until another one ends."""
        limit = self.limits.concurrency
        if limit and self.in_flight >= limit:
            return inf
        wait_s = self.requests.wait_s(now, 1.0) if self.requests is not None else 0.0
        if self.tokens is not None:
            wait_s = max(wait_s, self.tokens.wait_s(now, tokens))
        return wait_s

    def take(self, now: float, tokens: float) -> None:
        """A call begins."""
        self.in_flight += 1
        if self.requests is not None:
            self.requests.take(now, 1.0)
        if self.tokens is not None:
            self.tokens.take(now, tokens)

    def end(self, unused_tokens: float) -> None:
        """A call is over, with so many fewer tokens than were taken for it."""
        self.in_flight -= 1
        if self.tokens is not None:
            self.tokens.give(unused_tokens)

    def reason(self, now: float, tokens: float) -> str:
        """The limit for which a call of so many tokens waits longest."""
        limits = self.limits
        if limits.concurrency and self.in_flight >= limits.concurrency:
            return f"{limits.concurrency} calls at once"
        requests_s = self.requests.wait_s(now, 1.0) if self.requests is not None else 0.0
        tokens_s = self.tokens.wait_s(now, tokens) if self.tokens is not None else 0.0
        if tokens_s > requests_s:
            return f"{limits.tokens_per_minute} tokens a minute"
        return f"{limits.requests_per_minute} requests a minute"


class Account:
    """What the provider says is left for one key and model, and what has been taken since.

    Attributes:
        sent: What all calls so far have cost, by kind.
        mean_output: Tokens that an answer has had on average.
        counts_tokens: Whether there is a limit of tokens, or may be.
        longest: How many tokens the last call that was looked at allowed for its answer.
        is_tight: Whether so little is left that what a call takes has to be known exactly.
    """

    __slots__ = (
        "_buckets",
        "_heard",
        "_look_at",
        "counts_tokens",
        "is_tight",
        "longest",
        "mean_output",
        "sent",
    )

    def __init__(self) -> None:
        """Start without having heard of any limit."""
        self.sent: list[float] = [0.0] * len(KINDS)
        self.mean_output = FIRST_OUTPUT_TOKENS
        self.counts_tokens = True
        self.is_tight = True
        self.longest = 0
        self._buckets: dict[int, Bucket] = {}
        self._heard = -1.0  # the number of the call whose answer was believed last
        self._look_at = 0.0

    def wait_s(self, now: float, cost: Cost) -> float:
        """How long until a call fits, as far as is known."""
        wait_s = 0.0
        for kind, bucket in self._buckets.items():
            wait_s = max(wait_s, bucket.wait_s(now, cost[kind]))
        return wait_s

    def take(self, cost: Cost) -> None:
        """A call is sent, for which `wait_s` has just been asked."""
        sent = self.sent
        sent[0] += cost[0]
        sent[1] += cost[1]
        sent[2] += cost[2]
        sent[3] += cost[3]
        for kind, bucket in self._buckets.items():
            bucket.level -= cost[kind]  # it is filled as of now
            if bucket.level < RELAXED_SHARE * bucket.capacity:
                self._look_at = 0.0
                self.is_tight = True

    def listens(self, now: float) -> bool:
        """Whether the header fields of an answer are worth reading now."""
        return now >= self._look_at

    def hear(self, now: float, limits: list[Said], *, sent_at: float, mark: list[float]) -> None:
        """Take the provider's word for what is left.

        Args:
            now: The time.
            limits: What the answer to a call says.
            sent_at: When that call was sent.
            mark: `sent` as it was then, the call included.
        """
        if not limits:
            if not self._buckets:
                self._look_at = now + SILENT_LOOK_S
                self.counts_tokens = False
            return
        if mark[0] < self._heard:
            return  # answers come in another order than calls go: this one knows less
        self._heard = mark[0]
        share = 1.0
        for said in limits:
            kind = KINDS.index(said.kind)
            bucket = self._buckets.get(kind)
            if bucket is None:
                capacity = said.limit or said.remaining
                bucket = self._buckets[kind] = Bucket(capacity, now, per_s=capacity / 60.0)
            bucket.believe(now, said, sent_at=sent_at, since=self.sent[kind] - mark[kind])
            share = min(share, bucket.level / bucket.capacity)
        self.is_tight = share <= 2 * RELAXED_SHARE
        self._look_at = now + RELAXED_LOOK_S if share > RELAXED_SHARE else 0.0
        self.counts_tokens = any(KINDS[kind] != "requests" for kind in self._buckets)

    def answered(self, output_tokens: int) -> None:
        """An answer had so many tokens."""
        self.mean_output += OUTPUT_WEIGHT * (output_tokens - self.mean_output)

    def reason(self, now: float, cost: Cost) -> str:
        """The limit for which a call waits longest."""
        waits = {kind: bucket.wait_s(now, cost[kind]) for kind, bucket in self._buckets.items()}
        kind = max(waits, key=lambda each: waits[each], default=0)
        bucket = self._buckets.get(kind)
        amount = f"{bucket.capacity:g} " if bucket is not None else ""
        return f"{amount}{KINDS[kind].replace('_', ' ')}, which the provider told of"


def _per_minute(amount: int, now: float) -> Bucket | None:
    return Bucket(float(amount), now, per_s=amount / 60.0) if amount else None
