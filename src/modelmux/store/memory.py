"""Bytes kept in memory, as many as allowed: what was not asked for longest goes first."""

from typing import Final

from cachetools import LRUCache

ENTRY_BYTES: Final = 300
"""What an entry takes beside its value: its key, and its place in two dictionaries."""


class MemoryStore:
    """A store of one process. For one event loop."""

    def __init__(self, max_bytes: int) -> None:
        """Keep `max_bytes` at most, what entries take beside their values included."""
        self._entries: LRUCache[str, bytes] = LRUCache(max_bytes, _size)

    @property
    def size_bytes(self) -> int:
        """How much is kept."""
        return int(self._entries.currsize)

    @property
    def count(self) -> int:
        """How many entries there are."""
        return len(self._entries)

    async def get(self, key: str) -> bytes | None:
        """What was put under `key`, if it is still there."""
        return self._entries.get(key)

    async def put(self, key: str, value: bytes, ttl_s: float) -> None:
        """Keep `value`. How long it may be used is looked at when it is."""
        if _size(value) <= self._entries.maxsize:
            self._entries[key] = value

    async def aclose(self) -> None:
        """Forget everything."""
        self._entries.clear()


def _size(value: bytes) -> int:
    return len(value) + ENTRY_BYTES
