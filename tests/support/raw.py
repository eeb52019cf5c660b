"""One HTTP request whose answer is read piece by piece, byte for byte as it comes."""

import http.client
from collections.abc import Generator, Mapping
from contextlib import contextmanager

import msgspec

from tests.support import plain

READ_BYTES = 65_536


class Exchange:
    """An answer under way: its head is here, its body is read as the test wants it."""

    def __init__(
        self, line: http.client.HTTPConnection, response: http.client.HTTPResponse
    ) -> None:
        self._line = line
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = {
            name.lower(): value for name, value in response.getheaders()
        }
        self.body = b""
        """What has been read so far."""
        self.was_cut = False
        """The connection ended before the body did."""

    def read_until(self, words: bytes) -> bytes:
        """Read on until `words` have come; all that has been read.

        Raises:
            AssertionError: The body ended without them.
        """
        while words not in self.body:
            assert self._read(), f"expected {words!r}, the body ended: {self.body!r}"
        return self.body

    def read_rest(self) -> bytes:
        """Read to the end, wherever that is; all that has been read."""
        while self._read():
            pass
        return self.body

    def leave(self) -> None:
        """Close the connection, whether or not the answer has ended."""
        self._response.close()
        self._line.close()

    def _read(self) -> bytes:
        try:
            piece = self._response.read1(READ_BYTES)
        except (http.client.IncompleteRead, ConnectionError):
            self.was_cut = True
            return b""
        self.body += piece
        return piece


@contextmanager
def posted(
    address: str,
    path: str,
    body: object,
    headers: Mapping[str, str] | None = None,
    *,
    timeout_s: float = plain.TIMEOUT_S,
) -> Generator[Exchange, None, None]:
    """The exchange for a POST, whose connection is closed at the end.

    Args:
        address: `unix:PATH` or `http://HOST:PORT`.
        path: Path and query.
        body: Bytes are sent as they are; anything else as JSON.
        headers: All header fields but `host` and those of the body.
        timeout_s: Longest silence.
    """
    encoded = body if isinstance(body, bytes) else msgspec.json.encode(body)
    line = plain.connection(address, timeout_s)
    try:
        line.request("POST", path, encoded, {"content-type": "application/json", **(headers or {})})
        exchange = Exchange(line, line.getresponse())
        try:
            yield exchange
        finally:
            exchange.leave()
    finally:
        line.close()
