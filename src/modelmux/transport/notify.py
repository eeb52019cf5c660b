"""Telling systemd how a service stands, where it wants to know.

The protocol is one datagram for each message, to a unix socket that a variable names.
https://www.freedesktop.org/software/systemd/man/latest/sd_notify.html, read 2026-11-20.
"""

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

VARIABLE: Final = "NOTIFY_SOCKET"


class Notify:
    """Says so, or nothing where nobody listens. A message that cannot be sent is not missed."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        """Speak to whom `environ` names."""
        self._address = environ.get(VARIABLE, "")

    def ready(self) -> None:
        """It serves, by the configuration in force."""
        self._send("READY=1")

    def reloading(self) -> None:
        """It reloads; `ready` follows, also when the reload failed."""
        # The time by which systemd knows which of several reloads is over.
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """It takes no new calls."""
        self._send("STOPPING=1")

    def main_pid(self, pid: int) -> None:
        """The service goes on as another process."""
        self._send(f"MAINPID={pid}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        abstract = self._address.startswith("@")
        address = f"\0{self._address[1:]}" if abstract else self._address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)  # a full queue must not stall every call
            sock.sendto(message.encode(), address)
