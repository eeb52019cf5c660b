"""Server-sent events (WHATWG HTML, section 9.2.6). Knows no JSON and no API."""

import re

from msgspec import Struct

from modelmux.errors import ProtocolViolation

MAX_EVENT_BYTES = 32 * 1024 * 1024
"""An event larger than this is an attack or a bug: generated images in one event reach 10 MB."""

MEDIA_TYPE = b"text/event-stream; charset=utf-8"

COMMENT = ":"
"""Stands in `SSE.event` for a comment line, which servers send to show that they are alive."""

_EOL = re.compile(rb"\r\n|\n|\r")
_PLAIN = re.compile(rb"(?:event: ([^\r\n]+)\n)?data: ([^\r\n]*)\n\n")
_one = _PLAIN.fullmatch
_UNNAMED = len(b"data: \n\n")
_NAMED = len(b"event: \n") + _UNNAMED
_BOM = b"\xef\xbb\xbf"


class SSE(Struct, frozen=True, gc=False):
    event: str
    data: bytes


class Decoder:
    """Cuts bytes into events. Any split of the bytes gives the same events."""

    def __init__(self) -> None:
        self._held: list[bytes] = []  # pieces of the line that has not ended yet
        self._held_size = 0
        self._after_cr = False  # the last chunk ended in CR: a leading LF belongs to it
        self._at_start = True
        self._event = ""
        self._data: list[bytes] = []
        self._data_size = 0
        self.between = False
        """Nothing has been read since the last event ended: what comes next begins one."""

    def feed(self, data: bytes) -> list[SSE]:
        """The events that `data` completes, comments among them.

        Raises:
            ProtocolViolation: One event is larger than `MAX_EVENT_BYTES`.
        """
        if self.between:  # the common cases at a fraction of the cost
            if (one := _one(data)) and len(data) <= MAX_EVENT_BYTES:
                name, value = one.groups()
                return [SSE(name.decode(errors="replace") if name else "", value)]
            if (events := _plain(data)) is not None:
                return events
        out: list[SSE] = []
        for line in self._lines(data):
            self._line(line, out)
        self.between = not (
            self._held or self._data or self._event or self._after_cr or self._at_start
        )
        return out

    def finish(self) -> list[SSE]:
        """The events that the end of the stream completes: servers forget the last blank line."""
        out: list[SSE] = []
        held, self._held, self._held_size = b"".join(self._held), [], 0
        if held:
            self._line(held, out)
        self._line(b"", out)
        return out

    def _lines(self, data: bytes) -> list[bytes]:
        """The lines that `data` completes; the rest is held."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if b"\r" in data:
            self._after_cr = data.endswith(b"\r")
            lines = _EOL.split(data)
        else:
            lines = data.split(b"\n")
        if len(lines) > 1 and self._held:
            self._held.append(lines[0])
            lines[0] = b"".join(self._held)
            self._held, self._held_size = [], 0
        rest = lines.pop()
        if rest:
            self._held.append(rest)
            self._held_size += len(rest)
            self._check(self._held_size)
        return lines

    def _line(self, line: bytes, out: list[SSE]) -> None:
        if self._at_start:
            self._at_start = False
            line = line.removeprefix(_BOM)
        if line.startswith(b"data:"):
            self._keep(line[6:] if line[5:6] == b" " else line[5:])
        elif not line:
            if self._data:
                data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                out.append(SSE(self._event, data))
                self._data = []
                self._data_size = 0
            self._event = ""
        elif line.startswith(b":"):
            out.append(SSE(COMMENT, line[1:].strip()))
        else:
            name, _, value = line.partition(b":")
            if name == b"event":
                self._event = value.removeprefix(b" ").decode(errors="replace")
            elif name == b"data":  # a line of the name alone is an empty value
                self._keep(b"")

    def _keep(self, value: bytes) -> None:
        self._data.append(value)
        self._data_size += len(value) + 1  # with its line end: empty lines add up too
        self._check(self._data_size)

    @staticmethod
    def _check(size: int) -> None:
        if size > MAX_EVENT_BYTES:
            raise ProtocolViolation(f"an event of the stream exceeds {MAX_EVENT_BYTES} bytes")


def _plain(data: bytes) -> list[SSE] | None:
    """The events of a chunk that holds whole ones in the form that servers mostly send.

    `None`: it holds something else too.
    """
    if not data.endswith(b"\n\n") or len(data) > MAX_EVENT_BYTES:
        return None
    out: list[SSE] = []
    rest = len(data)
    for name, value in _PLAIN.findall(data):
        rest -= len(value) + (len(name) + _NAMED if name else _UNNAMED)
        out.append(SSE(name.decode(errors="replace"), value))
    return None if rest else out


def encode(data: bytes, event: str = "") -> bytes:
    """One event as bytes. `data` must hold no line end (JSON never does)."""
    if event:
        return b"event: %b\ndata: %b\n\n" % (event.encode(), data)
    return b"data: %b\n\n" % data
