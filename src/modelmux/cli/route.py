"""`modelmux route explain`: whom a call would go to, and why."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import click

from modelmux.cli import output, parts
from modelmux.cli.options import config_option, json_option, load_quietly

if TYPE_CHECKING:
    from modelmux.target.explain import CandidateSeen, Explanation


@click.group("route")
def command() -> None:
    """Show who would answer a call."""


@command.command("explain")
@click.argument("model", required=False)
@config_option
@click.option("--body", type=click.File("rb"), metavar="FILE", help="The request's body; -: stdin.")
@click.option("--wire", default="openai.chat", metavar="WIRE", help="The API it is of.")
@click.option("--header", "headers", multiple=True, metavar="NAME:VALUE", help="A header.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="A label of the call.")
@click.option("--key", default="", metavar="NAME", help="The key that asks, by its name.")
@json_option
def explain(  # noqa: PLR0913 # one for each option
    *,
    model: str | None,
    config: Path | None,
    body: BinaryIO | None,
    wire: str,
    headers: Sequence[str],
    tags: Sequence[str],
    key: str,
    as_json: bool,
) -> int:
    """Show which rule and target a call for MODEL would meet, and why. Nobody is asked.

    What is told is of a gateway that has just started: no target has failed yet.
    """
    raw = body.read() if body is not None else None
    if raw is None and not model:
        raise click.UsageError("expected a MODEL, or --body FILE")
    from modelmux.config.asking import Asked

    asked = Asked(
        wire,
        model or "",
        raw,
        tuple(_pair(each, ":") for each in headers),
        dict(_pair(each, "=") for each in tags),
        key,
    )
    found = parts.explain(load_quietly(config), asked)
    if as_json:
        output.echo_json(found)
        return 0
    _print(found)
    return 0 if found.target else 1


def _pair(text: str, mark: str) -> tuple[str, str]:
    name, _, value = text.partition(mark)
    return name.strip().lower(), value.strip()


def _print(found: "Explanation") -> None:
    if found.target:
        by = "" if found.answered_as in {found.model, found.target} else f", as {found.answered_as}"
        click.echo(f"{found.model} is answered by {found.target}{by}")
    else:
        click.echo(f"{found.model} is answered by nobody: {found.problem}")
    if found.region:
        click.echo(f"  region  {found.region}")
    for number, rule in enumerate(found.rules, 1):
        click.echo(f"  rule {number}  {rule.outcome}: {rule.when}")
        if rule.outcome != "comes too late" and rule.facts:
            told = ", ".join(f"{name} = {_value(value)}" for name, value in rule.facts.items())
            click.echo(f"            {told}")
    if found.candidates:
        click.echo(f"  chosen by {found.strategy}")
    for each in found.candidates:
        click.echo(f"    {each.name}  {each.outcome}{_traits(each)}")


def _traits(seen: "CandidateSeen") -> str:
    told: list[str] = []
    if seen.weight != 1:
        told.append(f"weight {seen.weight:g}")
    if seen.price_usd_per_million:
        told.append(f"{seen.price_usd_per_million:g} USD per million tokens")
    if seen.regions:
        told.append(f"in {', '.join(seen.regions)}")
    return f" ({'; '.join(told)})" if told else ""


def _value(value: object) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else str(value)
