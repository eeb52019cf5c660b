"""The fast path: HTTP/1.1 requests to the model doors, answered without ASGI.

ASGI costs a request more than all that the gateway itself does with it: a scope, an event, a cycle,
messages both ways, a timer. A POST to a path that the handler calls fast, and that comes when
nothing else of its connection is under way, is served here, by the same endpoint and with the same
outcome. All else, WebSockets and requests sent ahead included, is uvicorn's as before.

An exchange stands where uvicorn expects a cycle of its own (`protocol.cycle`), so that requests
sent ahead wait for it, a shutdown lets it end, and `Protocol` ends it when its client leaves.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from typing import ClassVar, Final, cast

from typing_extensions import override
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.server import ServerState

from modelmux.ingress.asgi import GONE, LEFT, Adapter
from modelmux.ingress.http import Answer, BrokenOff, HttpRequest
from modelmux.ingress.protocol import Protocol, Stage, check_framing
from modelmux.transport.head import END, NO_FIELDS, Head

JOINED_BODY_BYTES: Final = 65_536
"""Up to this size a body is copied behind its head: copying it costs less than a second write."""

_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"

_FAILED: Final = Answer(
    500,
    [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"21")],
    b"Internal Server Error",
)
"""uvicorn's own words, where not even an answer in the caller's dialect can be made."""


class _Nobody:
    """What nobody waits for."""

    def set(self) -> None:
        """Tell nobody."""


class Exchange:
    """One request and its answer.

    `response_started`, `response_complete`, `keep_alive`, `more_body`, `disconnected`, `scope` and
    `message_event` are what a cycle of uvicorn's has, of which the protocol makes use.
    """

    __slots__ = (
        "asks_leave",
        "disconnected",
        "fields",
        "keep_alive",
        "more_body",
        "pieces",
        "request",
        "response_complete",
        "response_started",
        "scope",
        "size",
    )

    message_event: ClassVar = _Nobody()

    def __init__(self, request: HttpRequest, fields: Head, keep_alive: bool) -> None:
        self.request = request
        self.fields = fields
        self.keep_alive = keep_alive
        self.pieces: list[bytes] = []
        self.size = 0
        self.more_body = True
        self.asks_leave = True
        """Whether the client waits for leave to send the body has not been looked at yet."""
        self.disconnected = False
        self.response_started = False
        self.response_complete = False
        self.scope: dict[str, Callable[[], object] | str | None] = {GONE: None}

    @property
    def has_left(self) -> bool:
        """The client has."""
        return self.scope[GONE] == LEFT


_IDLE, _BODY, _LINGER = Stage.IDLE, Stage.BODY, Stage.LINGER


class FastProtocol(Protocol):
    """Answers what is fast by itself.

    Heads are cut out of what comes, and read where they stand (`transport.head`): the parser is
    given each one apart from what precedes and follows it, and no callback for fields.
    """

    # The parser calls it if it is there.
    on_header = None  # type: ignore[assignment] # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, object],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """Serve one connection to an `Adapter`."""
        super().__init__(config, server_state, app_state, _loop)
        self._app = cast("Adapter", config.app)
        self._now = self._app.now
        self._taking: Exchange | None = None
        """The exchange whose body is being read."""
        self._line: asyncio.Transport
        self._coming = b""
        """What has come of the head that is being read."""
        self._fields: Head = NO_FIELDS
        """Of the last head."""
        self._length = 0
        """What it says of its body's."""
        self._left = 0
        """How much of the body is to come; -1: until it ends."""
        self._tail = b""
        """The last bytes of a chunked body, which may be the beginning of its end."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A client has come."""
        super().connection_made(transport)
        self._line = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        """The client sends."""
        at, end = 0, len(data)
        if self.stage is _IDLE:
            at = self._take_whole(data)
        while at < end and not self._is_over(at):
            if self.stage is _BODY or self.stage is _LINGER:
                cut = self._cut_body(data, at)
            else:
                cut = self._cut_head(data, at)
            super().data_received(data if cut - at == end else data[at:cut])
            at = cut
        taking = self._taking
        if taking is not None and self.stage is _BODY:
            self._await_body(taking)

    def _take_whole(self, data: bytes) -> int:
        """Take the head that `data` begins with, and its body if nothing but that follows.

        That is how most requests come. Returns how much has been taken; the rest is for others.
        """
        cut = data.find(END) + len(END)
        if cut < len(END) or data[0] in b"\r\n":
            return 0
        self._coming = data[:cut]
        take = super(Protocol, self).data_received
        take(self._coming)
        if self.stage is not _BODY or self._left != len(data) - cut:
            return cut
        self._left = 0
        take(data[cut:])
        self.has_grown = False
        return len(data)

    def _is_over(self, at: int) -> bool:
        """Whether what comes is no request any more, of which `at` bytes have been."""
        if self.stage is _LINGER:
            return self._taking is None  # all of a body that was refused has come
        if at and self.stage is not _BODY:
            parser = self.parser
            if parser is None or parser.should_upgrade():
                return True  # as uvicorn has it: the rest of this read is the other protocol's
        return self._line.is_closing()

    def _cut_head(self, data: bytes, at: int) -> int:
        """Where the head ends that begins or goes on at `at`; the end of `data` if later."""
        before = self._coming if self.stage is Stage.HEAD else b""
        start = at
        while not before and start < len(data) and data[start] in b"\r\n":
            start += 1  # blank lines before a head are not its end
        end = _find_end(data, start, before[-3:])
        if end < 0:
            end = len(data)
        self._coming = before + data[at:end]
        return end

    def _cut_body(self, data: bytes, at: int) -> int:
        """Where the body may end that goes on at `at`; the end of `data` if later.

        Not behind its end: the next head would not be read from its beginning.
        """
        left = self._left
        if left >= 0:
            size = min(len(data) - at, left)
            self._left = left - size
            return at + size
        # It is chunked. At its end there is a blank line; not each one is its end.
        end = _find_end(data, at, self._tail)
        self._tail = b"" if end >= 0 else (self._tail + data[max(at, len(data) - 3) :])[-3:]
        return end if end >= 0 else len(data)

    @override
    def on_message_begin(self) -> None:
        """A request begins: whose it is, is not known before its head is complete."""
        self.begin_head()
        self.url = b""

    @override
    def on_headers_complete(self) -> None:
        """The head of a request is there."""
        parser = self.parser
        if parser is None:
            return
        fields = self._fields = Head(self._coming)
        length = fields.first(b"content-length")
        self._length = int(length) if length is not None else 0
        is_chunked = fields.has(b"transfer-encoding")
        self._left = -1 if is_chunked else self._length
        self._tail = b""
        version = parser.get_http_version()
        if is_chunked or version != "1.1":
            check_framing(version, fields)
        method = parser.get_method()
        path, _, query = self.url.partition(b"?")
        cycle = self.cycle
        if (
            self._app.handler.is_fast(method, path)
            and not (cycle and not cycle.response_complete)  # or it was sent ahead
            and version == "1.1"
            and not parser.should_upgrade()
        ):
            self.begin_body()
            request = HttpRequest(
                method.decode("ascii"), path.decode("ascii"), query, fields, b"", self._now()
            )
            request.entrance, request.peer = self.entrance, self.peer
            keeps = self.keeps and parser.should_keep_alive()
            taking = self._taking = Exchange(request, fields, keeps)
            self.cycle = cast("RequestResponseCycle", taking)
        else:
            self._hand_over()

    @override
    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        taking = self._taking
        if taking is None:
            super().on_body(body)
            return
        self.has_grown = True
        if self.stage is _LINGER:
            return  # it is thrown away
        taking.pieces.append(body)
        taking.size += len(body)
        if taking.size > self._app.max_body_bytes:
            self._refuse_body(taking)

    @override
    def on_message_complete(self) -> None:
        """A whole request is there."""
        taking = self._taking
        if taking is None:
            super().on_message_complete()
            return
        self._taking = None
        taking.more_body = False
        if self.stage is _LINGER:
            if taking.response_complete:
                self._line.close()
            return
        self.end_body()
        pieces = taking.pieces
        taking.request.body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        taking.pieces = []
        self._start(taking)

    def _hand_over(self) -> None:
        """Tell uvicorn of the head that has come."""
        url = self.url
        self.begin_scope()
        super().on_url(url)
        for name, value in self._fields:
            super().on_header(name, value)
        super().on_headers_complete()

    def _await_body(self, taking: Exchange) -> None:
        """See to a body that is not complete at the end of a read."""
        if self._length > self._app.max_body_bytes:
            self._refuse_body(taking)
        elif taking.asks_leave and not taking.pieces and _expects_leave(taking.fields):
            self._line.write(_CONTINUE)
        taking.asks_leave = False

    def _refuse_body(self, taking: Exchange) -> None:
        """Answer that the body is too large, and let the client finish to send it.

        A server that closes while it is being sent to resets the connection, and the client loses
        the answer: it would see a broken connection, and try again.
        """
        taking.pieces = []
        taking.keep_alive = False
        taking.request.fault = self._app.too_large()
        self.stage = _LINGER
        self.since = 0.0
        self._start(taking)

    def _start(self, exchange: Exchange) -> None:
        task = self.loop.create_task(self._serve(exchange))
        exchange.scope[GONE] = task.cancel
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _serve(self, exchange: Exchange) -> None:
        request = exchange.request
        try:
            answer = await self._app.handler(request)
            if self.flow.write_paused:
                await self.flow.drain()
            if isinstance(answer.body, bytes):
                self._write_whole(exchange, answer)
            else:
                await self._write_stream(exchange, answer, answer.body)
        except asyncio.CancelledError:
            if not exchange.has_left:  # not the client: the server is stopping
                self._break_off(exchange)
                raise
        except BrokenOff:
            self._break_off(exchange)
        # The outermost handler of what bypasses ASGI's: a client must not wait for ever.
        except Exception as exc:  # noqa: BLE001
            self._app.handler.broke(request, exc)
            self._break_off(exchange)
        else:
            exchange.response_complete = True
            if not (exchange.keep_alive or exchange.more_body):
                self._line.close()
            self.on_response_complete()

    def _break_off(self, exchange: Exchange) -> None:
        """Let the client know that there will be no answer, or no more of it."""
        if not exchange.response_started:
            exchange.keep_alive = False
            self._write_whole(exchange, _FAILED)
        exchange.response_complete = True
        self._line.close()

    def _write_whole(self, exchange: Exchange, answer: Answer) -> None:
        body = cast("bytes", answer.body)
        head = self._head(exchange, answer, b"content-length: %d\r\n" % len(body))
        if len(body) <= JOINED_BODY_BYTES:
            self._line.write(head + body)
        else:
            self._line.write(head)
            self._line.write(body)

    async def _write_stream(
        self, exchange: Exchange, answer: Answer, pieces: AsyncGenerator[bytes]
    ) -> None:
        write, flow = self._line.write, self.flow
        try:
            # The head goes with the first piece: each write is a system call.
            head = self._head(exchange, answer, b"transfer-encoding: chunked\r\n")
            async for piece in pieces:
                write(b"%b%x\r\n%b\r\n" % (head, len(piece), piece))
                head = b""
                if flow.write_paused:
                    await flow.drain()
        finally:
            await answer.aclose()
        write(head + b"0\r\n\r\n")

    def _head(self, exchange: Exchange, answer: Answer, framing: bytes) -> bytes:
        fields = answer.headers
        if not exchange.keep_alive:
            fields = [*fields, (b"connection", b"close")]
        lines = [b"%b: %b\r\n" % field for field in fields]
        block = b"".join(lines)
        # Whatever made a value, it must not make a field, or an answer.
        if block.count(b"\n") != len(lines) or block.count(b"\r") != len(lines):
            raise ValueError("a header field with a line break in it")
        exchange.response_started = True
        dated = [b"%b: %b\r\n" % field for field in self.server_state.default_headers]
        return b"".join((STATUS_LINE[answer.status], *dated, block, framing, b"\r\n"))


def _expects_leave(fields: Head) -> bool:
    return (fields.first(b"expect") or b"").lower() == b"100-continue"


def _find_end(data: bytes, at: int, before: bytes) -> int:
    """Behind the first blank line in `data` from `at` on; -1 if there is none.

    Args:
        data: What has come.
        at: Where to look from.
        before: The three bytes before that, with which the blank line may begin.
    """
    if before:
        end = (before + data[at : at + 3]).find(END)
        if end >= 0:
            return at + end + len(END) - len(before)
    end = data.find(END, at)
    return end + len(END) if end >= 0 else -1
