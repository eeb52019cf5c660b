"""On which line of a TOML document each key stands.

`tomllib` gives values without their places, so this walks the same text again and notes lines. It
reads only documents that `tomllib` has accepted: what it does not understand it passes over.
"""

import re
import tomllib
from bisect import bisect_right
from collections.abc import Mapping

from modelmux.config.origin import KeyPath

_BLANK = re.compile(r"[ \t]*")
_GAP = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_HEADER_END = re.compile(r"[\] \t]*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*'""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:[^"\\\n]|\\.)*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_BARE_VALUE = re.compile(r"[^,\]}#\n]*")


def key_lines(text: str) -> Mapping[KeyPath, int]:
    """The line, from 1, of every table, key and array item of a valid TOML document."""
    return _Walk(text.replace("\r\n", "\n")).lines()


class _Walk:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._lines: dict[KeyPath, int] = {}
        self._counts: dict[KeyPath, int] = {}  # entries of each array of tables so far

    def lines(self) -> Mapping[KeyPath, int]:
        table: KeyPath = ()
        while True:
            self._skip(_GAP)
            begin = self._at
            if self._take("[["):
                table = self._header(is_array=True)
            elif self._take("["):
                table = self._header(is_array=False)
            else:
                self._pair(table)
            if self._at == begin:
                return self._lines

    def _header(self, *, is_array: bool) -> KeyPath:
        line = self._line()
        path: KeyPath = ()
        keys = self._keys()
        for depth, key in enumerate(keys, start=1):
            path = (*path, key)
            self._lines.setdefault(path, line)
            if is_array and depth == len(keys):
                self._counts[path] = self._counts.get(path, 0) + 1
            if path in self._counts:  # a header speaks of the last entry
                path = (*path, self._counts[path] - 1)
                self._lines.setdefault(path, line)
        self._skip(_HEADER_END)
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for key in self._keys():
            path = (*path, key)
            self._lines.setdefault(path, line)
        self._skip(_BLANK)
        if self._take("="):
            self._value(path)

    def _keys(self) -> list[str]:
        keys: list[str] = []
        self._skip(_BLANK)
        while match := _KEY.match(self._text, self._at):
            self._at = match.end()
            keys.append(_unquoted(match.group()))
            self._skip(_BLANK)
            if not self._take("."):
                break
            self._skip(_BLANK)
        return keys

    def _value(self, path: KeyPath) -> None:
        self._skip(_BLANK)
        if self._take("["):
            index = 0
            while self._more("]"):
                begin, self._lines[*path, index] = self._at, self._line()
                self._value((*path, index))
                index += 1
                if self._at == begin:
                    return
        elif self._take("{"):
            while self._more("}"):
                begin = self._at
                self._pair(path)
                if self._at == begin:
                    return
        else:
            match = _STRING.match(self._text, self._at) or _BARE_VALUE.match(self._text, self._at)
            self._at = match.end() if match else self._at

    def _more(self, end: str) -> bool:
        """Whether another item begins here; passes over commas, and the end if it is that."""
        self._skip(_GAP)
        if self._take(","):
            self._skip(_GAP)
        return self._at < len(self._text) and not self._take(end)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        match = pattern.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _take(self, token: str) -> bool:
        found = self._text.startswith(token, self._at)
        self._at += len(token) if found else 0
        return found

    def _line(self) -> int:
        return bisect_right(self._starts, self._at)


def _unquoted(key: str) -> str:
    """A key as TOML reads it."""
    if key[0] not in "\"'":
        return key
    value: object = tomllib.loads(f"key = {key}")["key"]
    return str(value)
