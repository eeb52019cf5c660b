"""JSON objects, one on each line. Knows no API.

A line ends at LF; CRLF and CR are taken too, because JSON has neither in its strings.
"""

import re
from typing import Protocol

import msgspec

from modelmux.errors import ProtocolViolation
from modelmux.ir.response import Failure, Summary

MAX_LINE_BYTES = 32 * 1024 * 1024
"""A line larger than this is an attack or a bug: a generated image in one reaches 10 MB."""

MEDIA_TYPE = b"application/x-ndjson"

_EOL = re.compile(rb"[\r\n]")

_json = msgspec.json.Decoder(msgspec.Raw)


class Decoder:
    """Cuts bytes into lines. Any split of the bytes gives the same lines."""

    def __init__(self) -> None:
        self._held: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes; empty ones are none.

        Raises:
            ProtocolViolation: A line is larger than `MAX_LINE_BYTES`.
        """
        lines = _EOL.split(data) if b"\r" in data else data.split(b"\n")
        if len(lines) > 1 and self._held:
            self._held.append(lines[0])
            lines[0] = b"".join(self._held)
            self._held, self._size = [], 0
        rest = lines.pop()
        if rest:
            self._held.append(rest)
            self._size += len(rest)
            if self._size > MAX_LINE_BYTES:
                raise ProtocolViolation(f"a line of the stream exceeds {MAX_LINE_BYTES} bytes")
        return [line for line in lines if line.strip()]

    def finish(self) -> list[bytes]:
        """The line that the end of the stream completes: servers forget the last line end."""
        line, self._held, self._size = b"".join(self._held), [], 0
        return [line] if line.strip() else []


class Watch(Protocol):
    """What one wire looks for in its own streams. One for each stream."""

    @property
    def summary(self) -> Summary: ...

    @property
    def ended(self) -> bool:
        """The stream's own last line has been seen: success or error."""
        ...

    @property
    def renames(self) -> tuple[bytes, bytes] | None:
        """Bytes to replace in every line, once they are known."""
        ...

    def concerns(self, data: bytes) -> bool:
        """Whether some line in `data` must be looked at. Quick; may err towards yes."""
        ...

    def look(self, line: bytes) -> None:
        """Read one line."""
        ...

    def fail(self, failure: Failure) -> bytes:
        """The wire's line of an error, and note the failure."""
        ...


class Relay:
    """A `StreamRelay` over lines."""

    def __init__(self, watch: Watch, interrupted: Failure) -> None:
        """Pass lines on; `interrupted` is what is said of a stream without its last line."""
        self._watch = watch
        self._interrupted = interrupted
        self._held: list[bytes] = []
        self._size = 0

    @property
    def summary(self) -> Summary:
        return self._watch.summary

    def feed(self, data: bytes) -> bytes:
        if self._held or not data.endswith(b"\n"):
            data = self._whole_lines(data)
        return self._passed(data) if data else b""

    def finish(self) -> bytes:
        rest, self._held = b"".join(self._held), []
        out = self._passed(rest) if _is_json(rest) else b""
        if self._watch.ended:
            return out
        return out + (b"\n" if out else b"") + self._watch.fail(self._interrupted)

    def fail(self, failure: Failure) -> bytes:
        self._held = []
        return b"" if self._watch.ended else self._watch.fail(failure)

    def _whole_lines(self, data: bytes) -> bytes:
        """What has come so far up to the last line end; the rest is held."""
        end = max(data.rfind(b"\n"), data.rfind(b"\r")) + 1
        whole = b"".join(self._held) + data[:end] if end else b""
        if end:
            self._held, self._size = [], 0
        if rest := data[end:]:
            self._held.append(rest)
            self._size += len(rest)
            if self._size > MAX_LINE_BYTES:
                raise ProtocolViolation(f"a line of the stream exceeds {MAX_LINE_BYTES} bytes")
        return whole

    def _passed(self, data: bytes) -> bytes:
        if self._watch.concerns(data):
            for line in _EOL.split(data):
                if line.strip():
                    self._watch.look(line)
        renames = self._watch.renames
        return data.replace(*renames) if renames else data


def _is_json(data: bytes) -> bool:
    try:
        _json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return False
    return True


def encode(data: bytes) -> bytes:
    """One object as a line. `data` must hold no line end."""
    return data + b"\n"
