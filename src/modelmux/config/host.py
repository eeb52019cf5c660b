"""What every process of a gateway settles for itself: its loop, its log, its collector."""

import asyncio
import gc
import sys
from collections.abc import Callable, Mapping

from modelmux.ingress.server import UvicornLog
from modelmux.telemetry.lines import Level
from modelmux.telemetry.log import LogWriter
from modelmux.telemetry.output import FdOutput, Output

if sys.platform != "win32":
    import uvloop

    from modelmux.telemetry.piped import PipedOutput

GC_THRESHOLD = 20_000
"""New objects between two runs of the collector; CPython's own 700 is fourteen calls."""

_LEVELS: Mapping[str, Level] = {"warning": "warn", "error": "error", "critical": "error"}
"""Levels of Python's logging in our words."""


def new_loop() -> asyncio.AbstractEventLoop:
    """The quickest event loop that the system has."""
    return asyncio.new_event_loop() if sys.platform == "win32" else uvloop.new_event_loop()


def stderr_output(tell: Callable[[str], None]) -> Output:
    """Where the log goes: what does not take time away from calls, where there is such a thing."""
    fd = sys.stderr.fileno()
    return FdOutput(fd) if sys.platform == "win32" else PipedOutput(fd, tell)


def take_uvicorns_log(log: LogWriter) -> None:
    """Have uvicorn's words stand in our log."""
    UvicornLog(lambda level, message: log.event(_LEVELS.get(level, "error"), message)).install()


def settle_collector() -> None:
    """Take what is there out of the collector's sight: it stays."""
    gc.collect()
    gc.freeze()
    # A call makes about fifty objects that it could see, and none of them is garbage.
    gc.set_threshold(GC_THRESHOLD)
