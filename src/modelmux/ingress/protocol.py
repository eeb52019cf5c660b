"""uvicorn's HTTP protocol, which also says at once when a client leaves, and writes less often."""

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from enum import Enum
from typing import Final, cast

from typing_extensions import override
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from modelmux.ingress.asgi import ENTRY, GONE, LEFT, LINGER_S, Scope
from modelmux.ingress.entrance import OPEN, Entrance
from modelmux.target.call import UNKNOWN_PEER, Peer

KEEP_ALIVE_S: Final = 75.0
"""Idle time after which a connection is closed: nginx's, longer than what SDKs keep (5 s)."""

READ_TIMEOUT_S: Final = 60.0
"""How long a request's head may take, and how long its body may pause, if nothing else is said:
nginx's `client_header_timeout` and `client_body_timeout`."""

MAX_HEAD_BYTES = 65_536
"""Most of a request's head that is taken after the first read, and most that is taken in a row of
what frames a body without being it: the parser has no limit here, and would let one client fill
the memory. nginx takes half of it."""

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-length: 0\r\nconnection: close\r\n\r\n"
)

_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class Stage(Enum):
    """Where a connection is in its exchange with the client."""

    IDLE = 1
    """No request has begun."""
    HEAD = 2
    BODY = 3
    ANSWER = 4
    """The whole request is there."""
    LINGER = 5
    """It was answered before it was there: what comes is thrown away until its end."""


_IDLE, _HEAD, _BODY, _ANSWER = Stage.IDLE, Stage.HEAD, Stage.BODY, Stage.ANSWER


class Protocol(HttpToolsProtocol):
    """Calls what a request has left under `GONE` in its scope when the connection is lost.

    Without it an application learns of a lost client only from a task that waits for nothing
    else, which would cost each request as much as all of its other work.

    No timer runs here: the server's sweeper calls `check`. What happens restarts the clock by
    setting `since` to 0, and the next sweep sets it: so nobody is sent away early, and at most one
    sweep late.
    """

    entrance: Entrance = OPEN
    """Where the connection came in; whoever makes a protocol for a listener sets it."""
    peer: Peer = UNKNOWN_PEER
    """Who is at its other end: asked of the system once, and not for each request."""
    keeps = True
    """The connection may go on after the answer to the next request."""
    stage = _IDLE
    since = 0.0
    """When the sweeper first saw the connection as it is; 0: it has not yet."""
    _earlier: tuple[RequestResponseCycle, ...] = ()
    """Requests that were not answered when the next one came: HTTP allows to send ahead."""
    has_grown = False
    """Something of a body has come in this read."""
    _dry_bytes = -1
    """What came of a request since its beginning or its last piece of body, from the second read
    on; -1: there was no such read yet."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        stream = cast("asyncio.Transport", transport)
        super().connection_made(stream)
        self.peer = self.entrance.peer(stream)
        self.entrance.enter(stream)
        self._joining = JoiningTransport(stream)
        self.transport = cast("asyncio.Transport", self._joining)

    @override
    def data_received(self, data: bytes) -> None:
        """The client sends."""
        super().data_received(data)
        if self.stage is _HEAD or self.stage is _BODY:
            self.count(len(data))

    @override
    def on_message_begin(self) -> None:
        """A request begins."""
        self.begin_head()
        self.begin_scope()

    @override
    def on_header(self, name: bytes, value: bytes) -> None:
        """A field of the head; those behind a body say nothing that is read here."""
        if self.stage is _HEAD:
            super().on_header(name, value)

    @override
    def on_headers_complete(self) -> None:
        """The head of a request is there."""
        check_framing(self.parser.get_http_version() if self.parser else "", self.headers)
        self.begin_body()
        super().on_headers_complete()
        if not self.keeps:
            self.cycle.keep_alive = False

    @override
    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self.has_grown = True
        super().on_body(body)

    @override
    def on_message_complete(self) -> None:
        """A whole request is there."""
        super().on_message_complete()
        self.end_body()

    @override
    def on_response_complete(self) -> None:
        """An answer has been given to the transport."""
        self._joining.flush()
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        elif self.stage is _ANSWER:
            self.stage = _IDLE
        self.since = 0.0

    @override
    def send_400_response(self, msg: str) -> None:
        """What came is no HTTP."""
        if self._ends_with_answer() or self.transport.is_closing():
            return
        if self.stage is Stage.LINGER:  # it has been answered
            self.transport.close()
        else:
            super().send_400_response(msg)

    @property
    def is_idle(self) -> bool:
        """No request has begun that is not answered."""
        return self.stage is _IDLE

    def leave(self) -> None:
        """Close once it is said: with the next answer of which the head has not been sent."""
        self.keeps = False
        cycle = self.cycle
        if cycle and not cycle.response_started:
            cycle.keep_alive = False

    def begin_scope(self) -> None:
        """Let uvicorn make what it keeps of a request."""
        super().on_message_begin()
        scope = cast("Scope", self.scope)
        scope[GONE] = self.loop
        scope[ENTRY] = (self.entrance, self.peer)

    def begin_head(self) -> None:
        """A request begins."""
        self.stage = _HEAD
        self.since = 0.0
        self._dry_bytes = -1
        cycle = self.cycle
        if cycle and not cycle.response_complete:
            waiting = [each for each in self._earlier if not each.response_complete]
            self._earlier = (*waiting, cycle)

    def begin_body(self) -> None:
        """The head of a request is there."""
        self.stage = _BODY
        self.since = 0.0
        self._dry_bytes = -1

    def end_body(self) -> None:
        """A whole request is there; it may have been answered before."""
        self.stage = _IDLE if self.cycle.response_complete else _ANSWER
        self.since = 0.0

    def check(self, now: float, read_timeout_s: float) -> None:
        """Close the connection if a limit has passed: the sweeper's call.

        Args:
            now: Monotonic time.
            read_timeout_s: How long a head may take, and a body may pause; 0: for ever.
        """
        stage = self.stage
        if stage is _ANSWER or self.transport.is_closing():
            return
        if self.since == 0.0 or (stage is not Stage.LINGER and self._is_behind()):
            self.since = now
            return
        limit_s = read_timeout_s or math.inf
        if stage is _IDLE:
            limit_s = KEEP_ALIVE_S
        elif stage is Stage.LINGER:
            limit_s = LINGER_S
        if now - self.since < limit_s:
            return
        if stage is _HEAD or stage is _BODY:
            self._refuse(_TOO_SLOW)
        else:
            self.transport.close()

    def _is_behind(self) -> bool:
        """Whether the client waits for an answer to an earlier request than the one it sends."""
        cycle = self.cycle
        is_answering = bool(cycle) and not cycle.response_complete and self.stage is _HEAD
        return is_answering or bool(self.pipeline)

    def count(self, count: int) -> None:
        """Refuse a request of which so many bytes have come without adding to its body."""
        if self.has_grown:
            self.has_grown = False
            self.since = 0.0
            self._dry_bytes = -1
        elif self._dry_bytes < 0:
            self._dry_bytes = 0  # the first read may have brought what was before it, too
        else:
            self._dry_bytes += count
            if self._dry_bytes > MAX_HEAD_BYTES and not self._ends_with_answer():
                self._refuse(_TOO_LARGE)

    def _ends_with_answer(self) -> bool:
        """Whether an answer is under way: it is not broken into, and is the connection's last."""
        cycle = self.cycle
        if not cycle or cycle.response_complete:
            return False
        if cycle.more_body:
            # It is the one that is at fault. What was sent before it is answered.
            before = [each for each in self._earlier if not each.response_complete]
            if not before:
                return False
            self.pipeline = deque(each for each in self.pipeline if each[0] is not cycle)
            cycle = before[-1]
        cycle.keep_alive = False
        self.flow.pause_reading()
        return True

    def _refuse(self, answer: bytes) -> None:
        """End the connection, with an answer if none has begun to the request that is read."""
        if self.transport.is_closing():
            return
        if self.stage is _HEAD or not self.cycle.response_started:
            self.transport.write(answer)
        self.transport.close()

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


def check_framing(version: str, fields: Sequence[tuple[bytes, bytes]]) -> None:
    """Refuse a head that says of its body's end what others read in another way.

    The parser takes each of them, by its last coding, and nginx none: a request would end at one
    place for a proxy in front of us, and at another here.

    Raises:
        ValueError: Inside of a parser's callback that is an answer of 400.
    """
    codings = [value for name, value in fields if name == b"transfer-encoding"]
    if version not in {"1.1", "1.0"} or (codings and version == "1.0"):
        raise ValueError(f"HTTP/{version} with {len(codings)} transfer codings")
    if codings and (len(codings) > 1 or codings[0].strip(b" \t").lower() != b"chunked"):
        raise ValueError("a transfer coding that is not chunked alone")


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
