"""Processes of our own that go on with our sockets: a new version of us, or a worker."""

import asyncio
import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

_LOOK_S: Final = 0.1
"""How often it is asked whether a process has ended, where the system does not tell (macOS)."""


class Child:
    """A process that inherits descriptors. Whoever starts it must `wait` for it, or `kill` it."""

    def __init__(
        self,
        argv: Sequence[str],
        *,
        environ: Mapping[str, str],
        fds: Sequence[int],
        stderr: int | None = None,
    ) -> None:
        """Start it.

        Args:
            argv: Program and arguments.
            environ: Its whole environment.
            fds: Descriptors that it has too, under the same numbers.
            stderr: Where its errors go; where ours do if not given.

        Raises:
            OSError: There is no such program, or no room for another process.
        """
        # Not shell-interpreted, and made of our own command line.
        self._process = subprocess.Popen(  # noqa: S603
            list(argv), env=dict(environ), pass_fds=tuple(fds), stderr=stderr
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def has_ended(self) -> bool:
        return self._process.poll() is not None

    def kill(self) -> None:
        """End it at once, if it has not ended."""
        if self._process.poll() is None:
            self._process.kill()

    def terminate(self) -> None:
        """Ask it to end, if it has not ended."""
        if self._process.poll() is None:
            self._process.terminate()

    def release(self) -> None:
        """Let it go on alone: it outlives us, and nobody waits for it."""
        self._process.returncode = 0  # what keeps Python from missing that

    async def wait(self) -> int:
        """Its exit code, once it has ended; below 0: the signal that ended it."""
        with contextlib.suppress(OSError, AttributeError):  # systems without it are asked instead
            await _told(self.pid)
        while (code := self._process.poll()) is None:  # noqa: ASYNC110 # nobody sets an event
            await asyncio.sleep(_LOOK_S)
        return code


async def _told(pid: int) -> None:
    """Return once a process has ended. Raises `AttributeError` or `OSError` where nobody tells."""
    fd = os.pidfd_open(pid)
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def has_ended() -> None:
        if not ended.done():
            ended.set_result(None)

    loop.add_reader(fd, has_ended)
    try:
        await ended
    finally:
        loop.remove_reader(fd)
        os.close(fd)


def how_it_ended(code: int) -> str:
    """An exit code in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
