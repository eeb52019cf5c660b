"""`modelmux logs`: the log of a running gateway."""

import sys
from pathlib import Path

import click

from modelmux.cli import control
from modelmux.cli.options import control_option


@click.command("logs")
@click.option("-f", "--follow", is_flag=True, help="Go on with what is logged from now on.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, 1000),
    default=50,
    show_default=True,
    metavar="N",
    help="How many of the last lines.",
)
@control_option
def command(control: Path | None, *, follow: bool, lines: int) -> int:
    """Print the end of a running gateway's log."""
    return show(control, lines=lines, follow=follow)


def show(chosen: Path | None, *, lines: int, follow: bool) -> int:
    """Print the log, and with `follow` go on until interrupted; the exit code."""
    try:
        for chunk in control.find(chosen).logs(lines, follow=follow):
            sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
    except KeyboardInterrupt:
        if not follow:
            raise
    return 0
