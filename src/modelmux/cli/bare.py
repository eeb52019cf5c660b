"""What `modelmux` without a command is: a gateway, or an MCP server for who started it."""

import os
import stat
import sys
from collections.abc import Mapping
from typing import Literal

from modelmux.cli.failure import Misused, complain

Mode = Literal["serve", "mcp"]

VARIABLE = "MODELMUX_MODE"
STDIN, STDOUT = 0, 1


def mode(environ: Mapping[str, str], stdin: int = STDIN, stdout: int = STDOUT) -> Mode:
    """How to start: as `$MODELMUX_MODE` says; else `mcp` if both ends are pipes or sockets.

    One line on stderr says which, and why.

    Raises:
        Misused: The variable holds another word.
    """
    said = environ.get(VARIABLE, "").strip().lower()
    if said in {"serve", "mcp"}:
        found: Mode = "mcp" if said == "mcp" else "serve"
        why = f"{VARIABLE}={said}"
    elif said:
        raise Misused(f"{VARIABLE}: expected serve or mcp, got {said!r}")
    elif _is_channel(stdin) and _is_channel(stdout):
        found, why = "mcp", "stdin and stdout are pipes"
    else:
        found, why = "serve", "no command was given"
    sys.stderr.write(f"modelmux: {found} ({why})\n")
    return found


def refuse_mcp() -> int:
    """Say that there is no MCP server yet; the exit code."""
    return complain(
        "the MCP server is not available in this version",
        f"for the gateway: `modelmux serve`, or {VARIABLE}=serve",
    )


def _is_channel(descriptor: int) -> bool:
    try:
        kind = os.fstat(descriptor).st_mode
    except OSError:  # closed
        return False
    return stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)
