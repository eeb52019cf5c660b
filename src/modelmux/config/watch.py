"""Noticing that the files of a configuration have changed."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import Final

from modelmux.config.load import Loaded

LOOK_S: Final = 1.0
"""How often files are looked at. Asking the system for a file's times takes a microsecond, works
on network file systems and through the links of a mounted volume, and needs no limit raised."""

Mark = tuple[int, int, int]
"""Device and number of a file, and when it changed."""


def marks(loaded: Loaded) -> dict[Path, Mark | None]:
    """Every file that the configuration was looked for in, with what tells whether it changed."""
    return {source.path: _mark(source.path) for source in loaded.sources}


def _mark(path: Path) -> Mark | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns


async def follow(
    loaded: Callable[[], Loaded],
    changed: Callable[[Iterable[Path]], Awaitable[object]],
    *,
    look_s: float = LOOK_S,
) -> None:
    """Call `changed` with files that have changed, each time once they rest; never returns.

    Args:
        loaded: The configuration in force. Nothing happens while it does not want to be followed.
        changed: Called with what has.
        look_s: How often they are looked at.
    """
    known = marks(loaded())
    before = known
    while True:
        await asyncio.sleep(look_s)
        if not loaded().config.server.watch_config:
            known = before = marks(loaded())
            continue
        now = marks(loaded())
        # Whoever writes a file may not be done: it counts once it is the same twice.
        if now == before and now != known:
            different = [path for path, mark in now.items() if known.get(path) != mark]
            known = now
            await changed(different)
        before = now
