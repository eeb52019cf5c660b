"""`modelmux version`."""

import click

from modelmux import __version__
from modelmux.cli import output
from modelmux.cli.options import json_option


@click.command("version")
@json_option
def command(*, as_json: bool) -> int:
    """Print the version."""
    if as_json:
        output.echo_json({"version": __version__})
    else:
        click.echo(f"modelmux {__version__}")
    return 0
