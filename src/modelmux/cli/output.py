"""How commands print what they found: text for people, JSON for programs."""

import sys
from collections.abc import Iterable, Sequence

import click
import msgspec

WIDE = 10_000
"""Columns for output that is no terminal: nothing is cut or wrapped."""


def echo_json(value: object) -> None:
    """Print a value as indented JSON."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def echo_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows under their columns' names, wrapped to the terminal if there is one."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDE, highlight=False).print(
        table
    )


def warn(lines: Iterable[str]) -> None:
    """Print warnings on stderr, one line each."""
    for line in lines:
        click.echo(f"warning: {line}", err=True)
