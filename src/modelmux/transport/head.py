"""The header fields of a message, read where they stand.

A parser that calls for each field spends 0.4 µs on it, a fifth of all that a call costs, and most
fields nobody reads. So parsers have no such callback here. They check the head all the same, and
strictly: lines end with CRLF, none is folded, nothing stands before the colon, and no value holds a
control character (`tests/laws` holds httptools to that). What they have let through is taken apart
at its line ends, and says what a callback would have said.
"""

from collections.abc import Iterator, Sequence
from typing import overload

from typing_extensions import override

Field = tuple[bytes, bytes]

END = b"\r\n\r\n"
"""The end of a head."""

_SPACE = b" \t"


class Head(Sequence[Field]):
    """Header fields in the order received; names in lower case, values without outer white space.

    `block` is what they are read from: each field begins with CRLF, and CRLF is at the end.
    """

    __slots__ = ("_fields", "_lower", "block")

    def __init__(self, head: bytes) -> None:
        """Take a whole head that a parser has checked, from its first line to the blank one."""
        head = head.lstrip(b"\r\n")  # it may begin with blank lines. RFC 9112, 2.2.
        self.block = head[head.index(b"\r\n") : -2]
        self._lower = self.block.lower()
        self._fields: list[Field] | None = None

    def first(self, name: bytes) -> bytes | None:
        """The value of the first field of that name (lower case)."""
        start = self._lower.find(b"\r\n%b:" % name)
        if start < 0:
            return None
        start += len(name) + 3
        return self.block[start : self.block.index(b"\r\n", start)].strip(_SPACE)

    def has(self, name: bytes) -> bool:
        """Whether there is a field of that name (lower case)."""
        return b"\r\n%b:" % name in self._lower

    @overload
    def __getitem__(self, index: int) -> Field: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Field]: ...

    @override
    def __getitem__(self, index: int | slice) -> Field | Sequence[Field]:
        return self._all()[index]

    @override
    def __len__(self) -> int:
        return self.block.count(b"\r\n") - 1

    @override
    def __iter__(self) -> Iterator[Field]:
        return iter(self._all())

    def _all(self) -> list[Field]:
        if self._fields is None:
            self._fields = []
            for line in self.block.split(b"\r\n")[1:-1]:
                name, _, value = line.partition(b":")
                self._fields.append((name.lower(), value.strip(_SPACE)))
        return self._fields


NO_FIELDS = Head(b"-" + END)
"""Of a message that has none, or none yet."""
