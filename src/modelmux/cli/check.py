"""`modelmux check`: asks every target whether it would answer."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import click
from msgspec import Struct

from modelmux.cli import output, parts
from modelmux.cli.failure import FAILURE, OK
from modelmux.cli.options import config_option, json_option, load_quietly
from modelmux.config.load import Loaded


class Result(Struct, frozen=True):
    """What `--json` prints for a target."""

    name: str
    ok: bool
    detail: str
    fix: str


@click.command("check")
@config_option
@json_option
def command(config: Path | None, *, as_json: bool) -> int:
    """Reach every target and show it our credentials. Exit code 1 if one would not answer.

    The gateway need not run: the configuration is read as it would read it.
    """
    loaded = load_quietly(config)
    results = asyncio.run(_check(loaded))
    if as_json:
        output.echo_json(results)
    else:
        output.warn(loaded.warnings)
        _print(results)
    return OK if all(each.ok for each in results) else FAILURE


async def _check(loaded: Loaded) -> list[Result]:
    async with parts.build(loaded) as gateway:
        found = await gateway.check()
        return [Result(each.name, each.ok, each.detail, each.fix) for each in found]


def _print(results: Sequence[Result]) -> None:
    for each in results:
        click.echo(f"{'ok  ' if each.ok else 'FAIL'}  {each.name}: {each.detail}")
        if each.fix and not each.ok:
            click.echo(f"      fix: {each.fix}")
    if not results:
        click.echo("no targets: nothing is configured, and nothing was found")
