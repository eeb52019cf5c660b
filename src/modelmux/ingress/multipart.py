"""Finds a text field in a form with files, without keeping any of it.

`multipart/form-data` is RFC 7578. The parser is python-multipart's, the one that Starlette uses.
"""

import asyncio
from typing import Final, NamedTuple

from python_multipart import MultipartParser
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import parse_options_header

from modelmux.errors import InvalidRequest
from modelmux.target.passage import Payload

SLICE_BYTES: Final = 262_144
"""Read at once; between two slices others get their turn."""

MAX_VALUE_BYTES: Final = 1024
"""Longest value that is looked at: names of models are far shorter."""

FORM: Final = "multipart/form-data"


class Field(NamedTuple):
    """A text field of a form."""

    value: str
    start: int
    """First byte of the value in the body."""
    end: int


async def find(payload: Payload, content_type: str, name: str) -> Field | None:
    """The first field called `name`; `None` where there is none.

    Raises:
        InvalidRequest: It is no such form, or the field is too long or not UTF-8.
    """
    search = _Search(content_type, name)
    for start in range(0, len(payload), SLICE_BYTES):
        search.feed(payload[start : start + SLICE_BYTES], start)
        if search.found is not None:
            return search.field()
        await asyncio.sleep(0)
    return None


class _Search:
    """One look through one form."""

    def __init__(self, content_type: str, name: str) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != FORM.encode() or not boundary:
            raise InvalidRequest(
                f"expected a form, {FORM} with a boundary, got the content-type {content_type!r}"
            )
        self._name = name
        self._base = 0
        self._header = self._value_of_header = b""
        self._is_it = False
        self._start = -1
        self._value = b""
        self.found: tuple[int, int] | None = None
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._field,
                "on_header_value": self._header_value,
                "on_header_end": self._header_end,
                "on_part_data": self._data,
                "on_part_end": self._end,
            },
        )

    def feed(self, data: bytes, base: int) -> None:
        """Look at `data`, which begins at `base` of the body."""
        self._base = base
        try:
            self._parser.write(data)
        except MultipartParseError as exc:
            raise InvalidRequest(f"the form cannot be read: {exc}") from None

    def field(self) -> Field:
        """The field that was found. Raises `InvalidRequest` where it is no text."""
        assert self.found is not None  # noqa: S101  # said by the caller
        try:
            return Field(self._value.decode(), *self.found)
        except UnicodeDecodeError:
            raise InvalidRequest(f"{self._name}: expected UTF-8", param=self._name) from None

    def _begin(self) -> None:
        self._is_it = False
        if self.found is None:  # else what follows in the slice must not overwrite it
            self._start = -1
            self._value = b""

    def _field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._value_of_header += data[start:end]

    def _header_end(self) -> None:
        if self._header.lower() == b"content-disposition":
            _, options = parse_options_header(self._value_of_header)
            self._is_it = options.get(b"name") == self._name.encode() and b"filename" not in options
        self._header = self._value_of_header = b""

    def _data(self, data: bytes, start: int, end: int) -> None:
        if not self._is_it or self.found is not None:
            return
        if self._start < 0:
            self._start = self._base + start
        self._value += data[start:end]
        if len(self._value) > MAX_VALUE_BYTES:
            raise InvalidRequest(
                f"{self._name}: expected at most {MAX_VALUE_BYTES} bytes, got more",
                param=self._name,
            )

    def _end(self) -> None:
        if self._is_it and self.found is None and self._start >= 0:
            self.found = (self._start, self._start + len(self._value))
