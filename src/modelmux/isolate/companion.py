"""A gateway that is started for one run, where none is running."""

import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Final

from modelmux.isolate import kernel, wire
from modelmux.isolate.failure import Refused

START_S: Final = 20.0
"""Longest wait for it to be ready: generous, because a machine under load is no failure."""

_POLL_S: Final = 0.005
_STOP_S: Final = 5.0


class Started:
    """A gateway of our own, that listens nowhere but where nobody else can, and ends with us."""

    def __init__(self, folder: str, config: str) -> None:
        """Start it with the configuration `config`, or with what is found; sockets in `folder`."""
        os.makedirs(folder, 0o700, exist_ok=True)
        self._said = tempfile.TemporaryFile()  # noqa: SIM115 # as long as we live
        address = f"unix:{os.path.join(folder, f'isolate-{os.getpid()}.sock')}"
        argv = [sys.executable, "-m", "modelmux", "serve", "--listen", address]
        if config:
            argv += ["--config", config]
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 # we have one thread
            process_group=0,
        )
        pid = self._process.pid
        self._sandboxes = f"{folder}/sandbox-{pid}.sock"
        self._paths = (
            address.removeprefix("unix:"),
            self._sandboxes,
            f"{folder}/control-{pid}.sock",
        )

    def connect(self, dial: Callable[[str], socket.socket | None]) -> socket.socket:
        """A connection, once it is ready. Raises `Refused`."""
        give_up = time.monotonic() + START_S
        while time.monotonic() < give_up:
            if (sock := dial(self._sandboxes)) is not None:
                return sock
            if self._process.poll() is not None:
                break
            select.select([], [], [], _POLL_S)
        self._said.seek(0)
        last = self._said.read(wire.READ_BYTES).decode(errors="replace").strip()
        raise Refused(
            f"no gateway runs, and none can be started: {last or 'it gives no reason'}",
            hint="`modelmux serve` and `modelmux doctor` tell more",
        )

    def stop(self) -> None:
        """End it, and leave nothing of it."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._said.close()
        for path in self._paths:
            try:
                os.unlink(path)
            except OSError:
                continue  # it has done so itself


def _end_with_parent() -> None:
    kernel.die_with_parent(signal.SIGTERM)
