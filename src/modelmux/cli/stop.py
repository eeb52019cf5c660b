"""`modelmux stop`: ends a running gateway."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import click

from modelmux.cli import control, output
from modelmux.cli.failure import CommandFailed
from modelmux.cli.options import control_option, json_option

POLL_S = 0.1

LAST_S = 5.0
"""Longest wait for a process that has closed its sockets: it still writes its log."""


@click.command("stop")
@click.option("--now", is_flag=True, help="Drop calls under way instead of letting them end.")
@click.option("--no-wait", is_flag=True, help="Return at once.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for its end.",
)
@control_option
@json_option
def command(
    control: Path | None, *, now: bool, no_wait: bool, timeout: float, as_json: bool
) -> int:
    """Stop a running gateway and wait until it has ended."""
    return stop(control, now=now, timeout_s=0 if no_wait else timeout, as_json=as_json)


def stop(
    chosen: Path | None,
    *,
    now: bool,
    timeout_s: float,
    as_json: bool,
    sleep: Callable[[float], None] = time.sleep,
    lives: Callable[[int], bool] | None = None,
) -> int:
    """Tell a gateway to stop and wait for its end; the exit code.

    Args:
        chosen: Its control socket; `None`: of the one that runs.
        now: Drop calls under way.
        timeout_s: Longest wait.
        as_json: How to say it.
        sleep: Pauses.
        lives: Whether a process is there; what the system says if not given.

    Raises:
        CommandFailed: It still runs after `timeout_s`; 0 does not wait.
    """
    gateway = control.find(chosen)
    pid = gateway.status().pid
    gateway.stop(now=now)
    stopped = not timeout_s or _wait(gateway, timeout_s, sleep)
    if not stopped:
        raise CommandFailed(
            f"the gateway (pid {pid}) still runs after {timeout_s:g} s",
            hint="calls under way hold it; `modelmux stop --now` drops them",
        )
    if timeout_s:
        _wait_for_process(pid, sleep, lives or is_alive)
    if as_json:
        output.echo_json({"pid": pid, "stopped": bool(timeout_s)})
    else:
        click.echo(f"pid {pid} {'has stopped' if timeout_s else 'was told to stop'}")
    return 0


def _wait(gateway: control.Gateway, timeout_s: float, sleep: Callable[[float], None]) -> bool:
    """Whether it ended in time."""
    for _ in range(max(1, round(timeout_s / POLL_S))):
        try:
            gateway.status()
        except control.Gone:
            return True
        except CommandFailed:
            pass  # about to be gone, or too busy to say: the next look tells
        sleep(POLL_S)
    return False


def _wait_for_process(
    pid: int, sleep: Callable[[float], None], lives: Callable[[int], bool]
) -> None:
    """Return once the process is gone, or could be somebody else's with its number."""
    for _ in range(round(LAST_S / POLL_S)):
        if not lives(pid):
            return
        sleep(POLL_S)


def is_alive(pid: int) -> bool:
    """Whether a process of ours has that number and has not ended, as far as can be told."""
    if sys.platform == "win32":
        return False
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    try:
        # One that nobody has waited for yet has ended all the same. proc_pid_stat(5).
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return True
    return state not in {"Z", "X"}
