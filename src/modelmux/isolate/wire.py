"""Lines of JSON over a socket: how the parts of an isolated run talk."""

import json
import socket
from collections.abc import Iterator, Mapping
from typing import Final, cast

MAX_LINE_BYTES: Final = 1024 * 1024
"""More than any line here has; whoever sends more is not one of us."""

READ_BYTES: Final = 65_536

Message = Mapping[str, object]


class Lines:
    """Lines from one side of a socket, as they come."""

    def __init__(self, line: socket.socket) -> None:
        self._line = line
        self._unread = b""
        self.is_closed = False

    def read(self) -> Iterator[Message]:
        """What one read brings, which may be nothing. Raises `OSError`, `ValueError`."""
        data = self._line.recv(READ_BYTES)
        if not data:
            self.is_closed = True
            return
        yield from self.feed(data)

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that `data` completes."""
        *whole, self._unread = (self._unread + data).split(b"\n")
        if len(self._unread) > MAX_LINE_BYTES:
            raise ValueError("a line without an end")
        for text in whole:
            yield decoded(text)


def decoded(text: bytes) -> Message:
    """A message of one line. Raises `ValueError`."""
    found: object = json.loads(text)
    if not isinstance(found, dict):
        raise ValueError("expected an object")  # like all else that is no message
    return cast("Message", found)


def encoded(message: Message) -> bytes:
    """A message as a line."""
    return json.dumps(message, ensure_ascii=True).encode() + b"\n"


def text_of(message: Message, name: str) -> str:
    """A field that is a text; empty if it is none."""
    value = message.get(name)
    return value if isinstance(value, str) else ""


def number_of(message: Message, name: str) -> int:
    """A field that is a whole number; 0 if it is none."""
    value = message.get(name)
    return value if isinstance(value, int) else 0
