"""`modelmux config`: init, show, validate, edit, schema."""

from pathlib import Path

import click
from msgspec import Struct

from modelmux.cli import output
from modelmux.cli.edit import edit
from modelmux.cli.failure import OK
from modelmux.cli.init import init
from modelmux.cli.options import config_option, json_option, load_config
from modelmux.cli.validate import validate
from modelmux.config.jsonschema import json_schema
from modelmux.config.show import Row, rows, text


class _Origin(Struct, frozen=True):
    layer: str
    file: str
    line: int


class _Value(Struct, frozen=True):
    key: str
    value: object
    origin: _Origin


class _Source(Struct, frozen=True):
    layer: str
    path: str
    found: bool


class Shown(Struct, frozen=True):
    """What `show --json` prints. Secrets are masked."""

    values: list[_Value]
    sources: list[_Source]
    warnings: list[str]


@click.group("config", invoke_without_command=True)
@click.pass_context
def command(context: click.Context) -> int:
    """Make, see and check the configuration."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
    return OK


@command.command("show")
@config_option
@json_option
@click.option("--set", "only_said", is_flag=True, help="Only what is said somewhere.")
def show(*, config: Path | None, as_json: bool, only_said: bool) -> int:
    """Print every value that counts and where it was said, without secrets."""
    loaded = load_config(config)
    found = [row for row in rows(loaded) if not only_said or row.origin.layer != "default"]
    if as_json:
        values = [_Value(row.key, row.value, _origin(row)) for row in found]
        sources = [_Source(each.layer, str(each.path), each.found) for each in loaded.sources]
        output.echo_json(Shown(values, sources, list(loaded.warnings)))
        return OK
    for source in loaded.sources:
        click.echo(f"# {source.layer}: {source.path}{'' if source.found else ' (not there)'}")
    for line, row in _aligned(found):
        click.echo(f"{line}  # {row.origin}")
    output.warn(loaded.warnings)
    return OK


def _origin(row: Row) -> _Origin:
    return _Origin(row.origin.layer, row.origin.file, row.origin.line)


def _aligned(found: list[Row]) -> list[tuple[str, Row]]:
    """Each row as text, padded so that most origins stand under one another."""
    lines = [text(row) for row in found]
    width = min(max(map(len, lines), default=0), 60)
    return [(f"{line:<{width}}", row) for line, row in zip(lines, found, strict=True)]


@command.command("validate")
@click.argument("path", required=False, type=click.Path(path_type=Path, dir_okay=False))
@json_option
def _validate(path: Path | None, *, as_json: bool) -> int:
    """Check the configuration that counts here, or the one in PATH in its place."""
    return validate(path, as_json=as_json)


@command.command("schema")
def schema() -> int:
    """Print the JSON Schema of the configuration, for editors."""
    output.echo_json(json_schema())
    return OK


command.add_command(init)
command.add_command(edit)
