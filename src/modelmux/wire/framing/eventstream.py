"""Amazon's event stream: binary frames with checksums. Knows no JSON and no API.

```
total length (4 bytes) | length of the headers (4) | CRC of these 8 (4)
headers | payload | CRC of all before it (4)
```

https://docs.aws.amazon.com/AmazonS3/latest/API/RESTSelectObjectAppendix.html has the layout, and
https://smithy.io/2.0/aws/amazon-eventstream.html the names of headers; both read 2026-11-20.
"""

import struct
from collections.abc import Mapping
from typing import Final
from zlib import crc32

from msgspec import Struct

from modelmux.errors import ProtocolViolation

MEDIA_TYPE: Final = b"application/vnd.amazon.eventstream"

MAX_FRAME_BYTES: Final = 24 * 1024 * 1024
"""A larger frame is an attack or a bug: it is what Amazon's own clients allow a payload."""
MAX_HEADERS_BYTES: Final = 128 * 1024
"""As Amazon's own clients."""

_PRELUDE: Final = struct.Struct(">III")
_CRC: Final = struct.Struct(">I")
_LENGTH: Final = struct.Struct(">H")
_LEAST: Final = _PRELUDE.size + _CRC.size
_STRING: Final = 7
_SIZES: Final[Mapping[int, int]] = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Length of the values of each type but bytes (6) and strings, which say their own."""


class Frame(Struct, frozen=True, gc=False):
    """One frame. Headers that are no strings are left out: nobody sends any."""

    headers: Mapping[str, str]
    payload: bytes

    @property
    def kind(self) -> str:
        """`event`, `exception` or `error`."""
        return self.headers.get(":message-type", "event")

    @property
    def name(self) -> str:
        """Which event, exception or error it is."""
        of_kind = {"exception": ":exception-type", "error": ":error-code"}
        return self.headers.get(of_kind.get(self.kind, ":event-type"), "")


class Decoder:
    """Cuts bytes into frames. Any split of the bytes gives the same frames."""

    def __init__(self) -> None:
        self._held = bytearray()
        self.failure: ProtocolViolation | None = None
        """Why nothing more can be read: where the next frame begins is not known."""

    @property
    def is_inside(self) -> bool:
        """A frame has begun and not ended."""
        return bool(self._held)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes, up to one that is damaged: see `failure`."""
        return [frame for frame, _ in self.pieces(data)]

    def pieces(self, data: bytes) -> list[tuple[Frame, bytes]]:
        """The same, each with its bytes."""
        out: list[tuple[Frame, bytes]] = []
        if self.failure is None:
            self._held += data
            try:
                self._cut(out)
            except ProtocolViolation as exc:
                self.failure = exc
                self._held.clear()
        return out

    def _cut(self, out: list[tuple[Frame, bytes]]) -> None:
        held = self._held
        while len(held) >= _PRELUDE.size:
            total, of_headers, checksum = _PRELUDE.unpack_from(held)
            if crc32(held[:8]) != checksum:
                raise ProtocolViolation("the checksum of a frame's lengths is wrong")
            if not (
                _LEAST + of_headers <= total <= MAX_FRAME_BYTES and of_headers <= MAX_HEADERS_BYTES
            ):
                raise ProtocolViolation(
                    f"a frame of {total} bytes with {of_headers} bytes of headers cannot be; "
                    f"expected {MAX_FRAME_BYTES} and {MAX_HEADERS_BYTES} at most"
                )
            if len(held) < total:
                return
            raw = bytes(held[:total])
            del held[:total]
            out.append((_frame(raw, of_headers), raw))


def _frame(raw: bytes, of_headers: int) -> Frame:
    end = len(raw) - _CRC.size
    if crc32(raw[:end]) != _CRC.unpack_from(raw, end)[0]:
        raise ProtocolViolation("the checksum of a frame is wrong")
    first = _PRELUDE.size + of_headers
    return Frame(_headers(raw[_PRELUDE.size : first]), raw[first:end])


def _headers(raw: bytes) -> dict[str, str]:
    out: dict[str, str] = {}
    at = 0
    try:
        while at < len(raw):
            size = raw[at]
            name = raw[at + 1 : at + 1 + size].decode()
            at += 1 + size
            type_ = raw[at]
            at += 1
            length = _SIZES.get(type_)
            if length is None:
                (length,) = _LENGTH.unpack_from(raw, at)
                at += _LENGTH.size
            value = raw[at : at + length]
            if len(value) < length:
                raise ProtocolViolation("a header of a frame is longer than the frame says")
            if type_ == _STRING:
                out[name] = value.decode()
            at += length
    except (IndexError, struct.error, UnicodeDecodeError) as exc:
        raise ProtocolViolation("the headers of a frame cannot be read") from exc
    return out


def encode(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One frame as bytes."""
    block = bytearray()
    for name, value in headers.items():
        text = value.encode()
        block += bytes((len(name),)) + name.encode()
        block += bytes((_STRING,)) + _LENGTH.pack(len(text)) + text
    total = _LEAST + len(block) + len(payload)
    lengths = struct.pack(">II", total, len(block))
    raw = lengths + _CRC.pack(crc32(lengths)) + block + payload
    return raw + _CRC.pack(crc32(raw))


def event(name: str, payload: bytes) -> bytes:
    """An event as a frame."""
    headers = {":event-type": name, ":content-type": "application/json", ":message-type": "event"}
    return encode(headers, payload)


def exception(name: str, payload: bytes) -> bytes:
    """An exception, which ends a stream, as a frame."""
    return encode(
        {
            ":exception-type": name,
            ":content-type": "application/json",
            ":message-type": "exception",
        },
        payload,
    )
