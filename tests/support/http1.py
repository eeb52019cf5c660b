"""HTTP/1.1 for the scripted upstream: requests kept byte by byte, answers written by hand.

Written apart from the gateway's own parser and client, so that the two cannot agree on a mistake.
"""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

import msgspec

LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it came."""

    head: bytes
    """Request line and headers, up to and with the empty line, verbatim."""
    raw_body: bytes
    """The body with its framing, verbatim."""
    body: bytes
    """The body without its framing."""
    connection: int
    """Which of the server's connections it came on, counted from 1."""
    abandoned: threading.Event = field(default_factory=threading.Event, compare=False)
    """Set when the peer closes before the script for this request has ended."""

    @property
    def method(self) -> str:
        return self.head.split(b" ", 2)[0].decode("ascii")

    @property
    def target(self) -> str:
        """Path and query."""
        return self.head.split(b" ", 2)[1].decode("ascii")

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Names and values in the order and case they came in."""
        lines = self.head.decode("latin-1").split("\r\n")[1:-2]
        pairs = (line.partition(":") for line in lines)
        return [(name, value.strip()) for name, _, value in pairs]

    def header(self, name: str) -> str | None:
        """The first header of that name in any case, if there is one."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    def json(self) -> object:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


class Parser:
    """Cuts the bytes of one connection into requests."""

    def __init__(self, connection: int) -> None:
        self._connection = connection
        self._buffer = b""

    def feed(self, received: bytes) -> Iterator[Request]:
        """Every request that is whole now."""
        self._buffer += received
        while (request := self._cut()) is not None:
            yield request

    def _cut(self) -> Request | None:
        head, end, rest = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return None
        request = Request(head + end, b"", b"", self._connection)
        framed = _cut_body(request, rest)
        if framed is None:
            return None
        raw, body = framed
        self._buffer = rest[len(raw) :]
        return Request(request.head, raw, body, self._connection)


def _cut_body(request: Request, rest: bytes) -> tuple[bytes, bytes] | None:
    """The body at the start of `rest`, with and without framing, once it is there."""
    if (request.header("transfer-encoding") or "").lower() == "chunked":
        return _cut_chunks(rest)
    length = int(request.header("content-length") or 0)
    return (rest[:length], rest[:length]) if len(rest) >= length else None


def _cut_chunks(rest: bytes) -> tuple[bytes, bytes] | None:
    body = b""
    at = 0
    while (line_end := rest.find(b"\r\n", at)) >= 0:
        size = int(rest[at:line_end].partition(b";")[0], 16)
        data_end = line_end + 2 + size
        if len(rest) < data_end + 2:
            return None
        body += rest[line_end + 2 : data_end]
        at = data_end + 2
        if size == 0:
            return rest[:at], body
    return None


def head(status: int, *headers: tuple[str, str]) -> bytes:
    """Status line and just these headers."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase if status in _KNOWN else 'Status'}"]
    lines += [f"{name}: {value}" for name, value in headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


_KNOWN = frozenset(HTTPStatus)


def answer(status: int = 200, body: object = b"", *headers: tuple[str, str]) -> bytes:
    """A whole answer with its content-length; a body that is not bytes is sent as JSON."""
    if not isinstance(body, bytes):
        body = msgspec.json.encode(body)
    kind = ("content-type", "application/json")
    return head(status, kind, ("content-length", str(len(body))), *headers) + body


def stream_head(*headers: tuple[str, str]) -> bytes:
    """The head of a chunked event stream."""
    kind = ("content-type", "text/event-stream")
    return head(200, kind, ("transfer-encoding", "chunked"), *headers)


def chunk(piece: bytes) -> bytes:
    """One chunk of a chunked body; the last is `LAST_CHUNK`."""
    return b"%x\r\n%b\r\n" % (len(piece), piece)


def stream(*pieces: bytes) -> list[bytes]:
    """A whole event stream, one chunk for each piece."""
    return [stream_head(), *map(chunk, pieces), LAST_CHUNK]
