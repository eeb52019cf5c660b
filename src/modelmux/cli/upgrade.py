"""`modelmux upgrade`: has a running gateway go on as a new process, of the code now on the disk."""

from pathlib import Path

import click

from modelmux.cli import control, output
from modelmux.cli.failure import FAILURE, OK, complain
from modelmux.cli.options import control_option, json_option


@click.command("upgrade")
@control_option
@json_option
def command(control: Path | None, *, as_json: bool) -> int:
    """Have a new process take over the sockets, without losing any call.

    It runs the same command line with the code and the configuration that are now on the disk. If
    it cannot serve, the old one goes on, and what is wrong is told.
    """
    return upgrade(control, as_json=as_json)


def upgrade(chosen: Path | None, *, as_json: bool) -> int:
    """Have a gateway upgrade; the exit code.

    Raises:
        CommandFailed: It could not be asked.
    """
    gateway = control.find(chosen)
    before = gateway.status().pid
    upgraded = gateway.upgrade()
    if as_json:
        output.echo_json(upgraded)
    elif upgraded.upgraded:
        click.echo(f"pid {upgraded.pid} has taken over; pid {before} ends with its last call")
    else:
        for problem in upgraded.problems:
            complain(problem.message, problem.hint)
        complain(f"not upgraded: pid {before} goes on")
    return OK if upgraded.upgraded else FAILURE
