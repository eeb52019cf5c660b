"""uvicorn's HTTP protocol, which also says at once when a client leaves, and writes less often."""

import asyncio
from typing import cast

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from modelmux.ingress.asgi import ENTRY, GONE, LEFT, Scope
from modelmux.ingress.entrance import OPEN, Entrance
from modelmux.target.call import UNKNOWN_PEER, Peer

MAX_HEAD_BYTES = 65_536
"""Most of a request's head that is taken after the first read: uvicorn has no limit here, and
would let one client fill the memory. nginx takes half of it."""

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)


class Protocol(HttpToolsProtocol):
    """Calls what a request has left under `GONE` in its scope when the connection is lost.

    Without it an application learns of a lost client only from a task that waits for nothing
    else, which would cost each request as much as all of its other work.
    """

    entrance: Entrance = OPEN
    """Where the connection came in; whoever makes a protocol for a listener sets it."""
    peer: Peer = UNKNOWN_PEER
    """Who is at its other end: asked of the system once, and not for each request."""
    _earlier: tuple[RequestResponseCycle, ...] = ()
    """Requests that were not answered when the next one came: HTTP allows to send ahead."""
    _head_bytes: int | None = None
    """What came of a head that was not complete at the end of a read, from the next read on."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        stream = cast("asyncio.Transport", transport)
        super().connection_made(stream)
        self.peer = self.entrance.peer(stream)
        self.entrance.transports.add(stream)
        self._joining = JoiningTransport(stream)
        self.transport = cast("asyncio.Transport", self._joining)

    @override
    def data_received(self, data: bytes) -> None:
        """The client sends."""
        super().data_received(data)
        scope, cycle = self.scope, self.cycle
        # uvicorn's annotations leave out that there may have been no request yet.
        begun = cycle and cycle.scope is scope
        if begun or not scope:
            self._head_bytes = None
        elif self._head_bytes is None:
            self._head_bytes = 0
        else:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.transport.write(_TOO_LARGE)
                self.transport.close()

    @override
    def on_message_begin(self) -> None:
        """A request begins."""
        cycle = self.cycle
        if cycle and not cycle.response_complete:
            waiting = [each for each in self._earlier if not each.response_complete]
            self._earlier = (*waiting, cycle)
        super().on_message_begin()
        scope = cast("Scope", self.scope)
        scope[GONE] = self.loop
        scope[ENTRY] = (self.entrance, self.peer)

    @override
    def on_response_complete(self) -> None:
        """An answer has been given to the transport."""
        self._joining.flush()
        super().on_response_complete()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left, perhaps before its answer was complete."""
        super().connection_lost(exc)
        self.entrance.transports.discard(self._joining.stream)
        for cycle in (*self._earlier, self.cycle):
            if cycle and not cycle.response_complete:
                cycle.disconnected = True  # uvicorn does so for the last one only
                scope = cast("Scope", cycle.scope)
                cancel = scope[GONE]
                scope[GONE] = LEFT
                if callable(cancel):
                    cancel()


class JoiningTransport:
    """A transport that sends the head of an answer together with what follows it.

    uvicorn writes them one after the other, and each write is a system call, a tenth of what a
    request costs. The head of an answer without a body goes out with `flush`.
    """

    __slots__ = ("_head", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._head = b""

    @property
    def stream(self) -> asyncio.Transport:
        """The transport itself."""
        return self._transport

    def write(self, data: bytes) -> None:
        """Send `data`, or keep it until the next call if it is the head of a final answer."""
        if self._head:
            data = self._head + data
            self._head = b""
        elif data.endswith(b"\r\n\r\n") and data.startswith(b"HTTP/1.1 ") and data[9:10] != b"1":
            self._head = data
            return
        self._transport.write(data)

    def flush(self) -> None:
        """Send a head that is kept."""
        if self._head:
            head, self._head = self._head, b""
            self._transport.write(head)

    def close(self) -> None:
        """Close once all is sent."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Whether it closes or has closed."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: object = None) -> object:
        """What is known of the connection."""
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand the connection over."""
        self.flush()
        self._transport.set_protocol(protocol)
