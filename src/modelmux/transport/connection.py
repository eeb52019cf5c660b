"""One connection to an origin: HTTP/1.1 exchanges, one after another.

Theory of operation. A connection is in one of five phases. `_IDLE`: no exchange; any byte or
the end of the stream closes it. `start` writes a request: `_HEAD`, until the final response's
head is complete; heads before it (1xx) pass through `_INTERIM`. `_BODY` until the last byte,
then `_DONE` until the read that brought it has been parsed to its end, because bytes behind
the response mean that the connection cannot be used again. Then it is handed back, before the
task that waits for the response has run; all that this task needs is in the `Response`.

No timer runs here. Reads leave a mark, and the pool's sweeper calls `check` on what is busy.
"""

import asyncio
from typing import Final, Protocol, cast

from httptools import (
    HttpParserCallbackError,
    HttpParserError,
    HttpParserUpgrade,
    HttpResponseParser,
)
from typing_extensions import override

from modelmux.errors import (
    GatewayError,
    Interrupted,
    ProtocolViolation,
    TargetTimeout,
    Unreachable,
)
from modelmux.target.passage import Payload
from modelmux.transport.base import Timeouts
from modelmux.transport.failure import reason
from modelmux.transport.head import END, Head
from modelmux.transport.response import Response

MAX_HEAD_BYTES: Final = 65_536
"""Most bytes of a response's head, interim ones included. Proxies stop at 8 to 32 KiB."""
MAX_HEAD_FIELDS: Final = 256
MAX_DRY_BYTES: Final = 2 * MAX_HEAD_BYTES
"""Most bytes that may come in a row behind a head without being body: trailers and chunk
extensions, and the head itself where it came in one read with them."""
MAX_UNREAD_BYTES: Final = 65_536
"""A connection with more bytes than this unread is not read from. One read may go beyond it,
by at most what the event loop reads at once (256 KiB); over TLS two, because its layer stops only
once it holds a read of its own."""
JOINED_BODY_BYTES: Final = 65_536
"""Up to this size a body is copied behind its head and sent in one write; copying it costs less
than a second write. A longer one is written in slices, uncopied."""
WRITE_SLICE_BYTES: Final = 262_144
"""What is handed to the event loop at once; some loops copy what the socket does not take."""
STALE_AFTER_S: Final = 2.0
"""A reused connection that ends without a byte within this time of the request was being closed
when the request was written. Later, the target may have worked on the request, and whether to
repeat it is for a layer to decide."""

_IDLE: Final = 0
_HEAD: Final = 1
_INTERIM: Final = 2
_BODY: Final = 3
_DONE: Final = 4

_BODYLESS: Final = (b"GET ", b"HEAD ", b"DELETE ", b"OPTIONS ")
"""Methods whose request has no `content-length` when it has no body. RFC 9110, 8.6."""


class Owner(Protocol):
    """Whoever gave the connection its place."""

    def released(self, connection: "Connection") -> None:
        """The exchange is over and the connection can have another."""
        ...

    def closed(self, connection: "Connection") -> None:
        """The connection will have no more exchanges.

        Never said of a stale connection: its place is kept for whoever repeats the request.
        """
        ...

    def lost(self, connection: "Connection") -> None:
        """The transport is gone. `closed` came before it, but not for a stale connection."""
        ...


class Connection(asyncio.Protocol):
    """One exchange at a time. Made for a pool, which gives it to one task at a time."""

    def __init__(self, owner: Owner, origin: str, loop: asyncio.AbstractEventLoop) -> None:
        self.idle_since = 0.0
        """When the pool got it back; the pool's own mark."""
        self.exchanges = 0
        self.is_closed = False
        self._owner = owner
        self._origin = origin
        self._loop = loop
        self._parser = HttpResponseParser(self)
        self._transport: asyncio.Transport
        self._response: Response | None = None
        self._phase = _IDLE
        self._head = b""
        """What has come of heads, until the final one is complete."""
        self._head_start = 0
        """Where in it the head begins that is being read."""
        self._is_head_request = False
        self._keep_alive = False
        self._until_close = False
        self._has_surplus = False
        self._head_bytes = 0
        self._dry_bytes = 0
        self._was_heard = False
        self._started = 0.0
        self._since = 0.0
        self._timeouts = Timeouts()
        self._deadline: float | None = None
        self._unsent: _Unsent | None = None
        self._write_paused = False

    @property
    def is_busy(self) -> bool:
        """Whether an exchange is under way."""
        return self._response is not None

    def start(
        self, head: bytes, body: Payload, timeouts: Timeouts, deadline: float | None
    ) -> Response:
        """Write a request; the response is awaited through the object returned.

        The caller must have checked that the connection is idle and not closed.
        """
        loop = self._loop
        response = self._response = Response(self, loop)
        self._phase = _HEAD
        self._head = b""
        self._head_bytes = self._dry_bytes = self._head_start = 0
        self._was_heard = False
        self._is_head_request = head.startswith(b"HEAD ")
        self._timeouts = timeouts
        self._deadline = deadline
        self._started = self._since = loop.time()
        self.exchanges += 1
        body_bytes = len(body)
        if body_bytes > JOINED_BODY_BYTES:
            self._unsent = _Unsent(body)
            self._transport.write(b"%bcontent-length: %d\r\n\r\n" % (head, body_bytes))
            self._write_on()
        elif body_bytes or not head.startswith(_BODYLESS):
            self._transport.write(b"%bcontent-length: %d\r\n\r\n%b" % (head, body_bytes, body[:]))
        else:
            self._transport.write(head + b"\r\n")
        return response

    def abandon(self, response: Response, error: GatewayError) -> None:
        """Close the connection, if it still works for this response, which fails thus."""
        if response is self._response:
            self._fail(response, error)

    def resume(self) -> None:
        """Read on: what was unread has been taken."""
        response = self._response
        if response is not None and response.is_paused:
            response.is_paused = False
            self._transport.resume_reading()

    def close(self, error: GatewayError) -> None:
        """Close at once; an exchange under way fails thus."""
        response = self._response
        if response is not None:
            self._fail(response, error)
        else:
            self.retire()

    def retire(self) -> None:
        """Close at once; no exchange is under way."""
        if not self.is_closed:
            self.is_closed = True
            self._unsent = None
            self._owner.closed(self)
            # Not `close`: that waits for what is unsent, and with TLS for the other side's word.
            self._transport.abort()

    def check(self, now: float) -> None:
        """Fail the exchange if a limit has passed: the sweeper's call."""
        response = self._response
        if response is None:
            return
        deadline = self._deadline
        if deadline is not None and now >= deadline:
            allowed_s = deadline - self._started
            self._time_out(response, f"no complete answer by its deadline, after {allowed_s:.3g} s")
            return
        if self._phase == _BODY:
            self._check_silence(response, now)
            return
        # A head that dribbles in is no head: bytes before its end count for nothing.
        limit_s = self._timeouts.first_byte_s
        if limit_s and now - self._since >= limit_s:
            what = "took no more of the request" if self._unsent else "did not answer"
            self._time_out(response, f"it {what} within the first-byte timeout of {limit_s:g} s")

    def _check_silence(self, response: Response, now: float) -> None:
        limit_s = self._timeouts.idle_s
        # While reading is paused, the silence is the reader's.
        if self._was_heard or response.is_paused:
            self._was_heard = False
            self._since = now
        elif limit_s and now - self._since >= limit_s:
            text = f"it was silent inside its answer for the idle timeout of {limit_s:g} s"
            self._time_out(response, text)

    def _time_out(self, response: Response, text: str) -> None:
        self._fail(response, TargetTimeout(f"{self._origin}: {text}"))

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A stream's transport; asyncio types every protocol's as the base of all.
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:
            # Nothing was asked: a server that says 408 before it closes, or a broken one.
            self.retire()
            return
        self._was_heard = True
        if self._phase != _BODY:
            self._head_bytes += len(data)
            self._head = self._head + data if self._head else data
        try:
            self._parser.feed_data(data)
        except (HttpParserError, HttpParserUpgrade) as error:
            if self._phase != _DONE:
                self._fail(response, self._violation(error))
                return
            self._has_surplus = True
        if self._phase == _DONE:
            self._finish(response)
        elif self._phase == _BODY:
            self._received_part(response, len(data))
        elif self._head_bytes > MAX_HEAD_BYTES:
            self._fail(response, self._oversize_head())

    @override
    def eof_received(self) -> bool:
        self._ended(None)
        return False

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._ended(exc)
        self._owner.lost(self)

    @override
    def pause_writing(self) -> None:
        self._write_paused = True

    @override
    def resume_writing(self) -> None:
        self._write_paused = False
        if self._unsent is not None:
            self._write_on()

    def on_message_begin(self) -> None:
        if self._phase == _DONE:
            self._has_surplus = True

    def on_headers_complete(self) -> None:
        if self._phase != _HEAD or (response := self._response) is None:
            return
        status = self._parser.get_status_code()
        if status < 200:
            self._interim(status)
            return
        headers = response.headers = self._cut_head()
        response.status = status
        if self._head_bytes > MAX_HEAD_BYTES or len(headers) > MAX_HEAD_FIELDS:
            self._check_head(headers)
        self._head = b""
        self._keep_alive = self._parser.should_keep_alive()
        self._until_close = False
        self._phase = _BODY
        if (
            not self._keep_alive
            or self._is_head_request
            or headers.has(b"content-encoding")
            or headers.has(b"transfer-encoding")
        ):
            self._check_framing(response, headers)

    def on_body(self, body: bytes) -> None:
        if self._phase == _BODY and self._response is not None:
            self._response.chunks.append(body)

    def on_message_complete(self) -> None:
        if self._phase == _INTERIM:
            self._phase = _HEAD
        elif self._phase == _BODY:
            self._phase = _DONE

    def _interim(self, status: int) -> None:
        if status < 100:
            raise ProtocolViolation(f"{self._origin}: {status} is no HTTP status")
        if status == 101:
            raise ProtocolViolation(f"{self._origin}: it switched protocols, which nobody asked")
        self._phase = _INTERIM
        self._cut_head()

    def _cut_head(self) -> Head:
        """The fields of the head that has just been parsed; the next one begins behind it."""
        start = self._head_start
        # It may begin with blank lines, which are not its end.
        while self._head.startswith(b"\r\n", start):
            start += 2
        end = self._head.find(END, start)
        if end < 0:
            raise ProtocolViolation(f"{self._origin}: a response's head whose lines end oddly")
        self._head_start = end + len(END)
        return Head(self._head[start : self._head_start])

    def _check_head(self, headers: Head) -> None:
        if len(headers.block) > MAX_HEAD_BYTES or len(headers) > MAX_HEAD_FIELDS:
            raise self._oversize_head()

    def _check_framing(self, response: Response, fields: Head) -> None:
        """Decide what few responses make necessary: the end of the body, and what is refused."""
        version = self._parser.get_http_version()
        if version not in {"1.1", "1.0"}:
            raise ProtocolViolation(f"{self._origin}: expected HTTP/1.1, it spoke HTTP/{version}")
        if self._is_head_request:
            # The parser cannot know, and waits for a body: it is of no more use.
            self._keep_alive = False
            self._phase = _DONE
            return
        response.is_encoded = any(name == b"content-encoding" for name, _ in fields)
        codings = [value for name, value in fields if name == b"transfer-encoding"]
        if codings and (len(codings) > 1 or codings[0].lower() != b"chunked"):
            coding = b", ".join(codings)
            raise ProtocolViolation(
                f"{self._origin}: expected no transfer coding but chunked, not {coding!r}"
            )
        if not self._keep_alive and not codings:
            self._until_close = all(name != b"content-length" for name, _ in fields)

    def _received_part(self, response: Response, data_bytes: int) -> None:
        response.unread_bytes += data_bytes
        if response.chunks:
            self._dry_bytes = 0
            if response.unread_bytes > MAX_UNREAD_BYTES and not response.is_paused:
                response.is_paused = True
                self._transport.pause_reading()
        else:
            self._dry_bytes += data_bytes
            if self._dry_bytes > MAX_DRY_BYTES:
                text = f"more than {MAX_DRY_BYTES} bytes of framing without a byte of body"
                self._fail(response, ProtocolViolation(f"{self._origin}: {text}"))
                return
        if response.is_paused or not response.is_read_whole:
            response.wake()

    def _finish(self, response: Response) -> None:
        """The response is complete: hand it over, and the connection back."""
        self._response = None
        self._phase = _IDLE
        response.is_complete = True
        if self._keep_alive and not (self._has_surplus or self._write_paused):
            if response.is_paused:
                # Bytes that TLS had decrypted already came after reading was paused.
                response.is_paused = False
                self._transport.resume_reading()
            self._owner.released(self)
        else:
            response.is_paused = False
            self.retire()
        response.wake()

    def _ended(self, error: Exception | None) -> None:
        """The connection is at its end, and we are not who ended it."""
        response = self._response
        if response is None:
            self.retire()
        elif self._phase == _BODY:
            if self._until_close and error is None:
                self._finish(response)
            else:
                text = f"the answer was cut: {reason(error)}"
                self._fail(response, Interrupted(f"{self._origin}: {text}"))
        elif self._head_bytes:
            text = f"the answer was cut inside its head: {reason(error)}"
            self._fail(response, Interrupted(f"{self._origin}: {text}"))
        elif self.exchanges > 1 and self._loop.time() - self._started < STALE_AFTER_S:
            self._go_stale(response)
        else:
            text = f"no answer: {reason(error)}"
            self._fail(response, Unreachable(f"{self._origin}: {text}"))

    def _go_stale(self, response: Response) -> None:
        self._response = None
        self._unsent = None
        self.is_closed = True
        response.is_stale = True
        self._transport.abort()
        response.wake()

    def _fail(self, response: Response, error: GatewayError) -> None:
        self._response = None
        response.error = error
        self.retire()
        response.wake()

    def _violation(self, error: HttpParserError | HttpParserUpgrade) -> GatewayError:
        if isinstance(error, HttpParserCallbackError) and error.__context__ is not None:
            if isinstance(error.__context__, GatewayError):
                return error.__context__
            raise error
        return ProtocolViolation(f"{self._origin}: not HTTP/1.1: {error}")

    def _oversize_head(self) -> ProtocolViolation:
        return ProtocolViolation(
            f"{self._origin}: the response's head is longer than {MAX_HEAD_BYTES} bytes "
            f"or {MAX_HEAD_FIELDS} fields"
        )

    def _write_on(self) -> None:
        """Hand over slices of a long body until the event loop has enough of them."""
        while (unsent := self._unsent) is not None and not self._write_paused:
            piece = unsent.take(WRITE_SLICE_BYTES)
            if not unsent:
                self._unsent = None
            self._transport.write(piece)
        self._since = self._loop.time()


class _Unsent:
    """What of a long body is still to be sent; its length says how much."""

    __slots__ = ("_body", "_sent")

    def __init__(self, body: Payload) -> None:
        # A view, because slices of bytes are copies; what is not in memory is read piece by piece.
        self._body = memoryview(body) if isinstance(body, bytes) else body
        self._sent = 0

    def __len__(self) -> int:
        return len(self._body) - self._sent

    def take(self, size: int) -> bytes | memoryview:
        """The next bytes, at most `size`."""
        start = self._sent
        self._sent = min(start + size, len(self._body))
        return self._body[start : self._sent]
