"""Bodies that come compressed although nobody said that they might.

The gateway sends no `accept-encoding`, so this is rare, and none of it is on the way of a body
that is not compressed.
"""

import zlib
from collections.abc import AsyncIterator
from typing import Final

from modelmux.errors import GatewayError, Interrupted, ProtocolViolation
from modelmux.transport.base import Headers, HttpResponse
from modelmux.transport.response import Response

PIECE_BYTES: Final = 262_144
"""Most bytes that one step decompresses to, however little they were."""

_WINDOW_BITS: Final = {
    b"gzip": zlib.MAX_WBITS | 16,
    b"x-gzip": zlib.MAX_WBITS | 16,
    b"deflate": zlib.MAX_WBITS,
}
_NO_BODY: Final = (204, 304)
_DESCRIBES_ENCODED: Final = frozenset((b"content-encoding", b"content-length"))


def decoded(response: Response) -> HttpResponse:
    """The response with its body decompressed, and without the fields that say otherwise.

    Raises:
        ProtocolViolation: The coding is none we know; the response is closed.
    """
    codings = [
        coding
        for name, value in response.headers
        if name == b"content-encoding"
        for coding in value.lower().replace(b" ", b"").split(b",")
        if coding not in {b"", b"identity"}
    ]
    if not codings or response.status in _NO_BODY:
        return response
    if len(codings) > 1 or codings[0] not in _WINDOW_BITS:
        error = ProtocolViolation(
            f"its body is encoded as {b', '.join(codings)!r}, which was not asked for; "
            "expected none, gzip or deflate"
        )
        response.refuse(error)
        raise error
    return Decompressed(response, _WINDOW_BITS[codings[0]])


class Decompressed:
    """An `HttpResponse` over another whose body is compressed."""

    def __init__(self, response: Response, window_bits: int) -> None:
        self.status = response.status
        self.headers: Headers = [
            field for field in response.headers if field[0] not in _DESCRIBES_ENCODED
        ]
        self._response = response
        self._window_bits = window_bits
        self._inflate = zlib.decompressobj(window_bits)
        self._compressed = b""
        self._is_begun = False
        self._least_bytes = 2
        """What a step needs: a zlib header, at first, to tell whether there is one."""

    def header(self, name: bytes) -> bytes | None:
        """The first field of that name (lower case)."""
        return next((value for field, value in self.headers if field == name), None)

    async def read(self, max_bytes: int) -> bytes:
        """The rest of the body, decompressed. Raises as `HttpResponse.read` does."""
        parts: list[bytes] = []
        size = 0
        async for part in self:
            size += len(part)
            if size > max_bytes:
                raise self._refused(
                    ProtocolViolation(f"the response's body is longer than {max_bytes} bytes")
                )
            parts.append(part)
        return b"".join(parts)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The next bytes, decompressed, at most `PIECE_BYTES`."""
        while True:
            while len(self._compressed) < self._least_bytes:
                try:
                    self._compressed += await anext(self._response)
                except StopAsyncIteration:
                    self._check_end()
                    raise
            piece = self._next_piece()
            if piece:
                return piece

    async def aclose(self) -> None:
        """Give up what is left of the body."""
        self._compressed = b""
        await self._response.aclose()

    def _next_piece(self) -> bytes:
        if self._inflate.eof:
            # A gzip body may be several, one behind the other. RFC 1952, 2.2.
            self._inflate = zlib.decompressobj(self._window_bits)
        try:
            piece = self._inflate.decompress(self._compressed, PIECE_BYTES)
        except zlib.error as error:
            if self._is_begun or self._window_bits != zlib.MAX_WBITS:
                raise self._refused(
                    ProtocolViolation(f"the response's body does not decompress: {error}")
                ) from error
            # Some servers send deflate without the zlib wrapper. RFC 9110, 8.4.1.2.
            self._window_bits = -zlib.MAX_WBITS
            self._inflate = zlib.decompressobj(self._window_bits)
            return self._next_piece()
        self._is_begun = True
        self._least_bytes = 1
        self._compressed = self._inflate.unconsumed_tail or self._inflate.unused_data
        return piece

    def _check_end(self) -> None:
        if self._compressed or (self._is_begun and not self._inflate.eof):
            raise self._refused(Interrupted("the response's compressed body was cut"))

    def _refused(self, error: GatewayError) -> GatewayError:
        self._response.refuse(error)
        return error
