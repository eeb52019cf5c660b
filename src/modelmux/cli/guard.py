"""Runs a command, and turns what it raises on purpose into one line and an exit code."""

import os
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import click

from modelmux.cli import bare
from modelmux.cli.commands import COMMANDS
from modelmux.cli.failure import FAILURE, OK, USAGE, CommandFailed, Misused, complain
from modelmux.config.environment import read_dotenv
from modelmux.errors import ConfigError, GatewayError


def run_command(name: str, arguments: Sequence[str], *, debug: bool) -> int:
    """Run a command of `COMMANDS`; the exit code."""

    def action() -> int:
        command: click.Command = import_module(COMMANDS[name].module).command
        code: object = command.main(
            list(arguments),
            prog_name=f"modelmux {name}",
            standalone_mode=False,
            obj=debug,
            help_option_names=["-h", "--help"],
        )
        return code if isinstance(code, int) else OK

    return guarded(action, debug=debug)


def run_bare(*, debug: bool) -> int:
    """Run what `modelmux` without a command is; the exit code."""

    def action() -> int:
        environ = dict(os.environ)
        read_dotenv(Path.cwd(), environ)  # which may decide; who serves reads it for good
        if bare.mode(environ) == "mcp":
            return bare.refuse_mcp()
        return run_command("serve", [], debug=debug)

    return guarded(action, debug=debug)


def guarded(action: Callable[[], int], *, debug: bool) -> int:
    """The exit code of an action; a failure that it raises on purpose is told on stderr.

    With `debug`, failures other than wrong usage are raised as they are.
    """
    try:
        code = action()
        sys.stdout.flush()
    except BrokenPipeError:
        # Who read our output has gone: nothing may be said, not even at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except KeyboardInterrupt:
        return FAILURE
    except click.Abort:
        return complain("aborted")
    except click.UsageError as exc:
        command = exc.ctx.command_path if exc.ctx else "modelmux"
        return complain(exc.format_message(), f"`{command} --help` says more", USAGE)
    except (click.ClickException, CommandFailed, GatewayError) as exc:
        if debug:
            raise
        return _told(exc)
    return code


def _told(exc: click.ClickException | CommandFailed | GatewayError) -> int:
    match exc:
        case click.ClickException():
            return complain(exc.format_message())
        case CommandFailed():
            return complain(exc.message, exc.hint, USAGE if isinstance(exc, Misused) else FAILURE)
        case ConfigError():
            for problem in exc.problems:
                complain(problem.message, problem.hint)
            return FAILURE
        case GatewayError():
            return complain(exc.message)
