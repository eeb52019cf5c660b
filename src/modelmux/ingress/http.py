"""A request and its answer, as endpoints see them: no server and no ASGI here."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence

from modelmux.errors import GatewayError, InvalidRequest
from modelmux.ingress.entrance import OPEN, Entrance
from modelmux.ingress.multipart import Field
from modelmux.target.call import UNKNOWN_PEER, Peer
from modelmux.target.passage import Payload
from modelmux.transport.head import Head

JSON = b"application/json"

Fields = Sequence[tuple[bytes, bytes]]

_WANTED = frozenset(
    (
        b"accept",
        b"anthropic-beta",
        b"anthropic-version",
        b"authorization",
        b"content-encoding",
        b"content-type",
        b"http-referer",
        b"idempotency-key",
        b"openai-organization",
        b"openai-project",
        b"user-agent",
        b"x-api-key",
        b"x-client-request-id",
        b"x-goog-api-client",
        b"x-goog-api-key",
        b"x-modelmux-cache",
        b"x-modelmux-provider",
        b"x-modelmux-tags",
        b"x-modelmux-timeout",
        b"x-request-id",
        b"x-stainless-lang",
        b"x-title",
    )
)
"""The header fields that some endpoint reads."""


def _any_of(words: Collection[bytes]) -> bytes:
    """An expression for one of `words`, none of which begins with another."""
    by_first: dict[bytes, list[bytes]] = {}
    for word in sorted(words):
        by_first.setdefault(word[:1], []).append(word[1:])
    branches = [
        re.escape(first) + (re.escape(rest[0]) if len(rest) == 1 else _any_of(rest))
        for first, rest in by_first.items()
    ]
    return branches[0] if len(branches) == 1 else b"(?:%b)" % b"|".join(branches)


# Letter by letter, because the branches of a flat list are tried one after the other.
_FIELD = re.compile(
    rb"\r\n(%b)([^\r]*)" % _any_of([name + b":" for name in _WANTED]), re.IGNORECASE
)


_NAMES = {
    form: name.decode()
    for name in _WANTED
    for form in (name, name.title(), name + b":", name.title() + b":")
}
"""Names as they mostly come, with the colon as `_FIELD` finds them."""


def _name(raw: bytes) -> str | None:
    """The name of a field that endpoints read, written in another way than most; else nothing."""
    name = raw.removesuffix(b":").lower()
    return name.decode() if name in _WANTED else None


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
        "form",
        "headers",
        "method",
        "parameters",
        "path",
        "payload",
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
        self.fault: GatewayError | None = None
        """Why `body` is not what was sent."""
        self.entrance: Entrance = OPEN
        self.peer: Peer = UNKNOWN_PEER
        self.parameters: Mapping[str, str] = {}
        self.payload: Payload = b""
        """The body, where it may be too large for memory; `body` is then empty."""
        self.form: Field | None = None
        """The field of a form that names the model, once somebody has looked for it."""
        headers: dict[str, str] = {}
        found = _FIELD.findall(fields.block) if isinstance(fields, Head) else fields
        for raw_name, value in found:
            name = _NAMES.get(raw_name) or _name(raw_name)
            if name is None:
                continue
            text = value.decode("latin-1").strip(" \t")
            # Several fields of a name are one list. RFC 9110, 5.3.
            headers[name] = f"{headers[name]}, {text}" if name in headers else text
        self.headers: Mapping[str, str] = headers

    @property
    def body_bytes(self) -> int:
        """Size of the body, wherever it is."""
        return len(self.body) + len(self.payload)

    def check(self) -> None:
        """Raises `GatewayError` where the body came in part, or as nobody here reads it."""
        if self.fault is not None:
            raise self.fault
        coding = self.headers.get("content-encoding", "identity")
        if coding.lower() != "identity":
            raise InvalidRequest(
                f"expected an uncompressed body, got content-encoding {coding!r}; send it plain"
            )


class BrokenOff(Exception):
    """Raised by the stream of an answer that cannot be completed and has no words to say so.

    Whoever sends it breaks the connection, so that what was sent does not look whole.
    """


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
