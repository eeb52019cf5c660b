"""`modelmux models`: what can be asked for, and who answers."""

from decimal import Decimal
from pathlib import Path

import click
from msgspec import Struct

from modelmux.cli import output, parts
from modelmux.cli.options import config_option, json_option, load_quietly


class Prices(Struct, frozen=True):
    """US dollars per million tokens, as exact text; `None`: not known."""

    input: str | None
    output: str | None
    cache_read: str | None
    cache_write: str | None


class Row(Struct, frozen=True):
    """What `--json` prints for a model."""

    id: str
    targets: tuple[str, ...]
    context_tokens: int
    price_usd_per_million: Prices | None


@click.command("models")
@config_option
@click.option("--prices", is_flag=True, help="With the price of cached tokens too.")
@json_option
def command(config: Path | None, *, prices: bool, as_json: bool) -> int:
    """List what callers may ask for: targets, context, US dollars per million tokens."""
    rows = [_row(each) for each in parts.build(load_quietly(config)).models()]
    if as_json:
        output.echo_json(rows)
        return 0
    columns = ["MODEL", "TARGETS", "CONTEXT", "IN", "OUT"]
    if prices:
        columns += ["CACHE READ", "CACHE WRITE"]
    output.echo_table(columns, ([*_cells(row)][: len(columns)] for row in rows))
    return 0


def _row(row: parts.ModelRow) -> Row:
    return Row(
        row.id, tuple(row.targets), row.context_tokens, _prices(row.price) if row.price else None
    )


def _prices(price: parts.Price) -> Prices:
    return Prices(
        input=_exact(price.input),
        output=_exact(price.output),
        cache_read=_exact(price.cache_read),
        cache_write=_exact(price.cache_write),
    )


def _cells(row: Row) -> list[str]:
    price = row.price_usd_per_million
    amounts = (
        (price.input, price.output, price.cache_read, price.cache_write) if price else (None,) * 4
    )
    context = f"{row.context_tokens:,}" if row.context_tokens else "-"
    return [row.id, ", ".join(row.targets), context, *(each or "-" for each in amounts)]


def _exact(amount: Decimal | None) -> str | None:
    return None if amount is None else format(amount, "f")
