"""A JSON array that comes in pieces, cut into its elements. Knows no API.

Google streams so unless it is asked for server-sent events: `[`, objects with commas between,
and `]` at the end. Elements are objects; what is in them is not looked at.
"""

import re
from typing import Literal

from modelmux.errors import ProtocolViolation

MAX_ELEMENT_BYTES = 32 * 1024 * 1024
"""An element larger than this is an attack or a bug: a generated image in one reaches 10 MB."""

MEDIA_TYPE = b"application/json"

_OUTSIDE = re.compile(rb'["{}\[\]]')
_INSIDE = re.compile(rb'["\\]')
_SPACE = b" \t\r\n"


class Decoder:
    """Cuts bytes into elements. Any split of the bytes gives the same elements."""

    def __init__(self) -> None:
        self._state: Literal["start", "between", "element", "closed"] = "start"
        self._held: list[bytes] = []  # pieces of the element that has not ended yet
        self._size = 0
        self._depth = 0
        self._in_string = False
        self._escaped = False

    @property
    def closed(self) -> bool:
        """The array has ended."""
        return self._state == "closed"

    def feed(self, data: bytes) -> list[bytes]:
        """The elements that `data` completes.

        Raises:
            ProtocolViolation: It is no array of objects, or an element is too large.
        """
        out: list[bytes] = []
        at = 0
        while at < len(data):
            if self._state == "element":
                at = self._element(data, at, out)
            else:
                at = self._punctuation(data, at)
        return out

    def _punctuation(self, data: bytes, at: int) -> int:
        """Read one byte between elements; where to go on."""
        byte = data[at : at + 1]
        if byte in _SPACE:
            return at + 1
        if self._state == "start" and byte == b"[":
            self._state = "between"
        elif self._state == "between" and byte == b"]":
            self._state = "closed"
        elif self._state == "between" and byte == b"{":
            self._state = "element"
            return at
        elif not (self._state == "between" and byte == b","):
            raise ProtocolViolation(f"expected a JSON array of objects, got {byte!r}")
        return at + 1

    def _element(self, data: bytes, start: int, out: list[bytes]) -> int:
        """Read on in an element; where it, or `data`, ends."""
        at = start
        while True:
            if self._escaped:
                if at >= len(data):
                    break
                self._escaped = False
                at += 1
            found = (_INSIDE if self._in_string else _OUTSIDE).search(data, at)
            if found is None:
                break
            at = found.end()
            if self._turn(found.group()):
                self._held.append(data[start:at])
                out.append(b"".join(self._held))
                self._held, self._size = [], 0
                self._state = "between"
                return at
        self._held.append(data[start:])
        self._size += len(data) - start
        if self._size > MAX_ELEMENT_BYTES:
            raise ProtocolViolation(f"an element exceeds {MAX_ELEMENT_BYTES} bytes")
        return len(data)

    def _turn(self, byte: bytes) -> bool:
        """Take a byte that means something; whether the element ends with it."""
        if byte == b'"':
            self._in_string = not self._in_string
        elif byte == b"\\":
            self._escaped = True
        elif byte in b"{[":
            self._depth += 1
        else:
            self._depth -= 1
            return self._depth == 0
        return False


class Encoder:
    """Elements in, the array's bytes out."""

    def __init__(self) -> None:
        self._begun = False

    def element(self, data: bytes) -> bytes:
        """One more element."""
        before = b",\r\n" if self._begun else b"["
        self._begun = True
        return before + data

    def end(self) -> bytes:
        """The end of the array."""
        return b"]" if self._begun else b"[]"
