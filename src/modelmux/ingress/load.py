"""Whether the gateway takes another call, or sends it away because it has too many.

Two signs count: how many calls are under way, and by how much the event loop is behind its time.
A gateway that is behind answers nobody in time; one that sends some away at once, for next to
nothing, answers the others. Only calls to models are sent away: who asks for the gateway's health
is told.
"""

from collections.abc import Callable
from typing import Final, Protocol

from modelmux.errors import Saturated

LOOK_S: Final = 0.05
"""How often the loop's lag is measured while calls are under way; never while there are none."""
WEIGHT: Final = 0.3
"""Of the latest measurement in the mean: a single long step is no saturation."""
RETRY_AFTER_S: Final = 1.0
"""When to come back: a backlog is worked off in about as much as it may have grown to."""


class Counted(Protocol):
    """Where the calls under way are counted, and those sent away."""

    @property
    def in_flight(self) -> int: ...

    shed: int


Later = Callable[[float, Callable[[], object]], object]
"""Calls a function after so many seconds, as `loop.call_later` does."""

Told = Callable[[str, int], object]
"""Told why calls are sent away from now on; empty when they no more are, and how many were."""


class Load:
    """The state of one process. For one event loop.

    Attributes:
        lag_s: By how much the event loop is behind its time, on average.
    """

    __slots__ = (
        "_counted",
        "_is_looking",
        "_later",
        "_max_in_flight",
        "_max_lag_s",
        "_now",
        "_since",
        "_told",
        "lag_s",
    )

    def __init__(
        self,
        counted: Counted,
        *,
        max_in_flight: int,
        max_lag_s: float,
        now: Callable[[], float],
        later: Later,
        told: Told,
    ) -> None:
        """Watch the process.

        Args:
            counted: The counts of calls.
            max_in_flight: Calls under way at once; 0: any number.
            max_lag_s: Longest lag of the event loop; 0: any.
            now: Monotonic clock.
            later: Sets timers.
            told: For the log.
        """
        self.lag_s = 0.0
        self._counted = counted
        self._max_in_flight = max_in_flight
        self._max_lag_s = max_lag_s
        self._now = now
        self._later = later
        self._told = told
        self._is_looking = False
        self._since: int | None = None  # how many had been sent away when it began

    def refusal(self) -> Saturated | None:
        """Why a call that has just come is sent away; `None`: it is not."""
        if not self._is_looking and self._max_lag_s:
            self._look()
        if self._max_in_flight and self._counted.in_flight >= self._max_in_flight:
            return self._refuse(f"{self._max_in_flight} calls are under way")
        if self._max_lag_s and self.lag_s > self._max_lag_s:
            return self._refuse(f"it is {self.lag_s:.1f} s behind")
        if self._since is not None:
            self._end()
        return None

    def _refuse(self, why: str) -> Saturated:
        counted = self._counted
        if self._since is None:
            self._since = counted.shed
            self._told(why, 0)
        counted.shed += 1
        return Saturated(
            f"the gateway has more to do than it can: {why}; come back in a moment",
            retry_after_s=RETRY_AFTER_S,
        )

    def _end(self) -> None:
        if self._since is not None:
            count, self._since = self._counted.shed - self._since, None
            self._told("", count)

    def _look(self) -> None:
        self._is_looking = True
        due = self._now() + LOOK_S

        def measure() -> None:
            lag_s = max(0.0, self._now() - due)
            self.lag_s += WEIGHT * (lag_s - self.lag_s)
            # On after the last call, until what it was measured by is forgotten.
            if self._counted.in_flight or self.lag_s > LOOK_S:
                self._look()
            else:
                self._is_looking = False
                self.lag_s = 0.0
                if self._since is not None:
                    self._end()

        self._later(LOOK_S, measure)
