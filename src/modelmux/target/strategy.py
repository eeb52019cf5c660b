"""Strategies: which of several candidates gets a call.

A strategy is asked for one of those that may be asked now; whoever has been tried, rests, or is
broken is not among them. It takes no notes of how the call goes: that is in the candidates.
"""

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from modelmux.target.call import Call
from modelmux.target.candidate import Candidate
from modelmux.target.facts import request_of, tokens_of

EXPECTED_OUTPUT_TOKENS: Final = 500
"""What an answer is taken to have where its length decides a price. A caller's `max_tokens` is a
limit, mostly far above what comes; a lower one is believed."""

UNTRIED_S: Final = 60.0
"""What a target that has never answered is taken to need while it has calls under way: it gets one
call to show its time, and not a flood."""

LEAST_SUCCESS: Final = 0.05
"""Success rate of a target that always fails: it is as if it took twenty times as long."""


class Strategy(Protocol):
    """Chooses among candidates."""

    def choose(self, call: Call, among: Sequence[Candidate], /) -> Candidate:
        """One of `among`, which has at least two. Must neither wait nor change anything."""
        ...


class Priority:
    """The first, in the order written."""

    def choose(self, _call: Call, among: Sequence[Candidate]) -> Candidate:
        return among[0]


class RoundRobin:
    """Each in turn."""

    def __init__(self) -> None:
        self._turn = -1

    def choose(self, _call: Call, among: Sequence[Candidate]) -> Candidate:
        self._turn += 1
        return among[self._turn % len(among)]


class Weighted:
    """Each as often as its weight says, the heavy ones spread among the others.

    Smooth weighted round robin, as nginx has it: everybody gains its weight, the richest is chosen
    and pays what all have gained. https://nginx.org/en/docs/http/ngx_http_upstream_module.html,
    read 2026-11-20.
    """

    def __init__(self) -> None:
        self._credit: dict[str, float] = {}

    def choose(self, _call: Call, among: Sequence[Candidate]) -> Candidate:
        credit = self._credit
        total = 0.0
        richest, most = among[0], -1e300
        for each in among:
            total += each.weight
            has = credit[each.name] = credit.get(each.name, 0.0) + each.weight
            if has > most:
                richest, most = each, has
        credit[richest.name] = most - total
        return richest


class LeastConnections:
    """Who has the fewest calls under way for its weight; equals in turn."""

    def __init__(self) -> None:
        self._turn = -1

    def choose(self, _call: Call, among: Sequence[Candidate]) -> Candidate:
        self._turn += 1
        return _least(among, self._turn, _load)


class Latency:
    """The better one of two drawn at random, by how soon its answers begin.

    Two choices are enough to keep all from running to the same one, and cost the same for two
    candidates as for two hundred. What counts is the time of its answers, the slow ones more, for
    each call that it has under way, and for each that it failed.
    """

    def __init__(self, now: Callable[[], float], rng: Callable[[], float]) -> None:
        """Use a monotonic clock, and random numbers of at least 0 and below 1."""
        self._now = now
        self._rng = rng

    def choose(self, call: Call, among: Sequence[Candidate]) -> Candidate:
        count = len(among)
        first = int(self._rng() * count)
        second = (first + 1 + int(self._rng() * (count - 1))) % count
        one, other = among[first], among[second]
        now, stream = self._now(), call.envelope.stream
        return one if expected_s(one, now, stream) <= expected_s(other, now, stream) else other


class Cost:
    """The cheapest for the call's estimated size; equals in turn, unknown prices last."""

    def __init__(self) -> None:
        self._turn = -1

    def choose(self, call: Call, among: Sequence[Candidate]) -> Candidate:
        self._turn += 1
        tokens, output = size_of(call)

        def cost(each: Candidate) -> float:
            known = each.cost_usd(tokens, output)
            return known if known is not None else float("inf")

        return _least(among, self._turn, cost)


class Availability:
    """Who has failed least of late; equals in turn."""

    def __init__(self) -> None:
        self._turn = -1

    def choose(self, _call: Call, among: Sequence[Candidate]) -> Candidate:
        self._turn += 1
        return _least(among, self._turn, _failing)


def size_of(call: Call) -> tuple[int, int]:
    """About how many tokens the prompt has, and the answer will have."""
    request = request_of(call)
    limit = request.max_tokens if request is not None else None
    output = min(limit, EXPECTED_OUTPUT_TOKENS) if limit else EXPECTED_OUTPUT_TOKENS
    return tokens_of(call), output


def expected_s(candidate: Candidate, now: float, stream: bool) -> float:
    """What a call more would cost a candidate in time, as far as it can be told."""
    health = candidate.health
    latency = health.latency(stream=stream)
    waiting = health.in_flight
    if not latency.count:
        return (UNTRIED_S + waiting) / candidate.weight if waiting else 0.0
    success = max(LEAST_SUCCESS, 1.0 - health.rate(now))
    return latency.faded(now) * (waiting + 1) / (success * candidate.weight)


def _least(
    among: Sequence[Candidate], turn: int, measure: Callable[[Candidate], float]
) -> Candidate:
    """The candidate with the smallest measure; among equals the next in turn."""
    least = float("inf")
    equals: list[Candidate] = []
    for each in among:
        value = measure(each)
        if value < least:
            least = value
            equals = [each]
        elif value == least:
            equals.append(each)
    return equals[turn % len(equals)]


def _load(candidate: Candidate) -> float:
    return (candidate.health.in_flight + 1) / candidate.weight


def _failing(candidate: Candidate) -> float:
    # In steps: a thousandth more or less is luck.
    return round(candidate.health.error_rate, 2)
