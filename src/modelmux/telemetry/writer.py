"""The process that writes the log: what comes on its standard input goes to its standard error.

Only the writing blocks, and only here, so neither a slow disk nor a full pipe stalls the gateway;
and unlike a thread it does not take the interpreter away from calls. It is run by its path, with
nothing imported but the standard library: it starts in 10 ms and needs no more than Python itself.

It ends when its input does, which is when the gateway ends, however that came about. Signals are
the gateway's: one that is sent to all processes of a group must not end the log before its last
lines. What could not be written is told on its standard output, a line of digits each time.
"""

import os
import select
import signal
from typing import Final

CHUNK_BYTES: Final = 65_536
"""Most that is read at once, and so what is lost when this process is killed."""

_IGNORED: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGPIPE")


def write_all(fd: int, batch: bytes) -> int:
    """How many bytes of `batch` the system took; not all if it would not. Blocks."""
    written = 0
    while written < len(batch):
        try:
            written += os.write(fd, memoryview(batch)[written:])
        except BlockingIOError:  # whoever shares the descriptor made it non-blocking
            select.select([], [fd], [])
        except OSError:  # nobody reads any more, or the disk is full: nowhere to say so
            break
    return written


def pump(source: int, sink: int, report: int) -> None:
    """Write what comes until there is no more; tell on `report` how many lines were lost."""
    while chunk := os.read(source, CHUNK_BYTES):
        written = write_all(sink, chunk)
        if lost := chunk.count(b"\n", written):
            write_all(report, b"%d\n" % lost)


def main() -> None:
    """Be the process."""
    for name in _IGNORED:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    pump(0, 2, 1)


if __name__ == "__main__":
    main()
