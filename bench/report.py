"""The result as a table for people (plain or Markdown) and as JSON for programs."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from bench.figure import Figure, Row, Spread
from bench.session import QUIET_SHARE, Window


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a run was made."""

    rounds: int
    quick: bool
    server_core: int
    driver_core: int
    seconds: float


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A run with everything that is needed to judge it."""

    machine: dict[str, str]
    settings: Settings
    rows: list[Row]
    windows: list[Window]
    notes: list[str]

    def row(self, key: str) -> Row | None:
        return next((row for row in self.rows if row.figure.key == key), None)


def to_json(report: Report) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=1) + b"\n"


def to_text(report: Report) -> str:
    return "\n".join(_text_lines(report)) + "\n"


def to_markdown(report: Report) -> str:
    return "\n".join(_markdown_lines(report)) + "\n"


# --- cells ----------------------------------------------------------------------------------------


def number(value: float, digits: int) -> str:
    return f"{value:,.{digits}f}"


def cell(spread: Spread | None, digits: int) -> str:
    """A median, and the range if there was more than one value."""
    if spread is None:
        return "-"
    middle = number(spread.median, digits)
    if spread.count == 1:
        return middle
    return f"{middle} [{number(spread.low, digits)} to {number(spread.high, digits)}]"


def servers(rows: Iterable[Row]) -> list[str]:
    """The columns: who was measured, the direct call and nginx first, then as they came."""
    seen = {name: None for row in rows for name in row.by_server}
    first = [name for name in ("direct", "nginx") if name in seen]
    return first + [name for name in seen if name not in first]


def goal(figure: Figure, row: Row) -> str:
    """The goal, and whether the median is below it."""
    if figure.goal is None:
        return ""
    digits = 2 if figure.compared == "ratio" else figure.digits
    compared = row.compared()
    verdict = "" if compared is None else " ok" if compared.median <= figure.goal else " missed"
    return f"≤ {number(figure.goal, digits)}{verdict}"


def _cells(row: Row, columns: Sequence[str]) -> list[str]:
    figure = row.figure
    unit = f" ({figure.unit})" if figure.unit else ""
    return [
        f"{figure.title}{unit}",
        *(cell(row.by_server.get(name), figure.digits) for name in columns),
        cell(row.ratio, 2) if figure.compared == "ratio" else "",
        goal(figure, row),
    ]


def _sections(rows: Sequence[Row]) -> Mapping[str, list[Row]]:
    sections: dict[str, list[Row]] = {}
    for row in rows:
        sections.setdefault(row.figure.section, []).append(row)
    return sections


# --- plain ----------------------------------------------------------------------------------------


def _text_lines(report: Report) -> Iterator[str]:
    for name, value in report.machine.items():
        yield f"{name:10} {value}"
    yield settings_line(report.settings)
    for section, rows in _sections(report.rows).items():
        columns = servers(rows)
        table = [[section, *columns, "ratio", "goal"], *(_cells(row, columns) for row in rows)]
        widths = [max(len(line[i]) for line in table) for i in range(len(table[0]))]
        yield ""
        for line in table:
            padded = [line[0].ljust(widths[0])]
            padded += [text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True)]
            yield "  ".join(padded).rstrip()
    yield ""
    yield from quiet_lines(report.windows)
    yield from (f"note: {note}" for note in report.notes)


def settings_line(settings: Settings) -> str:
    return (
        f"{'run':10} rounds: {settings.rounds}{', quick' if settings.quick else ''}, "
        f"{settings.seconds:.0f} s; median [lowest to highest]; server on core "
        f"{settings.server_core}, load and upstream on core {settings.driver_core}"
    )


def quiet_lines(windows: Sequence[Window]) -> Iterator[str]:
    """How much others disturbed, and where the measuring side was the limit."""
    if not windows:
        return
    noisy = [window for window in windows if window.others >= QUIET_SHARE]
    worst = max(window.server_others for window in windows)
    driver = max(window.driver_others for window in windows)
    yield (
        f"{len(windows)} windows; others used at most {worst:.0%} of the server's core and "
        f"{driver:.0%} of the other; {len(noisy)} windows were not quiet"
    )
    limited = {
        f"{window.scenario} ({window.server})"
        for window in windows
        if window.server != "direct" and window.driver_busy > 0.97 and window.server_busy < 0.9
    }
    if limited:
        yield f"limited by load generator and upstream, not by the server: {_list(limited)}"


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


# --- Markdown -------------------------------------------------------------------------------------


def _markdown_lines(report: Report) -> Iterator[str]:
    for name, value in report.machine.items():
        yield f"- {name}: {value}"
    yield "- " + " ".join(settings_line(report.settings).split())
    for section, rows in _sections(report.rows).items():
        columns = servers(rows)
        yield ""
        yield f"| {section} | {' | '.join(columns)} | ratio | goal |"
        yield f"|---|{'---:|' * (len(columns) + 2)}"
        for row in rows:
            yield f"| {' | '.join(_cells(row, columns))} |"
    yield ""
    yield from quiet_lines(report.windows)
    yield from (f"- {note}" for note in report.notes)
