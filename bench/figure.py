"""Figures: what was measured, by server and round, and what is made of it.

A ratio is taken within one round and only then summarised, because the machine's speed drifts from
round to round and a ratio does not.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import msgspec

Compared = Literal["ratio", "value"]
"""What a goal and a baseline look at: the ratio to nginx, or the gateway's own value."""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the result."""

    key: str
    title: str
    unit: str
    section: str
    compared: Compared = "ratio"
    digits: int = 1
    goal: float | None = None
    """What the gateway is to stay below, on what is compared."""


class Spread(msgspec.Struct, frozen=True):
    """Some values of one thing."""

    median: float
    low: float
    high: float
    count: int


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A figure with its values."""

    figure: Figure
    by_server: dict[str, Spread]
    ratio: Spread | None = None
    """Gateway to nginx."""

    def compared(self) -> Spread | None:
        """The spread a goal or a baseline is about; `None`: the gateway was not measured."""
        return self.ratio if self.figure.compared == "ratio" else self.by_server.get("gateway")


def spread(values: Sequence[float]) -> Spread:
    return Spread(statistics.median(values), min(values), max(values), len(values))


@dataclass(slots=True)
class Ledger:
    """Collects values while rounds are run."""

    figures: dict[str, Figure] = field(default_factory=dict[str, Figure])
    values: dict[str, dict[str, list[float]]] = field(
        default_factory=dict[str, dict[str, list[float]]]
    )

    def note(self, figure: Figure, server: str, value: float) -> None:
        self.figures.setdefault(figure.key, figure)
        self.values.setdefault(figure.key, {}).setdefault(server, []).append(value)

    def rows(self, subject: str = "gateway") -> list[Row]:
        return [
            Row(
                figure=figure,
                by_server={name: spread(values) for name, values in self.values[key].items()},
                ratio=_ratio(self.values[key], subject) if figure.compared == "ratio" else None,
            )
            for key, figure in self.figures.items()
        ]


def _ratio(values: Mapping[str, Sequence[float]], subject: str) -> Spread | None:
    pairs = list(zip(values.get(subject, ()), values.get("nginx", ()), strict=False))
    if not pairs or any(nginx == 0 for _, nginx in pairs):
        return None
    return spread([gateway / nginx for gateway, nginx in pairs])
