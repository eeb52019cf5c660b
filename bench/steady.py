"""A steady stream of requests in which every answer is checked, while something happens to the
gateway that must cost none of them.

The client is the strictest there is: it tries nothing twice. A connection that the server closes
where it had not said so is a lost request, also where an SDK would have tried again.
"""

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

TIMEOUT_S = 30.0

WORDS = 20
PAUSE_S = 0.03
"""Between two words of a stream, which so lasts longer than a reload takes."""

ANSWER = (
    b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,'
    b'"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],'
    b'"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}'
)
_CHUNK = (
    b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":'
    b'[{"index":0,"delta":{"content":"word"},"finish_reason":%b}]}\n\n'
)
_DONE = b"data: [DONE]\n\n"


class Provider:
    """Answers as a provider with OpenAI's API does: whole, or in words with pauses."""

    def __init__(self) -> None:
        self.requests = 0
        self._open: set[asyncio.StreamWriter] = set()

    async def aclose(self) -> None:
        """End every connection."""
        await _close(*self._open, abort=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self._open.add(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
                body = await reader.readexactly(size)
                self.requests += 1
                await self._answer(writer, streams=b'"stream":true' in body)
        await _close(writer)
        self._open.discard(writer)

    async def _answer(self, writer: asyncio.StreamWriter, *, streams: bool) -> None:
        if not streams:
            fields = b"content-type: application/json\r\ncontent-length: %d" % len(ANSWER)
            writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (fields, ANSWER))
            return
        fields = b"content-type: text/event-stream\r\ntransfer-encoding: chunked"
        writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n" % fields)
        for number in range(WORDS):
            event = _CHUNK % (b'"stop"' if number == WORDS - 1 else b"null")
            writer.write(b"%x\r\n%b\r\n" % (len(event), event))
            await asyncio.sleep(PAUSE_S)
        writer.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(_DONE), _DONE))


@asynccontextmanager
async def providers(count: int) -> AsyncGenerator[list[str]]:
    """The base URLs of so many providers on free ports of the loopback."""
    made = [Provider() for _ in range(count)]
    servers = [
        await asyncio.start_server(each.serve, "127.0.0.1", 0, backlog=1024) for each in made
    ]
    try:
        yield [f"http://127.0.0.1:{each.sockets[0].getsockname()[1]}/v1" for each in servers]
    finally:
        for server, provider in zip(servers, made, strict=True):
            server.close()
            await provider.aclose()


@dataclass
class Outcome:
    """What became of all requests."""

    whole: int = 0
    streams: int = 0
    connections: int = 0
    failures: Counter[str] = field(default_factory=Counter[str])
    by_instance: Counter[str] = field(default_factory=Counter[str])
    slowest_s: float = 0.0


class Load:
    """Sends requests at a steady rate, each on an idle connection or a new one."""

    def __init__(self, port: int, models: Sequence[str], *, rate: float, streams_of: int) -> None:
        """Prepare.

        Args:
            port: Of the gateway, on 127.0.0.1.
            models: What is asked for, in turn.
            rate: Requests in a second.
            streams_of: One request of so many asks for a stream.
        """
        self.outcome = Outcome()
        self._port = port
        self._models = itertools.cycle(models)
        self._rate = rate
        self._streams_of = streams_of
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._ends = False
        self._over = 0
        self._turn: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Send until `stop`; returns once every answer has come."""
        began = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in itertools.count():
                due = began + number / self._rate
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                if self._ends:
                    break
                streams = number % self._streams_of == 0
                task = tasks.create_task(self._counted(next(self._models), streams=streams))
                task.add_done_callback(self._ended)
        await _close(*(writer for _, writer in self._idle))

    async def more(self, count: int) -> None:
        """Return once so many more have been answered, or have failed."""
        wanted = self._over + count
        while self._over < wanted:
            self._turn = asyncio.get_running_loop().create_future()
            await self._turn

    def stop(self) -> None:
        """Send no more."""
        self._ends = True

    def _ended(self, _task: asyncio.Task[None]) -> None:
        self._over += 1
        if self._turn is not None and not self._turn.done():
            self._turn.set_result(None)

    async def _counted(self, model: str, *, streams: bool) -> None:
        outcome = self.outcome
        began = time.monotonic()
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._one(model, streams=streams)
        except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as exc:
            outcome.failures[f"{'stream' if streams else 'whole'}: {exc!r}"] += 1
            return
        if streams:
            outcome.streams += 1
        else:
            outcome.whole += 1
            outcome.slowest_s = max(outcome.slowest_s, time.monotonic() - began)

    async def _one(self, model: str, *, streams: bool) -> None:
        if self._idle:
            reader, writer = self._idle.pop()
        else:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            self.outcome.connections += 1
        is_kept = False
        try:
            body = b'{"model":"%b","messages":[{"role":"user","content":"hi"}]%b}' % (
                model.encode(),
                b',"stream":true' if streams else b"",
            )
            writer.write(
                b"POST /v1/chat/completions HTTP/1.1\r\nhost: g\r\ncontent-type: application/json"
                b"\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )
            head = await reader.readuntil(b"\r\n\r\n")
            await _check(head, reader, streams=streams)
            is_kept = b"connection: close" not in head
        finally:
            if is_kept:
                self._idle.append((reader, writer))
            else:
                await _close(writer)


async def _close(*writers: asyncio.StreamWriter, abort: bool = False) -> None:
    for writer in writers:
        if abort:
            writer.transport.abort()
        else:
            writer.close()
    for writer in writers:
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _check(head: bytes, reader: asyncio.StreamReader, *, streams: bool) -> None:
    """Read an answer. Raises `ValueError` if it is not the one expected."""
    if b"transfer-encoding: chunked" in head:
        body = await reader.readuntil(b"\r\n0\r\n\r\n")
    else:
        size = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(size)
    if not head.startswith(b"HTTP/1.1 200 "):
        raise ValueError(f"{head[9:12]!r} {body[:300]!r}")
    if streams and (body.count(b'"word"') != WORDS or _DONE not in body):
        raise ValueError(f"a stream of {body.count(b'word')} words that ends {body[-100:]!r}")
    if not streams and b'"hello"' not in body:
        raise ValueError(f"{body!r}")
