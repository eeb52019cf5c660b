"""The adapter between ASGI and endpoints: bytes in, bytes out, and who is gone is noticed."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import closing, suppress
from typing import Any, Protocol, TypeAlias

from modelmux.errors import BodyTooLarge, NoRoom
from modelmux.ingress.http import Answer, BrokenOff, Fields, HttpRequest
from modelmux.ingress.upload import Upload
from modelmux.target.call import Peer

# ASGI's own types: https://asgi.readthedocs.io/en/latest/specs/main.html, read 2026-11-20.
Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]

GONE = "modelmux.gone"
"""Key of a scope in which our server has its event loop, and takes what to call when the client
leaves. Other servers do not know it; there a task waits for the disconnect message instead."""

ENTRY = "modelmux.entry"
"""Key of a scope in which our server has where the request came in, and from whom."""

LEFT = "left"
"""What stands there once the client has left."""

LINGER_S = 30.0
"""How long a client that is turned away may go on sending: nginx's `lingering_time`."""


class Handler(Protocol):
    """What answers requests. It must not raise `Exception`."""

    async def __call__(self, request: HttpRequest, /) -> Answer:
        """The answer to any request."""
        ...

    def broke(self, request: HttpRequest, exc: Exception, /) -> None:
        """An answer could not be given to its end, by a defect of ours."""
        ...

    def is_fast(self, method: bytes, path: bytes, /) -> bool:
        """Whether such a request is worth a shorter way than ASGI's. Never said of HEAD."""
        ...

    def takes_upload(self, path: str, /) -> bool:
        """Whether bodies that are sent there may be too large for memory; such are not fast."""
        ...


class Adapter:
    """An ASGI application round one handler.

    A server of ours may go past ASGI: what it needs for that is public.
    """

    def __init__(
        self,
        handler: Handler,
        max_body_bytes: int,
        now: Callable[[], float],
        lifespan: "Lifespan",
        *,
        max_upload_bytes: int = 0,
    ) -> None:
        """Wrap `handler`.

        Args:
            handler: Answers every request.
            max_body_bytes: Largest body that is read.
            max_upload_bytes: Largest body that is kept on disk.
            now: Monotonic clock.
            lifespan: What is started before the first request and stopped after the last.
        """
        self.handler = handler
        self.max_body_bytes = max_body_bytes
        self.max_upload_bytes = max_upload_bytes
        self.now = now
        self._lifespan = lifespan

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan.serve(receive, send)
        else:  # a WebSocket: no door of ours takes one; 403 is ASGI's only word for no
            await receive()
            await send({"type": "websocket.close", "code": 1000})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        fields = scope["headers"]
        request = HttpRequest(
            scope["method"], scope["path"], scope["query_string"], fields, b"", self.now()
        )
        if entry := scope.get(ENTRY):
            request.entrance, request.peer = entry
        elif client := scope.get("client"):
            request.peer = Peer(host=str(client[0]))
        if self.handler.takes_upload(request.path):
            await self._take_upload(request, scope, receive, send)
            return
        try:
            request.body = await self._body(fields, receive)
        except _TooLarge as exc:
            request.fault = self.too_large()
            await self._turn_away(request, receive, send, goes_on=exc.goes_on)
            return
        except ConnectionError:
            return
        await self._answer(request, scope, receive, send)

    async def _take_upload(
        self, request: HttpRequest, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a request whose body may be too large for memory."""
        with closing(Upload()) as upload:
            request.payload = upload
            try:
                await self._fill(upload, request.fields, receive)
            except _TooLarge as exc:
                request.fault = self._upload_too_large()
                await self._turn_away(request, receive, send, goes_on=exc.goes_on)
                return
            except ConnectionError:
                return
            except OSError as exc:
                request.fault = NoRoom(f"the body could not be kept: {exc.strerror}")
                await self._turn_away(request, receive, send, goes_on=True)
                return
            await self._answer(request, scope, receive, send)

    async def _turn_away(
        self, request: HttpRequest, receive: Receive, send: Send, *, goes_on: bool
    ) -> None:
        """Answer a request of whose body the rest is not kept."""
        answer = await self.handler(request)
        answer.headers.append((b"connection", b"close"))
        await _send(answer, _Lingering(receive, send) if goes_on else send)

    async def _answer(
        self, request: HttpRequest, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if GONE not in scope:
            await self._watched(request, receive, send)
            return
        loop = scope[GONE]
        if loop == LEFT:
            return
        # Not asked for the loop itself: that is a system call on CPython 3.11 (`getpid`, 1 µs).
        task = asyncio.current_task(loop)
        scope[GONE] = task.cancel if task is not None else None
        try:
            await _send(await self.handler(request), send)
        except asyncio.CancelledError:
            if scope[GONE] != LEFT:  # not the client: the server is stopping
                raise

    async def _fill(self, upload: Upload, fields: Fields, receive: Receive) -> None:
        goes_on = True
        if _announced(fields) > self.max_upload_bytes:
            raise _TooLarge(goes_on=True)
        while goes_on:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError
            upload.add(message.get("body", b""))
            goes_on = message.get("more_body", False)
            if len(upload) > self.max_upload_bytes:
                raise _TooLarge(goes_on=goes_on)

    async def _body(self, fields: Fields, receive: Receive) -> bytes:
        message = await receive()
        body: bytes = message.get("body", b"")
        if message["type"] == "http.disconnect":
            raise ConnectionError
        if not message.get("more_body", False) and len(body) <= self.max_body_bytes:
            return body
        if _announced(fields) > self.max_body_bytes:
            raise _TooLarge(goes_on=message.get("more_body", False))
        pieces = [body]
        size = len(body)
        while size <= self.max_body_bytes and message.get("more_body", False):
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
        if size > self.max_body_bytes:
            raise _TooLarge(goes_on=message.get("more_body", False))
        return b"".join(pieces)

    def too_large(self) -> BodyTooLarge:
        """What a body is refused with that is larger than `max_body_bytes`."""
        return BodyTooLarge(
            f"expected a body of at most {self.max_body_bytes} bytes, got more; "
            "the limit is `server.max_body_bytes`"
        )

    def _upload_too_large(self) -> BodyTooLarge:
        return BodyTooLarge(
            f"expected a body of at most {self.max_upload_bytes} bytes, got more; "
            "the limit is `server.max_upload_bytes`"
        )

    async def _watched(self, request: HttpRequest, receive: Receive, send: Send) -> None:
        """Answer `request` under a server that tells of a leaving client by a message only."""

        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        async def answer() -> None:
            await _send(await self.handler(request), send)

        answering = asyncio.ensure_future(answer())
        watching = asyncio.ensure_future(gone())
        try:
            await asyncio.wait((answering, watching), return_when=asyncio.FIRST_COMPLETED)
        finally:
            answering.cancel()
            watching.cancel()
            await asyncio.wait((answering, watching))
        if not answering.cancelled():
            answering.result()


class _TooLarge(Exception):
    """The body is larger than allowed; `goes_on`: more of it is to come."""

    def __init__(self, *, goes_on: bool) -> None:
        self.goes_on = goes_on


class _Lingering:
    """A `send` that lets the client send the rest of its body before the answer is complete.

    A server that closes while it is being sent to resets the connection, and the client loses
    the answer: it would see a broken connection, and try again.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send

    async def __call__(self, message: Message) -> None:
        if message["type"] != "http.response.body":
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                # The last message, and that of a client that has left, say so.
                while (await self._receive()).get("more_body", False):
                    pass
        await self._send({"type": "http.response.body", "body": b""})


class Lifespan:
    """Starts and stops what an application needs, at its server's word."""

    def __init__(
        self, start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]
    ) -> None:
        self._start = start
        self._stop = stop

    async def serve(self, receive: Receive, send: Send) -> None:
        await receive()
        await self._start()
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stop()
        await send({"type": "lifespan.shutdown.complete"})


def _announced(fields: Fields) -> int:
    """The size that the head tells of the body; 0 if it does not."""
    for name, value in fields:
        if name == b"content-length" and value.isdigit():
            return int(value[:20])
    return 0


async def _send(answer: Answer, send: Send) -> None:
    start = {"type": "http.response.start", "status": answer.status, "headers": answer.headers}
    body = answer.body
    if isinstance(body, bytes):
        answer.headers.append((b"content-length", b"%d" % len(body)))
        await send(start)
        await send({"type": "http.response.body", "body": body})
        return
    try:
        await send(start)
        async for piece in body:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except BrokenOff:
        return  # the server closes the connection of an answer that was not completed
    finally:
        await answer.aclose()
    await send({"type": "http.response.body", "body": b""})
