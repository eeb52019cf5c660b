"""uvicorn's HTTP protocol, which also says at once when a client leaves, and answers in one go."""

import asyncio
from typing import cast

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from modelmux.ingress.asgi import GONE, LEFT, Scope
from modelmux.ingress.http import Answer

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

    _earlier: tuple[RequestResponseCycle, ...] = ()
    """Requests that were not answered when the next one came: HTTP allows to send ahead."""
    _head_bytes: int | None = None
    """What came of a head that was not complete at the end of a read, from the next read on."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        stream = cast("asyncio.Transport", transport)
        super().connection_made(stream)
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
        cast("Scope", self.scope)[GONE] = self

    def answer(self, scope: Scope, answer: Answer, body: bytes) -> bool:
        """Send a whole answer in one write, as `Direct.answer` has it."""
        cycle = self._cycle_of(scope)
        if cycle is None or cycle.response_started or cycle.disconnected or self.flow.write_paused:
            return False
        head = [STATUS_LINE[answer.status]]
        for name, value in (*cycle.default_headers, *answer.headers):
            # A line end in a value would be the end of the field; the usual way raises.
            if b"\n" in value or b"\r" in value or name == b"connection":
                return False
            head += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            head.append(b"connection: close\r\n")
        head.append(b"content-length: %d\r\n\r\n" % len(body))
        if scope["method"] != "HEAD":
            head.append(body)
        cycle.waiting_for_100_continue = False
        cycle.response_started = cycle.response_complete = True
        self.transport.write(b"".join(head))
        cycle.message_event.set()
        if not cycle.keep_alive:
            self.transport.close()
        cycle.on_response()
        return True

    def piece(self, scope: Scope, data: bytes) -> bool:
        """Send a chunk, as `Direct.piece` has it."""
        cycle = self._cycle_of(scope)
        if cycle is None or not cycle.chunked_encoding or cycle.disconnected:
            return False
        if self.flow.write_paused or not data or scope["method"] == "HEAD":
            return False
        self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        return True

    def _cycle_of(self, scope: Scope) -> RequestResponseCycle | None:
        """The request of `scope`: the last, unless the client has sent ahead."""
        for cycle in (self.cycle, *self._earlier):
            if cycle.scope is scope:
                return cycle
        return None

    @override
    def on_response_complete(self) -> None:
        """An answer has been given to the transport."""
        self._joining.flush()
        super().on_response_complete()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left, perhaps before its answer was complete."""
        super().connection_lost(exc)
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
