"""A client that plays a script, for tests of whatever sends requests. No I/O.

```python
refused = Exchange(before=[Unreachable("connection refused")])
streamed = Exchange(status=200, body=[b"data: one", gate, b"data: two", Interrupted("cut")])
client = FakeClient([refused, streamed])
```
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence

from msgspec import Struct

from modelmux.errors import GatewayError, Interrupted, ProtocolViolation
from modelmux.target.passage import Payload
from modelmux.transport.base import Headers, Timeouts


class Exchange(Struct, frozen=True):
    """One answer: errors are raised where they stand, events are waited for."""

    status: int = 200
    headers: Sequence[tuple[bytes, bytes]] = ()
    body: Sequence[bytes | GatewayError | asyncio.Event] = ()
    before: Sequence[GatewayError | asyncio.Event] = ()
    """What happens before the head: inside `send`."""


class SentRequest(Struct, frozen=True):
    """What one call of `send` was given."""

    head: bytes
    body: bytes
    timeouts: Timeouts
    deadline: float | None


class FakeResponse:
    """The `HttpResponse` of an `Exchange`; `is_closed` tells whether `aclose` was called."""

    def __init__(self, exchange: Exchange) -> None:
        self.status = exchange.status
        self.headers: Headers = exchange.headers
        self.is_closed = False
        self.is_exhausted = False
        self._steps = iter(exchange.body)

    def header(self, name: bytes) -> bytes | None:
        """The first field of that name (lower case)."""
        return next((value for field, value in self.headers if field == name), None)

    async def read(self, max_bytes: int) -> bytes:
        """The rest of the body. Raises what the script says, or that it is too long."""
        body = b"".join([chunk async for chunk in self])
        if len(body) > max_bytes:
            self.is_closed = True
            raise ProtocolViolation(f"the response's body is longer than {max_bytes} bytes")
        return body

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        """The script's next bytes."""
        if self.is_closed and not self.is_exhausted:
            raise Interrupted("the response was closed before its body was read")
        for step in self._steps:
            if isinstance(step, bytes):
                return step
            await _play(step)
        self.is_exhausted = True
        raise StopAsyncIteration

    async def aclose(self) -> None:
        """Note that the response was given up."""
        self.is_closed = True


class FakeClient:
    """An `HttpClient` that answers the n-th request with the n-th exchange."""

    def __init__(self, exchanges: Iterable[Exchange] = ()) -> None:
        self.requests: list[SentRequest] = []
        self.responses: list[FakeResponse] = []
        self.is_closed = False
        self._exchanges = iter(exchanges)

    async def send(
        self, head: bytes, body: Payload, timeouts: Timeouts, deadline: float | None = None
    ) -> FakeResponse:
        """Record the request, play the next exchange up to its head."""
        self.requests.append(SentRequest(head, body[:], timeouts, deadline))
        exchange = next(self._exchanges, None)
        if exchange is None:
            raise AssertionError(f"request {len(self.requests)} is not in the script: {head!r}")
        for step in exchange.before:
            await _play(step)
        response = FakeResponse(exchange)
        self.responses.append(response)
        return response

    async def aclose(self) -> None:
        """Note that the client was closed."""
        self.is_closed = True


async def _play(step: GatewayError | asyncio.Event) -> None:
    if isinstance(step, GatewayError):
        raise step
    await step.wait()
