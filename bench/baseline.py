"""Compares a run with a recorded one.

Only what a machine's speed cancels out of is comparable between machines: ratios to nginx. Other
figures are compared too and marked as the machine's own. Nothing fails by being slow: a change is
shown with the noise of both runs beside it, and a person decides.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec

from bench.figure import Figure, Spread
from bench.report import Report, cell

PATH = Path(__file__).parent / "baseline.json"


class Entry(msgspec.Struct, frozen=True):
    """What is kept of a row."""

    figure: Figure
    compared: Spread


class Baseline(msgspec.Struct, frozen=True):
    """What is kept of a run."""

    machine: dict[str, str]
    entries: list[Entry]


def record(report: Report, path: Path = PATH) -> None:
    entries = [
        Entry(row.figure, compared)
        for row in report.rows
        if (compared := row.compared()) is not None
    ]
    encoded = msgspec.json.encode(Baseline(report.machine, entries))
    path.write_bytes(msgspec.json.format(encoded, indent=1) + b"\n")


def read(path: Path = PATH) -> Baseline | None:
    """The recorded run; `None` when there is none."""
    if not path.exists():
        return None
    return msgspec.json.decode(path.read_bytes(), type=Baseline)


def changes(report: Report, baseline: Baseline) -> Iterator[str]:
    """A line for each figure that both runs have."""
    same = report.machine.get("cpu") == baseline.machine.get("cpu")
    yield f"against the recorded run on {'this' if same else 'another'} kind of machine:"
    recorded = {entry.figure.key: entry for entry in baseline.entries}
    for row in report.rows:
        entry, now = recorded.get(row.figure.key), row.compared()
        if entry is None or now is None or not entry.compared.median:
            continue
        digits = 2 if row.figure.compared == "ratio" else row.figure.digits
        change = now.median / entry.compared.median - 1
        kind = "of nginx" if row.figure.compared == "ratio" else row.figure.unit
        yield (
            f"  {row.figure.section[:24]:24} {row.figure.title:40} "
            f"{cell(entry.compared, digits):>24} → {cell(now, digits):>24} {kind:8} "
            f"{change:+7.1%}{_verdict(entry.compared, now)}"
        )


def _verdict(before: Spread, now: Spread) -> str:
    """Whether the ranges are apart; with one value each nobody can tell."""
    if before.count < 2 or now.count < 2:
        return ""
    if now.low > before.high:
        return "  higher than every earlier round"
    if now.high < before.low:
        return "  lower than every earlier round"
    return "  within noise"
