"""`modelmux status`: what a running gateway is doing."""

import time
from datetime import UTC, datetime
from pathlib import Path

import click

from modelmux.cli import control, output
from modelmux.cli.options import control_option, json_option

REFRESH_S = 1.0


@click.command("status")
@click.option("-w", "--watch", is_flag=True, help="Print it anew every second, until Ctrl-C.")
@control_option
@json_option
def command(control: Path | None, *, watch: bool, as_json: bool) -> int:
    """Show what a running gateway is doing."""
    return show(control, watch=watch, as_json=as_json)


def show(chosen: Path | None, *, watch: bool, as_json: bool) -> int:
    """Print the status once, or with `watch` until interrupted; the exit code."""
    gateway = control.find(chosen)
    _print(gateway.status(), as_json=as_json)
    try:
        while watch:
            time.sleep(REFRESH_S)
            status = gateway.status()
            click.clear()  # does nothing where the output is no terminal
            _print(status, as_json=as_json)
    except KeyboardInterrupt:
        return 0  # that is how one leaves
    return 0


def _print(status: control.Status, *, as_json: bool) -> None:
    if as_json:
        output.echo_json(status)
        return
    state = "stopping: no new calls" if status.draining else "serving"
    age = ago(status.started_at, datetime.now(UTC))
    calls = f"{status.in_flight} under way, {status.requests_total} in all"
    click.echo(f"modelmux {status.version}, pid {status.pid}, {state} for {age}")
    click.echo(f"  listens  {', '.join(status.listen)}")
    click.echo(f"  config   {', '.join(status.config_sources) or 'none'}{_since(status)}")
    if status.reload_failure:
        click.echo(f"  reload   failed, nothing has changed: {status.reload_failure}")
    click.echo(f"  calls    {calls}, {status.failures_total} failed")
    for worker in status.workers:
        calls = f"{worker.in_flight} under way, {worker.requests_total} in all"
        restarts = f", started again {worker.restarts} times" if worker.restarts else ""
        click.echo(f"  worker   pid {worker.pid}: {calls}{restarts}")
    for provider in status.providers:
        keys = f"{provider.keys_usable} of {provider.keys_total} keys usable"
        click.echo(f"  provider {provider.name}: {keys}")
    for target in status.targets:
        if target.state != "closed" or target.next_try_in_s or target.error_rate:
            click.echo(f"  target   {target.name}: {_fares(target)}")


def _since(status: control.Status) -> str:
    """When the configuration was reloaded, if it was."""
    if status.loaded_at == status.started_at:
        return ""
    return f", reloaded {ago(status.loaded_at, datetime.now(UTC))} ago"


def _fares(target: control.TargetStatus) -> str:
    """How a target fares, in words."""
    told = [f"breaker {target.state.replace('_', ' ')}"]
    if target.next_try_in_s:
        told.append(f"next try in {target.next_try_in_s:g} s")
    told.append(f"{target.error_rate:.0%} of the last calls failed")
    return ", ".join(told)


def ago(start: datetime, now: datetime) -> str:
    """How long it is since `start`, in its two largest units."""
    rest = max(0, int((now - start).total_seconds()))
    parts: list[str] = []
    for unit, seconds in (("d", 86_400), ("h", 3_600), ("min", 60), ("s", 1)):
        count, rest = divmod(rest, seconds)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"
