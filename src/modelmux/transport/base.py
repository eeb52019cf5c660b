"""What a transport is: it moves bytes to where a target lives and back. No API is known here."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from msgspec import Struct

from modelmux.target.passage import Payload

Headers = Sequence[tuple[bytes, bytes]]
"""Header fields in the order received; names in lower case, values without outer white space."""


class Timeouts(Struct, frozen=True):
    """How long one exchange may take. A limit of 0 means none."""

    connect_s: float = 5.0
    """Waiting for a free connection, resolving, connecting and the TLS handshake, together."""
    first_byte_s: float = 120.0
    """From the request's last byte to the first byte of the response."""
    idle_s: float = 120.0
    """The longest silence inside a response."""


class HttpResponse(Protocol):
    """One response, its body still to come.

    Iterating yields the body's bytes as they were read, chunked coding removed, each item
    non-empty. Whoever holds one must exhaust it, `read` it, or `aclose` it: until then it
    owns a connection. Not for use by two tasks at once.
    """

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Headers: ...

    def header(self, name: bytes) -> bytes | None:
        """The first field of that name (lower case)."""
        ...

    async def read(self, max_bytes: int) -> bytes:
        """The rest of the body.

        Raises:
            ProtocolViolation: It is longer than `max_bytes`.
            Interrupted: The connection ended before the body did.
            TargetTimeout: A limit of `Timeouts`, or the deadline, has passed.
        """
        ...

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def __anext__(self) -> bytes:
        """The next bytes of the body. Raises as `read` does, but for the size."""
        ...

    async def aclose(self) -> None:
        """Give up what is left of the body. A connection whose body is unread is closed."""
        ...


class HttpClient(Protocol):
    """Exchanges with one origin, over a pool of connections that it owns."""

    async def send(
        self, head: bytes, body: Payload, timeouts: Timeouts, deadline: float | None = None
    ) -> HttpResponse:
        """Send a request and return once the final response's head has come.

        Args:
            head: Request line and header fields, each ended by CRLF, `host` included;
                without `content-length`, `connection`, `transfer-encoding` and the blank
                line, which are the transport's.
            body: The whole request body, which need not be in memory.
            timeouts: Limits of this exchange.
            deadline: Monotonic time (`loop.time()`) after which all of it fails.

        Raises:
            Unreachable: No connection could be had, or it broke before the first byte.
            TargetTimeout: A limit of `timeouts`, or `deadline`, has passed.
            ProtocolViolation: What came back is not HTTP/1.1, or breaks a limit.
            Interrupted: The answer began and was cut, or the client was closed.
        """
        ...

    async def aclose(self) -> None:
        """Close every connection; exchanges under way fail with `Interrupted`."""
        ...
