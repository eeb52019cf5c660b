"""What the gateway counts. Counting is a few additions; `exposition` makes metrics of it.

A caller's own call is a request. A call that a composition makes on its behalf is not, but its
attempts, tokens and cost are counted where they arise: with the target that answered, once.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from math import floor
from typing import Final

from modelmux.errors import ErrorKind, RateLimited, TargetError
from modelmux.target.record import CallRecord, Outcome

MAX_MODELS: Final = 512
"""Targets that have figures of their own. A provider that takes any name would otherwise let
callers fill the memory; the figures of further targets are added up under `OTHER`."""

OTHER: Final = "other"

DURATION_BOUNDS_S: Final = (
    *(0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
    *(10.0, 20.0, 40.0, 80.0, 160.0, 320.0, 640.0),
)
FIRST_BOUNDS_S: Final = (0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 60.0)
OVERHEAD_BOUNDS_S: Final = (
    *(0.00005, 0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005),
    *(0.01, 0.02, 0.05, 0.1, 0.5),
)

TOKEN_TYPES: Final = ("input", "cache_read", "cache_write", "output", "reasoning")
"""Apart from each other, so that their sum is all there was: `input` is without what a cache read
or wrote, `output` without reasoning."""


class Histogram:
    """How often a value fell between two bounds."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        """Count by `bounds`, ascending; each counts what is at most as great, the last the rest."""
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count `value`."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulative(self) -> list[tuple[str, float]]:
        """Prometheus's buckets: how many were at most as great as each bound, then all."""
        total = 0
        buckets: list[tuple[str, float]] = []
        for bound, count in zip((*map(repr, self.bounds), "+Inf"), self.counts, strict=True):
            total += count
            buckets.append((bound, total))
        return buckets


class TargetCounts:
    """What one target did, whoever asked."""

    __slots__ = ("attempts", "cost_usd", "model", "provider", "retries", "tokens")

    def __init__(self, provider: str, model: str) -> None:
        """Start at nothing."""
        self.provider = provider
        self.model = model
        self.attempts: dict[Outcome, int] = {"ok": 0, "error": 0, "cancelled": 0}
        self.retries = 0
        self.tokens = [0] * len(TOKEN_TYPES)
        self.cost_usd = Decimal(0)

    def add(self, record: CallRecord) -> None:
        """Count attempts, tokens and cost of `record`."""
        self.attempts[record.outcome] += 1
        if record.attempts > 1:
            self.attempts["error"] += record.attempts - 1
        if record.cost_usd is not None:
            self.cost_usd += record.cost_usd
        usage, tokens = record.usage, self.tokens
        plain, output = usage.input_tokens, usage.output_tokens
        if read := usage.cache_read_input_tokens:
            plain -= read
            tokens[1] += read
        if written := usage.cache_creation_input_tokens:
            plain -= written
            tokens[2] += written
        if reasoning := usage.reasoning_output_tokens:
            output -= reasoning
            tokens[4] += reasoning
        # Targets miscount: a part greater than the whole must not count backwards.
        if plain > 0:
            tokens[0] += plain
        if output > 0:
            tokens[3] += output


class RequestCounts:
    """What became of the requests that came on one wire and were answered by one target."""

    __slots__ = ("duration", "failures", "first", "statuses", "target", "wire")

    def __init__(self, wire: str, target: TargetCounts) -> None:
        """Start at nothing."""
        self.wire = wire
        self.target = target
        self.statuses: dict[int, int] = {}
        self.failures: dict[ErrorKind, int] = {}
        self.duration = Histogram(DURATION_BOUNDS_S)
        self.first = Histogram(FIRST_BOUNDS_S)

    def add(self, record: CallRecord) -> None:
        """Count a request."""
        self.statuses[record.status] = self.statuses.get(record.status, 0) + 1
        if record.error_kind is not None:
            self.failures[record.error_kind] = self.failures.get(record.error_kind, 0) + 1
        self.duration.observe(record.duration_s)
        if record.first_s is not None:
            self.first.observe(record.first_s)


class Metrics:
    """All counts of the process.

    Attributes:
        in_flight: Callers' own calls under way.
        requests: Callers' own calls that are over.
        failures: Those of them that failed.
        shed: Callers' calls that were sent away because there was too much to do. They are in
            none of the other counts.
        reloads: Reloads of the configuration, by what came of them.
        saved_tokens: Tokens of prompts and answers that the cache has saved.
        saved_usd: What they would have cost.
    """

    def __init__(self) -> None:
        """Start at nothing."""
        self.in_flight = 0
        self.requests = 0
        self.failures = 0
        self.shed = 0
        self.reloads = {"ok": 0, "error": 0}
        self.saved_tokens = 0
        self.saved_usd = Decimal(0)
        self._targets: dict[str, TargetCounts] = {}
        self._requests: dict[tuple[str, str], RequestCounts] = {}
        self._overheads: dict[str, Histogram] = {}
        self._chats_answered = 0
        self._chats_failed = 0
        self._quota_errors = 0
        self._retries = 0

    @property
    def targets(self) -> Iterable[TargetCounts]:
        """Counts by target."""
        return self._targets.values()

    @property
    def by_wire_and_target(self) -> Iterable[RequestCounts]:
        """Counts of requests."""
        return self._requests.values()

    @property
    def overheads(self) -> Mapping[str, Histogram]:
        """The gateway's own time by wire."""
        return self._overheads

    def count(self, record: CallRecord) -> None:
        """A call is over."""
        if record.attempts and not record.composite:
            self._target_of(record).add(record)
        if record.parent_id:
            return
        self.requests += 1
        if record.cache == "hit":
            self.saved_tokens += record.saved.input_tokens + record.saved.output_tokens
            if record.saved_usd is not None:
                self.saved_usd += record.saved_usd
        if record.outcome == "error":
            self.failures += 1
        counts = self._requests.get((record.wire, record.target))
        if counts is None:
            counts = self._new_requests(record)
        counts.add(record)
        if record.overhead_s is not None:
            overhead = self._overheads.get(record.wire)
            if overhead is None:
                overhead = self._overheads[record.wire] = Histogram(OVERHEAD_BOUNDS_S)
            overhead.observe(record.overhead_s)
        if record.operation == "chat":
            self._count_chat(record)

    def retried(self, target: str, exc: TargetError) -> None:
        """`target` is tried again because of `exc`."""
        (self._targets.get(target) or self._new_target(target)).retries += 1
        self._retries += 1
        if isinstance(exc, RateLimited):
            self._quota_errors += 1

    def health(self) -> Mapping[str, float]:
        """The counters of `GET /health`.

        Only chat requests count, once they are over, and only those whose body could be read. A
        stream is successful if it began to answer. A caller who left before that is not counted.
        A quota error is one that led to another attempt.
        """
        answered, failed = self._chats_answered, self._chats_failed
        total = answered + failed
        # Halves are rounded up, and not to even as `round` does it.
        rate = float(floor(answered * 100 / total + 0.5)) if total else 100.0
        return {
            "total_requests": total,
            "successful_requests": answered,
            "failed_requests": failed,
            "quota_errors": self._quota_errors,
            "retry_attempts": self._retries,
            "success_rate": rate,
        }

    def _count_chat(self, record: CallRecord) -> None:
        if record.outcome == "ok" or record.first_s is not None:
            self._chats_answered += 1
        elif record.outcome == "error" and record.model:
            self._chats_failed += 1

    def _target_of(self, record: CallRecord) -> TargetCounts:
        counts = self._targets.get(record.target)
        if counts is None:
            # Where a provider takes any name, a name it does not know is only the caller's word.
            is_known = record.error_kind != "not_found"
            counts = self._new_target(record.target, is_known=is_known)
        return counts

    def _new_target(self, name: str, *, is_known: bool = True) -> TargetCounts:
        provider, slash, model = name.partition("/")
        if not slash:
            provider, model = "", name
        if len(self._targets) >= MAX_MODELS or not is_known:
            # Providers are configured, so there is an end to these.
            name, model = f"{provider}/{OTHER}", OTHER
        return self._targets.setdefault(name, TargetCounts(provider, model))

    def _new_requests(self, record: CallRecord) -> RequestCounts:
        # A request that was refused at the door came to no target, and has no name but the
        # caller's own word for it.
        target = self._target_of(record) if record.target else _NOBODY
        name = f"{target.provider}/{OTHER}" if target.model == OTHER else record.target
        key = (record.wire, name)
        counts = self._requests.get(key)
        if counts is None:
            counts = self._requests[key] = RequestCounts(record.wire, target)
        return counts


_NOBODY = TargetCounts("", "")
