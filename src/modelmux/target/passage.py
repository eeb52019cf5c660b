"""What is passed on and not looked into: requests of operations that only one API has.

Images, audio, files and the like have no neutral form. They travel through the same calls, layers
and records as chats do; bodies too large for memory lie on disk on their way.
"""

from typing import Protocol

from msgspec import Struct


class Payload(Protocol):
    """The bytes of a body, which need not be in memory: `bytes` are one."""

    def __len__(self) -> int: ...

    def __getitem__(self, place: slice, /) -> bytes:
        """Some of them; without a step."""
        ...


class Passage(Struct, frozen=True):
    """A request as it came."""

    method: str = "POST"
    path: str = ""
    """Behind the operation's own path: `/file-1/content`."""
    query: str = ""
    payload: Payload = b""
    content_type: str = "application/json"
    """Empty: there is no body."""
    model_at: tuple[int, int] | None = None
    """Where in `payload` the model is named, if it is, and not in JSON."""


class Spliced:
    """A payload with some of its bytes replaced by others."""

    def __init__(self, payload: Payload, start: int, end: int, middle: bytes) -> None:
        """Put `middle` in place of what is from `start` to `end`."""
        self._payload = payload
        self._start = start
        self._end = end
        self._middle = middle
        self._size = len(payload) - (end - start) + len(middle)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: slice, /) -> bytes:
        start, stop, _ = place.indices(self._size)
        middle_end = self._start + len(self._middle)
        shift = self._end - middle_end
        before = self._payload[start : min(stop, self._start)] if start < self._start else b""
        within = self._middle[max(0, start - self._start) : max(0, stop - self._start)]
        after = b""
        if stop > middle_end:
            after = self._payload[max(start, middle_end) + shift : stop + shift]
        return before + within + after
