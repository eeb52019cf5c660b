"""Programs that tests start: emulators of providers, and the gateway itself."""

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from modelmux.cli.stop import is_alive

T = TypeVar("T")

READY_S = 20.0
"""Longest wait for a program to be ready: generous, because a machine under load is no failure."""

STOP_S = 10.0
"""Longest wait for a program to end after SIGTERM, before it is killed."""

POLL_S = 0.02


class ChildError(Exception):
    """The program did not do as a program should; the message holds the end of its output."""


class Child:
    """A running program whose output goes to `log_path`. The owner must `stop` it.

    Args:
        argv: The program and its arguments.
        directory: Working directory; the log is written there.
        env: The whole environment, or the test process's own.
    """

    def __init__(
        self, argv: Sequence[str], directory: Path, env: Mapping[str, str] | None = None
    ) -> None:
        self.name = Path(argv[0]).name
        self.log_path = directory / f"{self.name}.log"
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(
                argv,
                cwd=directory,
                env=None if env is None else dict(env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        """Everything the program has printed so far."""
        return self.log_path.read_text(errors="replace")

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_until(self, ready: Callable[[], T | None], what: str) -> T:
        """What `ready` gives once it gives something.

        Raises:
            ChildError: The program ended, or `READY_S` passed, before that.
        """
        give_up = time.monotonic() + READY_S
        while time.monotonic() < give_up:
            answer = ready()
            if answer is not None:
                return answer
            # Waiting for its end is the pause of this loop: a program that dies is noticed at once.
            code = self.wait(POLL_S)
            if code is not None:
                raise self._error(f"ended with {code} before {what}")
        raise self._error(f"not {what} after {READY_S:.0f} s")

    def wait(self, timeout_s: float | None = None) -> int | None:
        """The exit code once the program has ended, or nothing if it has not in `STOP_S`."""
        try:
            return self._process.wait(STOP_S if timeout_s is None else timeout_s)
        except subprocess.TimeoutExpired:
            return None

    def send(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def end(self, pid: int) -> None:
        """Ask a process that this one has started to end, and wait for it.

        Raises:
            ChildError: It had to be killed.
        """
        give_up = time.monotonic() + STOP_S
        was_asked = False
        while is_alive(pid):
            if time.monotonic() > give_up:
                os.kill(pid, signal.SIGKILL)
                raise self._error(f"left a process that did not end within {STOP_S:.0f} s")
            if not was_asked:
                os.kill(pid, signal.SIGTERM)
                was_asked = True
            self.wait(POLL_S)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask the program to end and wait for it; its exit code.

        Raises:
            ChildError: It had to be killed.
        """
        if self.is_running:
            self.send(number)
        code = self.wait()
        if code is None:
            self._process.kill()
            self._process.wait()
            raise self._error(f"did not end within {STOP_S:.0f} s of {number.name}")
        return code

    def _error(self, what: str) -> ChildError:
        return ChildError(f"{self.name} {what}; its output ends:\n{self.log[-4000:]}")
