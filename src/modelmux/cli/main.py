"""The entry point: finds the command, runs it, and turns failures into one line and an exit code.

This module imports nothing that costs time: `modelmux --help` prints a text that is written down
here, and a command's module is imported when the command is run.
"""

import sys
from collections.abc import Sequence
from types import TracebackType

from modelmux import __version__
from modelmux.cli.commands import COMMANDS, INSTEAD, LATER
from modelmux.cli.failure import OK, USAGE, complain


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments (by default the process's own) ask for; the exit code.

    Unless `--debug` is among them, no failure shows a traceback.
    """
    rest = list(sys.argv[1:] if arguments is None else arguments)
    debug = _take_debug(rest)
    if not debug and arguments is None:
        sys.excepthook = _brief
    if not rest:
        return _guarded("bare", [], debug=debug)
    first, *more = rest
    if first in {"-h", "--help", "help"}:
        sys.stdout.write(help_text())
        return OK
    if first in {"-V", "--version"}:
        sys.stdout.write(f"modelmux {__version__}\n")
        return OK
    if first.startswith("-"):
        return _guarded("serve", rest, debug=debug)
    if first == "isolate" and not debug and (code := _isolated(more)) is not None:
        return code
    if first in COMMANDS:
        return _guarded(first, more, debug=debug)
    return _unknown(first)


def _take_debug(arguments: list[str]) -> bool:
    """Whether `--debug` stands before any `--`; it is taken out."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    found = "--debug" in arguments[:end]
    arguments[:end] = [each for each in arguments[:end] if each != "--debug"]
    return found


def _isolated(arguments: Sequence[str]) -> int | None:
    """Run `modelmux isolate` without the library of commands, which takes longer than all of it.

    `None`: the command line is not as simple as that.
    """
    from modelmux.isolate.options import parse

    options = parse(arguments)
    if options is None:
        return None
    from modelmux.isolate import wrapper

    return wrapper.main(options)


def _guarded(name: str, arguments: Sequence[str], *, debug: bool) -> int:
    from modelmux.cli.guard import run_bare, run_command

    if name == "bare":
        return run_bare(debug=debug)
    return run_command(name, arguments, debug=debug)


def _unknown(name: str) -> int:
    from difflib import get_close_matches

    if name in LATER:
        hint = INSTEAD.get(name, "`modelmux --help` lists what is")
        return complain(f"`modelmux {name}` is not available in this version", hint, USAGE)
    near = get_close_matches(name, COMMANDS, n=1)
    hint = f"did you mean `modelmux {near[0]}`?" if near else "`modelmux --help` lists them"
    return complain(f"there is no command {name!r}", hint, USAGE)


def _brief(kind: type[BaseException], exc: BaseException, _: TracebackType | None) -> None:
    """A defect of our own, as `sys.excepthook`: one line."""
    complain(
        f"unexpected {kind.__name__}: {exc}", "`--debug` shows the traceback; please report it"
    )


def help_text() -> str:
    """What `modelmux --help` prints."""
    width = max(len(name) for name in COMMANDS) + 2
    lines = [f"  {name:<{width}}{entry.summary}" for name, entry in COMMANDS.items()]
    return _HELP.format(version=__version__, commands="\n".join(lines))


_HELP = """\
modelmux {version}: one front door for models, tools and agents

Usage: modelmux [COMMAND] [OPTIONS]

Without a command: serve. When stdin and stdout are both pipes, as MCP clients start it: mcp
(not available in this version). MODELMUX_MODE=serve or mcp decides by hand.

Commands:
{commands}

Options:
  -h, --help     this text; `modelmux COMMAND --help` for a command
  -V, --version  print the version
  --debug        tracebacks, with any command

Configuration, each layer over the one before: /etc/modelmux/config.toml,
~/.config/modelmux/config.toml, ./modelmux.toml, variables (MODELMUX_SERVER_PORT=3000), options.
Without any, providers whose usual variable is set (OPENAI_API_KEY, …) and a local Ollama are used.

Exit codes: 0 done, 1 failed, 2 wrong usage.
"""
