"""`modelmux doctor`: the surroundings, with a fix for each finding."""

import os
from importlib.util import find_spec
from pathlib import Path

import click

from modelmux.cli import control, findings, output, parts
from modelmux.cli.failure import FAILURE, OK
from modelmux.cli.findings import Finding
from modelmux.cli.options import config_option, json_option, load_config
from modelmux.config.paths import directories
from modelmux.errors import ConfigError

_MARKS = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}


@click.command("doctor")
@config_option
@json_option
def command(config: Path | None, *, as_json: bool) -> int:
    """Check Python, configuration, keys, hosts, ports and folders. Exit code 1 if one fails."""
    found = [*findings.environment()]
    try:
        loaded = load_config(config)
    except ConfigError as exc:
        found += [*findings.broken(exc), *findings.folders(directories())]
    else:
        found += findings.configuration(loaded)
        found += findings.folders(directories())
        found += findings.listeners(loaded, _ours())
        found += findings.providers(loaded, parts.provider_types(), findings.reach)
        library = find_spec("google") is not None and find_spec("google.auth") is not None
        found += findings.google(loaded, os.environ, Path.home(), has_library=library)
    if as_json:
        output.echo_json(found)
    else:
        _print(found)
    return OK if findings.is_sound(found) else FAILURE


def _ours() -> dict[str, int]:
    """Where gateways of this user listen, with their pids."""
    return {address: status.pid for _, status in control.running() for address in status.listen}


def _print(found: list[Finding]) -> None:
    for each in found:
        click.echo(f"{_MARKS[each.state]}  {each.subject}: {each.detail}")
        if each.fix and each.state != "ok":
            click.echo(f"      fix: {each.fix}")
