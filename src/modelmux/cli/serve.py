"""`modelmux serve`: the gateway in the foreground."""

import os
from pathlib import Path
from typing import TypedDict

import click
from typing_extensions import Unpack

from modelmux.cli import output, parts
from modelmux.cli.options import Loading, config_option
from modelmux.config.load import Override
from modelmux.errors import ConfigError
from modelmux.ingress.address import FORMS, parse_address

HANDOVER = "MODELMUX_HANDOVER"
"""Variable in which a gateway that upgrades says so to the process that takes its place."""


class _Said(TypedDict):
    config: Path | None
    listen: tuple[str, ...]
    socket: tuple[str, ...]
    http: tuple[str, ...]
    verbose: bool
    log_format: str | None
    workers: int | None


def _addresses(
    _context: click.Context, _option: click.Parameter, texts: tuple[str, ...]
) -> tuple[str, ...]:
    for text in texts:
        try:
            parse_address(text)
        except ConfigError as exc:
            hint = f" ({exc.hint})" if exc.hint else ""
            raise click.BadParameter(f"{exc.message}{hint}") from None
    return texts


def _sockets(
    context: click.Context, option: click.Parameter, paths: tuple[str, ...]
) -> tuple[str, ...]:
    return _addresses(context, option, tuple(f"unix:{path}" for path in paths))


@click.command("serve")
@config_option
@click.option(
    "--listen",
    multiple=True,
    metavar="ADDR",
    callback=_addresses,
    help=f"Listen here and nowhere else; may be repeated. {FORMS}.",
)
@click.option(
    "-s", "--socket", multiple=True, metavar="PATH", callback=_sockets, help="--listen unix:PATH"
)
@click.option(
    "--http", multiple=True, metavar="[HOST]:PORT", callback=_addresses, help="--listen [HOST]:PORT"
)
@click.option("-v", "--verbose", is_flag=True, help="Log what is of interest when debugging.")
@click.option("--log-format", type=click.Choice(["text", "json"]), help="How log lines look.")
@click.option("--workers", type=click.IntRange(min=1), metavar="N", help="Processes that serve.")
@click.pass_obj
def command(debug: bool | None, **said: Unpack[_Said]) -> int:
    """Serve in the foreground until SIGINT or SIGTERM; a second one does not wait."""
    handover = os.environ.pop(HANDOVER, "")
    if handover and "LISTEN_PID" in os.environ:  # left there if systemd's sockets are meant for us
        os.environ["LISTEN_PID"] = str(os.getpid())
    load = Loading(said["config"], overrides(said, debug=bool(debug)))
    loaded = load()
    output.warn(loaded.warnings)
    return parts.serve(loaded, load, load.environ, handover)


def overrides(said: _Said, *, debug: bool) -> list[Override]:
    """What the options change in the configuration."""
    found: list[Override] = []
    listen = (*said["listen"], *said["socket"], *said["http"])
    if listen:
        option = "--listen" if said["listen"] else "--socket" if said["socket"] else "--http"
        found.append(Override(("server", "listen"), listen, option))
        found.append(Override(("listeners",), (), option))  # there, and nowhere else
    if said["verbose"]:
        found.append(Override(("server", "log_level"), "debug", "--verbose"))
    if said["log_format"]:
        found.append(Override(("server", "log_format"), said["log_format"], "--log-format"))
    if said["workers"] is not None:
        found.append(Override(("server", "workers"), said["workers"], "--workers"))
    if debug:
        found.append(Override(("server", "debug"), True, "--debug"))
    return found
