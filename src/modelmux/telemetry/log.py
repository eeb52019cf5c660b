"""The log: one line for each call, and one for whatever else is worth telling.

A line is made when its call ends, while all that it tells of is still in the processor's caches,
and waits to be written: a flush every `FLUSH_INTERVAL_S` keeps the last lines for whoever asks and
gives the batch to an output that does not block. Python's `logging` is not used: it would cost
more than everything else that happens to a call.
"""

import asyncio
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol, Self
from weakref import WeakSet

from modelmux.target.record import CallRecord
from modelmux.telemetry.lines import Field, Level, Lines, level_of
from modelmux.telemetry.output import Output
from modelmux.telemetry.redact import Redactor

FLUSH_INTERVAL_S: Final = 0.25
"""How long a line may wait, and so how many are lost with a killed process."""

MAX_PENDING: Final = 16_384
"""Lines that may wait to be written. More come only if the loop is stuck; they are dropped."""

KEPT_LINES: Final = 1000
"""Last lines kept in memory, and most that a slow follower may be behind."""

MAX_TAGS: Final = 1024
"""Sets of tags that are known to hold no secret; callers choose them, so there must be an end."""

MAX_BODY_CHARS: Final = 4096
"""Most that is shown of one body in debug mode."""

_CUT_MARGIN = 4096
"""Masked beyond what is shown, so that no secret loses its recognisable end at the cut."""

MAX_SHOWN_BYTES: Final = 4 * (MAX_BODY_CHARS + _CUT_MARGIN)
"""Most of a body that is looked at to show it."""

_RANK: dict[Level, int] = {"trace": 0, "debug": 1, "info": 2, "warn": 3, "error": 4}


class Timer(Protocol):
    """A callback that is due."""

    def cancel(self) -> None: ...


Later = Callable[[float, Callable[[], object]], Timer]
"""Calls a function after so many seconds, as `loop.call_later` does."""


class LogWriter:
    """The process's log. For one event loop.

    Until `start`, and after `close`, every line is written at once.
    """

    def __init__(
        self,
        lines: Lines,
        redactor: Redactor,
        output: Output,
        *,
        unix_time: Callable[[], float],
        level: Level = "info",
    ) -> None:
        """Connect the parts.

        Args:
            lines: The form of lines.
            redactor: Masks them.
            output: Where they go.
            unix_time: Wall clock.
            level: Below it nothing is told. Calls are told at `info`, failed ones at `warn`.
        """
        self._lines = lines
        self._redactor = redactor
        self._output = output
        self._batch_lines = output.batch_lines
        self._unix_time = unix_time
        self._rank = _RANK[level]
        self._tells_all_calls = self.is_enabled("info")
        self._pending: list[str] = []
        self._kept: deque[str] = deque(maxlen=KEPT_LINES)
        self._followers: WeakSet[Follower] = WeakSet()
        self._open_tags: set[tuple[tuple[str, str], ...]] = set()
        self._open_tags_of = redactor.generation
        self._later: Later | None = None
        self._timer: Timer | None = None
        self._overflowed = 0
        self._reported = 0

    def reconfigure(self, lines: Lines, level: Level) -> None:
        """Tell in this form, and from this level on."""
        self._lines = lines
        self._rank = _RANK[level]
        self._tells_all_calls = self.is_enabled("info")

    @property
    def dropped(self) -> int:
        """Lines that were not written, in all."""
        return self._overflowed + self._output.lost_lines

    def is_enabled(self, level: Level) -> bool:
        """Whether an event of that level is told: ask before making it costly."""
        return _RANK[level] >= self._rank

    def start(self, later: Later) -> None:
        """Gather lines from now on, and write them in batches; `later` sets timers."""
        self._later = later

    def write(self, record: CallRecord) -> None:
        """Tell of a call."""
        if self._tells_all_calls or self.is_enabled(level_of(record)):
            self._add(self._made(record))

    def event(self, level: Level, message: str, /, **fields: Field) -> None:
        """Tell of anything else; fields that are `None` are left out."""
        if not self.is_enabled(level):
            return
        line = self._lines.event(level, self._unix_time(), message, fields)
        self._add(self._redactor.text(line))
        if level == "error":
            self.flush()  # whatever comes next may be the end

    def defect(self, message: str, exc: BaseException, /, **fields: Field) -> None:
        """Tell of an error of the gateway's own, with its traceback."""
        trace = "".join(traceback.format_exception(exc))
        told: dict[str, Field] = {
            "exception.type": type(exc).__name__,
            "exception.stacktrace": trace,
        }
        self.event("error", message, **fields, **told)

    def wire(
        self,
        id: str,
        direction: str,
        headers: Iterable[tuple[str, str]],
        body: bytes,
        body_bytes: int | None = None,
    ) -> None:
        """Tell, in debug mode, what is said on a wire: headers masked, the body cut.

        Args:
            id: Of the call.
            direction: Who says it to whom.
            headers: Fields in order.
            body: As much as is there, of which `MAX_SHOWN_BYTES` are looked at.
            body_bytes: How many it has in all, if `body` is its beginning.
        """
        if not self.is_enabled("debug"):
            return
        head = "; ".join(f"{name}: {self._redactor.header(name, value)}" for name, value in headers)
        size = len(body) if body_bytes is None else body_bytes
        window = body[:MAX_SHOWN_BYTES].decode(errors="replace")
        shown = self._redactor.text(window[: MAX_BODY_CHARS + _CUT_MARGIN])
        if len(shown) > MAX_BODY_CHARS or size > len(window.encode()):
            shown = f"{shown[:MAX_BODY_CHARS]}… ({size} bytes in all)"
        self.event("debug", direction, id=id, headers=head, body=shown)

    def recent(self, count: int = KEPT_LINES) -> Sequence[str]:
        """The last lines, at most `count`, oldest first."""
        return list(self._kept)[-count:] if count > 0 else []

    def follow(self) -> "Follower":
        """Lines to come, from now on."""
        follower = Follower()
        self._followers.add(follower)
        return follower

    def flush(self) -> None:
        """Give all that has gathered to the output."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._pending = self._pending, []
        if self.dropped > self._reported:
            count, self._reported = self.dropped - self._reported, self.dropped
            fields: dict[str, Field] = {"lines": count}
            message = "log lines were dropped: they came faster than they could be written"
            lines.append(self._lines.event("warn", self._unix_time(), message, fields))
        if not lines:
            return
        self._kept.extend(lines[-KEPT_LINES:])
        for follower in self._followers:
            follower.take(lines)
        self._output.put("\n".join([*lines, ""]).encode(errors="backslashreplace"))

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write all there is; false if the output did not take it in time. Blocks until then."""
        self._later = None
        self.flush()
        for follower in list(self._followers):
            follower.end()
        return self._output.close(timeout_s)

    def _add(self, line: str) -> None:
        if len(self._pending) >= MAX_PENDING:
            self._overflowed += 1
            return
        self._pending.append(line)
        if len(self._pending) >= self._batch_lines and self._later is not None:
            self.flush()
        elif self._timer is None:
            if self._later is None:
                self.flush()
            else:
                self._timer = self._later(FLUSH_INTERVAL_S, self._flush_in_turn)

    def _flush_in_turn(self) -> None:
        self._timer = None
        self.flush()

    def _made(self, record: CallRecord) -> str:
        """A call's line, with secrets masked."""
        line = self._lines.call(record)
        # Names are masked already, so a call's id and its target's are all that could hold one,
        # but for the words of others: an error, and the caller's tags.
        redactor = self._redactor
        if (
            record.error
            or (record.tags and not self._are_open(record.tags))
            or redactor.holds_registered(record.id)
            or redactor.holds_registered(record.upstream_id)
        ):
            return redactor.text(line)
        return line

    def _are_open(self, tags: Mapping[str, str]) -> bool:
        """Whether tags hold no secret; the same ones come again and again."""
        redactor = self._redactor
        if self._open_tags_of != redactor.generation or len(self._open_tags) >= MAX_TAGS:
            self._open_tags_of = redactor.generation
            self._open_tags.clear()
        key = tuple(tags.items())
        if key in self._open_tags:
            return True
        # As they stand in each form of lines.
        words = [word for pair in key for word in pair]
        text = f"{' '.join(words)} {','.join(map(':'.join, key))}"
        if redactor.text(text) != text:
            return False
        self._open_tags.add(key)
        return True


class Follower:
    """An iterator over lines as they are written; it ends when the log is closed.

    Whoever is slower than the log misses lines, and is told how many.
    """

    def __init__(self) -> None:
        self._lines: deque[str] = deque()
        self._missed = 0
        self._has_ended = False
        self._waiter: asyncio.Future[None] | None = None

    def take(self, lines: Sequence[str]) -> None:
        """Lines were written."""
        room = max(0, KEPT_LINES - len(self._lines)) if not self._missed else 0
        self._lines.extend(lines[:room])
        self._missed += len(lines[room:])
        self._wake()

    def end(self) -> None:
        """No more will come."""
        self._has_ended = True
        self._wake()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> str:
        while not self._lines:
            if self._missed:
                missed, self._missed = self._missed, 0
                return f"({missed} lines left out: they came too fast)"
            if self._has_ended:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._lines.popleft()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
