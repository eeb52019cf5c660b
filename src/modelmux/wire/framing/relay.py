"""Passing on a stream of server-sent events between two ends that speak the same wire.

Frames that hold nothing of interest leave as they came, without being decoded. What is of
interest is the wire's to say, as a `Watch`.
"""

import re
from typing import Protocol

import msgspec

from modelmux.errors import ProtocolViolation
from modelmux.ir.response import Failure, Summary
from modelmux.wire.framing import sse

_BLANK = re.compile(rb"(?>\r\n|\n|\r)(?>\r\n|\n|\r)")
_LONGEST_BLANK = 4

_json = msgspec.json.Decoder(msgspec.Raw)


class Watch(Protocol):
    """What one wire looks for in its own streams. One for each stream."""

    @property
    def summary(self) -> Summary: ...

    @property
    def ended(self) -> bool:
        """The stream's own terminal frame has been seen: success or error."""
        ...

    @property
    def renames(self) -> tuple[bytes, bytes] | None:
        """Bytes to replace in every frame, once they are known."""
        ...

    def concerns(self, data: bytes) -> bool:
        """Whether some frame in `data` must be looked at. Quick; may err towards yes."""
        ...

    def look(self, frame: sse.SSE, raw: bytes) -> bytes:
        """Read one frame; returns what to pass on for it, mostly `raw`."""
        ...

    def close(self) -> bytes:
        """The stream closed without a terminal frame: what to append."""
        ...

    def fail(self, failure: Failure) -> bytes:
        """The stream broke: the wire's error event, and note the failure."""
        ...


class Relay:
    """A `StreamRelay` over server-sent events."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        self._held: list[bytes] = []  # pieces of the frame that has not ended yet
        self._tail = b""  # the last bytes of those, in which a blank line may have begun
        self._size = 0

    @property
    def summary(self) -> Summary:
        return self._watch.summary

    def feed(self, data: bytes) -> bytes:
        if self._held or not data.endswith(b"\n\n"):
            data = self._whole_frames(data)
            if not data:
                return b""
        if self._watch.concerns(data):
            return self._look(data)
        renames = self._watch.renames
        return data.replace(*renames) if renames else data

    def finish(self) -> bytes:
        rest = b"".join(self._held)
        self._held = []
        out = self._last(rest) if rest.strip() else rest
        return out if self._watch.ended else out + self._watch.close()

    def fail(self, failure: Failure) -> bytes:
        self._held = []
        return b"" if self._watch.ended else self._watch.fail(failure)

    def _last(self, rest: bytes) -> bytes:
        """What to pass on of a last frame without its blank line.

        Servers forget the blank line; but where the upstream broke off inside the frame, half a
        frame would keep the caller from understanding the error that follows.
        """
        out = self._look(rest + b"\n\n")
        frames = sse.Decoder().feed(rest + b"\n\n")
        whole = bool(frames) and all(f.event == sse.COMMENT or _is_json(f.data) for f in frames)
        return out if whole or self._watch.ended else b""

    def _whole_frames(self, data: bytes) -> bytes:
        """What has come so far up to the last blank line; the rest is held."""
        if not _BLANK.search(self._tail + data):
            self._hold(data)
            return b""
        data = b"".join(self._held) + data
        self._held, self._tail, self._size = [], b"", 0
        end = 0
        for blank in _BLANK.finditer(data):
            end = blank.end()
        if end < len(data):
            self._hold(data[end:])
        return data[:end]

    def _hold(self, data: bytes) -> None:
        if data:
            self._held.append(data)
            self._tail = (self._tail + data)[1 - _LONGEST_BLANK :]
            self._size += len(data)
        if self._size > sse.MAX_EVENT_BYTES:
            raise ProtocolViolation(f"an event of the stream exceeds {sse.MAX_EVENT_BYTES} bytes")

    def _look(self, data: bytes) -> bytes:
        out: list[bytes] = []
        start = 0
        for blank in _BLANK.finditer(data):
            raw = data[start : blank.end()]
            start = blank.end()
            frames = sse.Decoder().feed(raw)
            for frame in frames:
                if frame.event != sse.COMMENT:
                    raw = self._watch.look(frame, raw)
            out.append(raw)
        out.append(data[start:])
        joined = b"".join(out)
        renames = self._watch.renames
        return joined.replace(*renames) if renames else joined


def _is_json(data: bytes) -> bool:
    try:
        _json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True
