"""A request and its answer, as endpoints see them: no server and no ASGI here."""

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence

from modelmux.errors import CallerError, InvalidRequest
from modelmux.ingress.entrance import OPEN, Entrance
from modelmux.target.call import UNKNOWN_PEER, Peer

JSON = b"application/json"

Fields = Sequence[tuple[bytes, bytes]]

_WANTED: Mapping[bytes, str] = {
    name.encode(): name
    for name in (
        "accept",
        "anthropic-beta",
        "anthropic-version",
        "authorization",
        "content-encoding",
        "http-referer",
        "idempotency-key",
        "openai-organization",
        "openai-project",
        "user-agent",
        "x-api-key",
        "x-client-request-id",
        "x-goog-api-client",
        "x-goog-api-key",
        "x-modelmux-tags",
        "x-modelmux-timeout",
        "x-request-id",
        "x-stainless-lang",
        "x-title",
    )
}
"""The header fields that some endpoint reads. All others are dropped at the door."""


class HttpRequest:
    """One request.

    `headers` holds the fields that endpoints read, by lower-case name; `fields` has all of them.
    Whoever knows where it came in sets `entrance` and `peer`.
    """

    __slots__ = (
        "body",
        "entrance",
        "fault",
        "fields",
        "headers",
        "method",
        "parameters",
        "path",
        "peer",
        "query",
        "started",
    )

    def __init__(
        self,
        method: str,
        path: str,
        query: bytes,
        fields: Fields,
        body: bytes,
        started: float,
    ) -> None:
        """Take a request apart.

        Args:
            method: In capitals.
            path: Decoded, with its leading slash.
            query: Raw, without the question mark.
            fields: Header fields, names in lower case.
            body: The whole body.
            started: Monotonic time at which the request began.
        """
        self.method = method
        self.fields = fields
        self.path = path
        self.query = query
        self.body = body
        self.started = started
        self.fault: CallerError | None = None
        """Why `body` is not what was sent."""
        self.entrance: Entrance = OPEN
        self.peer: Peer = UNKNOWN_PEER
        self.parameters: Mapping[str, str] = {}
        headers: dict[str, str] = {}
        for name, value in fields:
            wanted = _WANTED.get(name)
            if wanted is not None:
                text = value.decode("latin-1")
                # Several fields of a name are one list. RFC 9110, 5.3.
                headers[wanted] = f"{headers[wanted]}, {text}" if wanted in headers else text
        self.headers: Mapping[str, str] = headers

    def check(self) -> None:
        """Raises `CallerError` where the body came in part, or in a form that nobody here reads."""
        if self.fault is not None:
            raise self.fault
        coding = self.headers.get("content-encoding", "identity")
        if coding.lower() != "identity":
            raise InvalidRequest(
                f"expected an uncompressed body, got content-encoding {coding!r}; send it plain"
            )


class Answer:
    """What goes back: a whole body, or a stream of non-empty pieces.

    `headers` have no field of how the message travels: those are added by whoever sends it.

    Whoever takes an answer calls `aclose` when it is sent or given up.
    """

    __slots__ = ("_aclose", "body", "headers", "status")

    def __init__(
        self,
        status: int,
        headers: list[tuple[bytes, bytes]],
        body: bytes | AsyncGenerator[bytes],
        aclose: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """Make an answer; `aclose` frees what a stream holds, even if it was never begun."""
        self.status = status
        self.headers = headers
        self.body = body
        self._aclose = aclose

    async def aclose(self) -> None:
        """Free what the answer holds."""
        if not isinstance(self.body, bytes):
            await self.body.aclose()
        if self._aclose is not None:
            await self._aclose()


Endpoint = Callable[[HttpRequest], Awaitable[Answer]]
"""Answers one request. Raises `GatewayError` for what went wrong; never anything else."""


def field_value(text: str) -> bytes:
    """`text` as a header field's value: what cannot stand there is a question mark."""
    if not (text.isascii() and text.isprintable()):
        text = "".join([char if char.isascii() and char.isprintable() else "?" for char in text])
    return text.encode()


def text(body: str, content_type: bytes = b"text/plain; charset=utf-8") -> Answer:
    """An answer of plain text."""
    return Answer(200, [(b"content-type", content_type)], body.encode())
