"""The first process of a sandbox that bubblewrap made: `python -m modelmux.isolate.bwrapped`."""

import os
import signal
import socket
import sys
from typing import cast

from modelmux.isolate import inside, wire

MAX_PROGRAM_BYTES = 4 * 1024 * 1024
"""Arguments and environment: the system allows no more."""


def main() -> None:
    """Run the program that a descriptor tells of; never returns."""
    line = socket.socket(fileno=int(sys.argv[1]))
    told = wire.decoded(os.read(int(sys.argv[2]), MAX_PROGRAM_BYTES))
    code = 1
    try:
        code = inside.supervise(line, inside.open_network(line), program(told))
    except OSError as exc:
        text = f"the sandbox cannot be made: {exc.strerror or exc}"
        line.sendall(wire.encoded({"refused": text, "hint": ""}))
    finally:
        os._exit(code)


def program(told: wire.Message) -> inside.Program:
    """What is to be run."""
    return inside.Program(
        cast("list[str]", told["argv"]),
        cast("dict[str, str]", told["environ"]),
        wire.number_of(told, "terminal"),
        {signal.Signals(number) for number in cast("list[int]", told["held"])},
        bool(told.get("front")),
    )


if __name__ == "__main__":
    main()
