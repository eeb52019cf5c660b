"""`modelmux reload`: has a running gateway put its changed configuration in force."""

from pathlib import Path

import click

from modelmux.cli import control, output
from modelmux.cli.failure import FAILURE, OK, complain
from modelmux.cli.options import control_option, json_option


@click.command("reload")
@control_option
@json_option
def command(control: Path | None, *, as_json: bool) -> int:
    """Put a changed configuration in force, without interrupting any call.

    One that cannot be used changes nothing, and is told.
    """
    return reload(control, as_json=as_json)


def reload(chosen: Path | None, *, as_json: bool) -> int:
    """Have a gateway reload; the exit code.

    Raises:
        CommandFailed: It could not be asked.
    """
    reloaded = control.find(chosen).reload()
    if as_json:
        output.echo_json(reloaded)
    elif reloaded.reloaded:
        click.echo("reloaded")
        for change in reloaded.changes or ("nothing has changed",):
            click.echo(f"  {change}")
        output.warn(reloaded.notes)
    else:
        for problem in reloaded.problems:
            complain(problem.message, problem.hint)
        complain("not reloaded: the configuration before is still in force")
    return OK if reloaded.reloaded else FAILURE
