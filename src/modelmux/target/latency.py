"""How long targets take to begin an answer: a peak-sensitive average, and percentiles."""

from array import array
from math import exp, inf
from typing import Final

TAU_S: Final = 10.0
"""How fast old samples lose weight: after so long, to a third. Finagle's default, whose balancer
this average is from: https://twitter.github.io/finagle/guide/Clients.html, read 2026-11-20."""

MAX_SAMPLES: Final = 128
"""Samples kept for percentiles: the 95th of them has six above it."""

RENEWED_EVERY: Final = 16
"""A percentile is worked out again after so many samples: sorting them takes 5 µs."""


class Latency:
    """Times until answers began. A slow one counts at once, quick ones only by and by.

    Attributes:
        seconds: The average as of the last sample; 0: there is none.
        count: Samples so far.
    """

    __slots__ = ("_at", "_percentiles", "_samples", "count", "seconds")

    def __init__(self) -> None:
        self.seconds = 0.0
        self.count = 0
        self._at = -inf
        self._samples = array("d")
        self._percentiles: dict[float, tuple[int, float]] = {}

    def observe(self, seconds: float, now: float) -> None:
        """An answer began after `seconds`."""
        if seconds > self.seconds:
            self.seconds = seconds
        else:
            kept = exp((self._at - now) / TAU_S)
            self.seconds = self.seconds * kept + seconds * (1.0 - kept)
        self._at = now
        if self.count < MAX_SAMPLES:
            self._samples.append(seconds)
        else:
            self._samples[self.count % MAX_SAMPLES] = seconds
        self.count += 1

    def at_least(self, seconds: float, now: float) -> None:
        """Nobody waited longer than `seconds`, and no answer had begun by then."""
        if seconds > self.seconds:
            self.observe(seconds, now)

    def faded(self, now: float) -> float:
        """The average, less for each moment without a sample.

        Whoever was slow long ago is to be tried again; nothing else would tell that it recovered.
        """
        return self.seconds * exp((self._at - now) / TAU_S) if self.count else 0.0

    def percentile(self, share: float) -> float:
        """What `share` of the last samples, from 0 to 1, took at most; 0: there are none."""
        if not self.count:
            return 0.0
        known = self._percentiles.get(share)
        if known is None or self.count - known[0] >= RENEWED_EVERY or self.count < RENEWED_EVERY:
            ranked = sorted(self._samples)
            found = ranked[min(len(ranked) - 1, int(share * len(ranked)))]
            known = self._percentiles[share] = (self.count, found)
        return known[1]
