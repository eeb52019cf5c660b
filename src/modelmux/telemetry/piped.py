"""The log of a gateway that serves: a pipe to a process that writes (`writer`).

Theory of operation. A batch goes into the pipe at once; what finds no room there is held, and goes
when the event loop says that there is some. Held bytes are bounded, and what does not fit is
dropped and counted: the writer blocks, the gateway never does.

We keep the pipe's reading end open too, so what is in the pipe outlives the writer. When its
standard output ends, it has ended, and another one goes on reading; one that ends again and again
is not replaced, and a thread writes from then on. Both are said in the log.
"""

import asyncio
import contextlib
import fcntl
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from modelmux.telemetry import writer
from modelmux.telemetry.output import MAX_HELD_BYTES, FdOutput
from modelmux.telemetry.writer import CHUNK_BYTES, write_all

PIPE_BYTES: Final = 1024 * 1024
"""What the pipe is to hold: as much as Linux allows everybody. Asked for, not insisted on."""

BATCH_LINES: Final = 64
"""A batch is a system call of 20 µs or so: as many lines as that nobody notices it. All lines of a
quarter of a second at once were a pause of two milliseconds."""

MAX_RESTARTS: Final = 3
RESTARTS_WITHIN_S: Final = 60.0
"""A writer that has ended so often within this time is not replaced."""

_NOT_THE_WRITERS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

COMMAND: Final = (sys.executable, "-I", "-S", writer.__file__)

Tell = Callable[[str], None]


class PipedOutput:
    """Writes from a process of its own, which starts with the first batch.

    The descriptor stays open: it is not ours. For one event loop; without one running, and once
    closed, it writes by itself.
    """

    def __init__(
        self,
        fd: int,
        tell: Tell,
        max_held_bytes: int = MAX_HELD_BYTES,
        *,
        command: Sequence[str] = COMMAND,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Write to `fd`, and hold at most `max_held_bytes` for it beside what the pipe holds.

        Args:
            fd: Where to.
            tell: Told in words what has gone wrong with the writing, once for each time.
            max_held_bytes: For how many bytes that find no room in the pipe there is memory.
            command: Starts the writer.
            now: Monotonic clock.
        """
        self.batch_lines = BATCH_LINES
        self.lost_lines = 0
        self._tell = tell
        self._fd = fd
        self._max_held_bytes = max_held_bytes
        self._command = command
        self._now = now
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._source = self._sink = -1
        self._loop: asyncio.AbstractEventLoop | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._ended_at: deque[float] = deque(maxlen=MAX_RESTARTS)
        self._said = b""
        self._waits_for_room = False
        self._is_closed = False
        self._direct: FdOutput | None = None

    def put(self, batch: bytes) -> None:
        """Write `batch` soon, after those before it."""
        if self._process is None and self._direct is None and not self._is_closed:
            self._open()
        if self._direct is not None:
            self._direct.put(batch)
        elif self._process is None:
            self._write_now(batch)
        elif self._held_bytes + len(batch) > self._max_held_bytes:
            self.lost_lines += batch.count(b"\n")
        else:
            self._held.append(batch)
            self._held_bytes += len(batch)
            if len(self._held) == 1:
                self._send()

    def close(self, timeout_s: float) -> bool:
        """Write what is left; false if that took longer than `timeout_s`. Blocks."""
        self._is_closed = True
        if self._direct is not None:
            return self._direct.close(timeout_s)
        process, self._process = self._process, None
        if process is None:
            return True
        end = self._now() + timeout_s
        self._forget_loop(process)
        while self._held and process.poll() is None and (left_s := end - self._now()) > 0:
            select.select([], [self._sink], [], left_s)
            self._send()
        os.close(self._sink)
        is_stuck = False
        try:
            process.wait(max(0.0, end - self._now()))
        except subprocess.TimeoutExpired:  # nobody reads what it writes
            is_stuck = True
            process.kill()
            process.wait()
        self._count_reports(process)
        _forget(process)
        for batch in self._unwritten():
            if is_stuck:
                self.lost_lines += batch.count(b"\n")
            else:  # it had ended by itself
                self._write_now(batch)
        return not is_stuck

    def _open(self) -> None:
        """Start the writer, if there is an event loop that can serve it."""
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            return
        self._source, self._sink = os.pipe()
        os.set_blocking(self._sink, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):  # the system's limit for this user is reached
                fcntl.fcntl(self._sink, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        self._start(self._loop)

    def _start(self, loop: asyncio.AbstractEventLoop) -> bool:
        # The writer inherits this: a signal must not end it before it can say that it wants none.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, _NOT_THE_WRITERS)
        try:
            process = subprocess.Popen(  # noqa: S603  # a file of our own
                self._command,
                stdin=self._source,
                stdout=subprocess.PIPE,
                stderr=self._fd,
                # Not in a terminal's group: Ctrl-C is the gateway's.
                start_new_session=True,
            )
        except OSError as exc:
            self._write_directly(f"the process that writes the log could not be started: {exc}")
            return False
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        self._process = process
        report = _report(process)
        os.set_blocking(report, False)
        loop.add_reader(report, self._reported)
        return True

    def _send(self) -> None:
        """Hand over what the pipe has room for."""
        held = self._held
        while held:
            batch = held[0]
            try:
                written = os.write(self._sink, batch)
            except BlockingIOError:
                written = 0
            self._held_bytes -= written
            if written < len(batch):
                held[0] = batch[written:]
                self._await_room()
                return
            held.popleft()
        if self._waits_for_room and self._loop is not None:
            self._waits_for_room = False
            self._loop.remove_writer(self._sink)

    def _await_room(self) -> None:
        if not (self._waits_for_room or self._is_closed or self._loop is None):
            self._waits_for_room = True
            self._loop.add_writer(self._sink, self._send)

    def _reported(self) -> None:
        """The writer has lost lines, or has ended."""
        process, loop = self._process, self._loop
        if process is None or loop is None or self._count_reports(process):
            return
        loop.remove_reader(_report(process))
        code = process.wait()
        _forget(process)
        self._ended_at.append(self._now())
        what = f"the process that writes the log has ended ({_words(code)})"
        if (
            len(self._ended_at) == MAX_RESTARTS
            and self._ended_at[-1] - self._ended_at[0] < RESTARTS_WITHIN_S
        ):
            self._write_directly(f"{what} {MAX_RESTARTS} times, and is not started again")
        elif self._start(loop):
            lost = f"at most {CHUNK_BYTES // 1024} KiB of lines are lost"
            self._tell(f"{what}; another one goes on, and {lost}")

    def _count_reports(self, process: "subprocess.Popen[bytes]") -> bool:
        """Count what the writer says it has lost; false once it says no more."""
        try:
            said = os.read(_report(process), 4096)
        except BlockingIOError:
            return True
        *lines, self._said = (self._said + said).split(b"\n")
        self.lost_lines += sum(map(int, lines))
        return bool(said)

    def _write_directly(self, why: str) -> None:
        """From now on a thread writes."""
        self._process = None
        if self._waits_for_room and self._loop is not None:
            self._loop.remove_writer(self._sink)
        os.close(self._sink)
        direct = self._direct = FdOutput(self._fd, self._max_held_bytes)
        for batch in self._unwritten():
            direct.put(batch)
        self._tell(f"{why}; a thread writes it from now on")

    def _unwritten(self) -> Iterator[bytes]:
        """All that no writer has taken; then nothing is left."""
        os.set_blocking(self._source, False)
        with contextlib.suppress(BlockingIOError):
            while left := os.read(self._source, PIPE_BYTES):
                yield left
        os.close(self._source)
        yield from self._held
        self._held.clear()
        self._held_bytes = 0

    def _write_now(self, batch: bytes) -> None:
        self.lost_lines += batch.count(b"\n", write_all(self._fd, batch))

    def _forget_loop(self, process: "subprocess.Popen[bytes]") -> None:
        loop, self._loop = self._loop, None
        if loop is not None and not loop.is_closed():
            loop.remove_writer(self._sink)
            loop.remove_reader(_report(process))


def _report(process: "subprocess.Popen[bytes]") -> int:
    """Where a writer tells what it has lost."""
    if process.stdout is None:
        raise ValueError("expected a writer whose standard output is a pipe")
    return process.stdout.fileno()


def _forget(process: "subprocess.Popen[bytes]") -> None:
    if process.stdout is not None:
        process.stdout.close()


def _words(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
