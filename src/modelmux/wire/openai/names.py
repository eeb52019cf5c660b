"""Tool names as this wire allows them: `[A-Za-z0-9_-]`, at most 64 characters.

As OpenAI's Python library 3.51 documents the name of a function, read 2026-11-20.
"""

import re
from collections.abc import Iterable, Mapping
from zlib import crc32

MAX_NAME = 64

_ALLOWED = re.compile(rf"[A-Za-z0-9_-]{{1,{MAX_NAME}}}")
_FORBIDDEN = re.compile(r"[^A-Za-z0-9_-]")
_DIGEST = 8
"""Hexadecimal digits that tell two names apart which would be written the same."""


class Names:
    """The caller's tool names and what they are called here. One for each request."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        """Take the names of the tools that the request defines: none of them is made up twice."""
        self._taken = set(known)
        self._here: dict[str, str] = {}

    def here(self, name: str) -> str:
        """What `name` is called on this wire: itself, wherever that is allowed."""
        if _ALLOWED.fullmatch(name):
            return name
        known = self._here.get(name)
        if known is None:
            known = self._here[name] = self._made_up(name)
            self._taken.add(known)
        return known

    def new(self, name: str) -> str:
        """`name`, or one like it that no tool of the request has."""
        if name in self._taken:
            name = self._made_up(name)
        self._taken.add(name)
        return name

    @property
    def changed(self) -> Mapping[str, str]:
        """The caller's names, by the names that had to replace them."""
        return {here: name for name, here in self._here.items()}

    def _made_up(self, name: str) -> str:
        stem = _FORBIDDEN.sub("_", name)
        out, attempt = stem, 0
        while not out or len(out) > MAX_NAME or out in self._taken:
            digest = f"{crc32(f'{name}{attempt or str()}'.encode()):0{_DIGEST}x}"
            out = f"{stem[: MAX_NAME - _DIGEST - 1]}_{digest}"
            attempt += 1
        return out
