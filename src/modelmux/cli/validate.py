"""`modelmux validate`: the configuration and nothing else."""

from pathlib import Path

import click
from msgspec import Struct

from modelmux.cli import output
from modelmux.cli.failure import FAILURE, OK, complain
from modelmux.cli.options import json_option, load_config
from modelmux.config import vertex
from modelmux.config.load import Loaded
from modelmux.errors import ConfigError


class Problem(Struct, frozen=True):
    message: str
    hint: str


class Verdict(Struct, frozen=True):
    """What `--json` prints."""

    valid: bool
    problems: list[Problem]
    warnings: list[str]


@click.command("validate")
@click.argument("path", required=False, type=click.Path(path_type=Path, dir_okay=False))
@json_option
def command(path: Path | None, *, as_json: bool) -> int:
    """Check the configuration that counts here, or the one in PATH in its place."""
    return validate(path, as_json=as_json)


def validate(path: Path | None, *, as_json: bool) -> int:
    """Load the configuration and tell what is wrong with it; the exit code."""
    try:
        loaded = load_config(path)
    except ConfigError as exc:
        problems = [Problem(each.message, each.hint) for each in exc.problems]
        if as_json:
            output.echo_json(Verdict(valid=False, problems=problems, warnings=[]))
        else:
            for each in problems:
                complain(each.message, each.hint)
        return FAILURE
    if as_json:
        output.echo_json(Verdict(valid=True, problems=[], warnings=list(loaded.warnings)))
    else:
        output.warn(loaded.warnings)
        click.echo(f"valid: {summary(loaded)}")
    return OK


def summary(loaded: Loaded) -> str:
    """What a configuration comes to, in one line."""
    config = loaded.config
    shorthand = [vertex.NAME] if vertex.is_used(config.vertex) else []
    providers = ", ".join([*(provider.name for provider in config.providers), *shorthand])
    listen = ", ".join(str(address) for address in config.addresses)
    parts = [
        f"listens on {listen}",
        f"providers: {providers or 'none'}",
        f"{len(config.models)} models of its own",
        f"{len(config.keys)} keys",
    ]
    return "; ".join(parts)
