"""Asking another process of ours, and passing on what somebody asks it, on a unix socket."""

from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Final

from typing_extensions import override

from modelmux.ingress.control import Control
from modelmux.ingress.health import Health
from modelmux.ingress.http import Answer, HttpRequest
from modelmux.transport.base import HttpResponse, Timeouts
from modelmux.transport.http import OriginClient
from modelmux.transport.origin import Origin

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
"""Largest whole answer: metrics of thousands of models."""

TIMEOUTS: Final = Timeouts(connect_s=5.0, first_byte_s=90.0, idle_s=0.0)
"""An upgrade may take a minute to be answered, and a log that is followed may be silent."""

_PASSED: Final = frozenset({b"content-type"})


class Relay:
    """The control socket of another process. For one event loop."""

    def __init__(self, path: Path) -> None:
        """Ask at `path`; nothing is connected."""
        self._client = OriginClient(Origin("localhost", socket_path=str(path)))

    async def send(self, method: str, target: str, body: bytes = b"") -> HttpResponse:
        """The answer to one request. Raises `TargetError` if there is none."""
        head = f"{method} {target} HTTP/1.1\r\nhost: modelmux\r\n"
        return await self._client.send(head.encode(), body, TIMEOUTS)

    async def ask(self, method: str, target: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and body of the answer to one request. Raises as `send`."""
        response = await self.send(method, target, body)
        try:
            return response.status, await response.read(MAX_ANSWER_BYTES)
        finally:
            await response.aclose()

    async def __call__(self, request: HttpRequest) -> Answer:
        """Pass a request on, and its answer back as it comes. Raises as `send`."""
        query = f"?{request.query.decode('latin-1')}" if request.query else ""
        response = await self.send(request.method, request.path + query, request.body)
        fields = [(name, value) for name, value in response.headers if name in _PASSED]
        return Answer(response.status, fields, _pieces(response), response.aclose)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()


async def _pieces(response: HttpResponse) -> AsyncGenerator[bytes]:
    async for piece in response:
        yield piece


class RelayedControl(Control):
    """Controls not this process but the one that started it."""

    def __init__(self, relay: Relay) -> None:
        """Pass everything on by `relay`."""
        self._relay = relay

    @override
    async def status(self, request: HttpRequest) -> Answer:
        return await self._relay(request)

    @override
    async def stop(self, request: HttpRequest) -> Answer:
        return await self._relay(request)

    @override
    async def reload(self, request: HttpRequest) -> Answer:
        return await self._relay(request)

    @override
    async def upgrade(self, request: HttpRequest) -> Answer:
        return await self._relay(request)

    @override
    async def logs(self, request: HttpRequest) -> Answer:
        return await self._relay(request)


class RelayedHealth(Health):
    """Tells the figures of all processes, and of this one whether it serves."""

    def __init__(self, own: Health, relay: Relay) -> None:
        """Ask by `relay` for what `own` cannot know."""
        self._own = own
        self._relay = relay

    @override
    async def health(self, request: HttpRequest) -> Answer:
        return await self._relay(request)

    @override
    async def live(self, request: HttpRequest) -> Answer:
        return await self._own.live(request)

    @override
    async def ready(self, request: HttpRequest) -> Answer:
        return await self._own.ready(request)

    @override
    async def metrics(self, request: HttpRequest) -> Answer:
        return await self._relay(request)
