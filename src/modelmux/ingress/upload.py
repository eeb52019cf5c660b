"""Bodies that are too large for memory: they lie in a file without a name until they are sent on.

As with nginx's request buffering, a provider is asked once all of a body is there: so a model that
is named behind a large file is found, and a provider that fails can be followed by another.
"""

import os
import tempfile
from typing import BinaryIO, Final

MEMORY_BYTES: Final = 262_144
"""Up to this size a body stays in memory: a file costs more than it saves."""


class Upload:
    """A body in the making, then a `Payload`. Closing it frees the disk; so does losing it."""

    def __init__(self) -> None:
        self._start = bytearray()
        self._file: BinaryIO | None = None
        self._size = 0

    def add(self, piece: bytes) -> None:
        """Put `piece` at the end. Raises `OSError`, as where the disk is full."""
        self._size += len(piece)
        if self._file is None:
            self._start += piece
            if self._size > MEMORY_BYTES:
                self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115  # until `close`
                self._write(self._start)
                self._start = bytearray()
        else:
            self._write(piece)

    def close(self) -> None:
        """Give the disk back. Nothing can be read after that."""
        if self._file is not None:
            self._file.close()

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, place: slice, /) -> bytes:
        start, stop, _ = place.indices(self._size)
        if self._file is None:
            return bytes(self._start[start:stop])
        return os.pread(self._file.fileno(), max(0, stop - start), start)

    def _write(self, piece: bytes | bytearray) -> None:
        assert self._file is not None  # noqa: S101  # said by the callers
        rest = memoryview(piece)
        while rest:
            rest = rest[self._file.write(rest) :]
