"""Writes to a file descriptor without ever blocking the event loop: a pipe may be full.

`piped` has the output of a gateway that serves, `FdOutput` that of everything else, and of a system
where no process can be started.
"""

import queue
import sys
import threading
from typing import Final, Protocol

from modelmux.telemetry.writer import write_all

MAX_HELD_BYTES: Final = 8 * 1024 * 1024
"""What may wait to be written. Whoever reads the log is too slow for more, and it is dropped."""


class Output(Protocol):
    """Where log lines go, in batches of whole lines."""

    @property
    def batch_lines(self) -> int:
        """How many lines are worth a batch before its time has come."""
        ...

    @property
    def lost_lines(self) -> int:
        """Lines that could not be written, in all."""
        ...

    def put(self, batch: bytes) -> None:
        """Write `batch` soon, after those before it. Never blocks, never raises."""
        ...

    def close(self, timeout_s: float) -> bool:
        """Write what is left; false if that took longer than `timeout_s`. Blocks."""
        ...


class FdOutput:
    """Writes from a thread of its own, which starts with the first batch.

    The descriptor stays open: it is not ours. Not for use after a fork.
    """

    def __init__(self, fd: int, max_held_bytes: int = MAX_HELD_BYTES) -> None:
        """Write to `fd`, blocking or not, and hold at most `max_held_bytes` for it."""
        self.batch_lines = sys.maxsize
        """A batch costs two changes of thread, so there are few, each in its time."""
        self._fd = fd
        self._max_held_bytes = max_held_bytes
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # of the two counts
        self._held_bytes = 0
        self._lost_lines = 0
        self._thread: threading.Thread | None = None

    @property
    def lost_lines(self) -> int:
        """Lines that found no room, or that the system would not take."""
        return self._lost_lines

    def put(self, batch: bytes) -> None:
        """Write `batch` soon, after those before it."""
        with self._lock:
            if self._held_bytes + len(batch) > self._max_held_bytes:
                self._lost_lines += batch.count(b"\n")
                return
            self._held_bytes += len(batch)
        if self._thread is None:
            # A daemon: a reader that has stopped reading must not keep the process from ending.
            self._thread = threading.Thread(target=self._run, name="modelmux-log", daemon=True)
            self._thread.start()
        self._queue.put(batch)

    def close(self, timeout_s: float) -> bool:
        """Write what is left; false if that took longer than `timeout_s`. Blocks."""
        if self._thread is None:
            return True
        self._queue.put(None)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            return False
        self._thread = None
        return True

    def _run(self) -> None:
        while (batch := self._queue.get()) is not None:
            written = write_all(self._fd, batch)
            with self._lock:
                self._held_bytes -= len(batch)
                self._lost_lines += batch.count(b"\n", written)
