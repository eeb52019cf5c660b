import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from modelmux.ingress.http import Answer, HttpRequest, text
from modelmux.ingress.protocol import MAX_HEAD_BYTES, JoiningTransport
from tests.unit.ingress.loopback import Peer, Served, adapter, protocol_of, serving
from tests.unit.transport.loopback import LOOPS, play

Scene = Callable[[Served], Awaitable[None]]


@pytest.fixture(params=LOOPS.values(), ids=LOOPS)
def loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    made: Callable[[], asyncio.AbstractEventLoop] = request.param
    return made


class Door:
    """A handler that says what happens to it.

    `/stream` is answered by a stream that never ends, `/hang` not at all, anything else at once.
    """

    def __init__(self) -> None:
        self.events: asyncio.Queue[str] = asyncio.Queue()
        self.bodies: list[bytes] = []

    async def __call__(self, request: HttpRequest) -> Answer:
        self.events.put_nowait(f"begin {request.path}")
        self.bodies.append(request.body)
        if request.path == "/stream":
            return Answer(200, [], self._stream(), self._free)
        if request.path.startswith("/hang"):
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.events.put_nowait(f"cancel {request.path}")
                raise
        return text(f"{request.method} {request.path}")

    async def _stream(self) -> AsyncGenerator[bytes]:
        try:
            yield b"piece"
            await asyncio.Event().wait()
        finally:
            self.events.put_nowait("closed")

    async def _free(self) -> None:
        self.events.put_nowait("freed")

    async def happened(self, *expected: str) -> None:
        """Wait for what happens next."""
        for event in expected:
            assert await self.events.get() == event

    def nothing_more(self) -> bool:
        return self.events.empty()


class Line(asyncio.Transport):
    """A transport that keeps what is written, a write at a time."""

    def __init__(self) -> None:
        super().__init__({"peername": "somebody"})
        self.writes: list[bytes] = []
        self.is_closed = False
        self.protocol: asyncio.BaseProtocol | None = None

    def write(self, data: bytes) -> None:
        assert not self.is_closed
        self.writes.append(data)

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol


def run(
    door: Door, scene: Scene, loop: Callable[[], asyncio.AbstractEventLoop], **options: int
) -> None:
    async def whole() -> None:
        async with serving(adapter(door, **options)) as served:
            await scene(served)

    play(whole, loop)


def get(path: str, *headers: str, method: str = "GET") -> bytes:
    lines = "".join(f"{header}\r\n" for header in headers)
    return f"{method} {path} HTTP/1.1\r\nhost: test\r\n{lines}\r\n".encode("latin-1")


async def begin_at(served: Served, request: bytes) -> Peer:
    peer = await served.connect()
    await peer.write(request)
    return peer


# Answers


def test_a_connection_serves_one_request_after_the_other(loop):
    async def scene(served: Served) -> None:
        peer = await served.connect()
        for path in ("/a", "/b"):
            await peer.write(get(path))
            got = await peer.answer()
            assert (got.status, got.body) == (200, f"GET {path}".encode())

    run(Door(), scene, loop)


def test_head_is_answered_without_a_body(loop):
    async def scene(served: Served) -> None:
        peer = await served.connect()
        await peer.write(get("/a", method="HEAD"))
        got = await peer.answer(bodiless=True)
        assert (got.status, got.headers["content-length"]) == (200, "7")
        await peer.write(get("/b"))  # and the next answer begins where it should
        assert (await peer.answer()).body == b"GET /b"

    run(Door(), scene, loop)


@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "DELETE", "PROPFIND"])
def test_other_methods_reach_the_handler(loop, method: str):
    async def scene(served: Served) -> None:
        got = await served.ask(get("/a", method=method))
        assert got.body == f"{method} /a".encode()

    run(Door(), scene, loop)


def test_what_is_no_http_is_refused(loop):
    async def scene(served: Served) -> None:
        got = await served.ask(b"BREW /pot HTTP/1.1\r\nhost: test\r\n\r\n")
        assert got.status == 400

    run(Door(), scene, loop)


def test_bytes_that_are_no_text_pass_in_a_field(loop):
    async def scene(served: Served) -> None:
        assert (await served.ask(get("/a", "x-api-key: \xff\xfe\x80"))).status == 200

    run(Door(), scene, loop)


@pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
def test_a_wish_to_upgrade_is_answered_as_if_it_had_not_been_made(loop, upgrade: str):
    async def scene(served: Served) -> None:
        got = await served.ask(get("/a", "connection: upgrade", f"upgrade: {upgrade}"))
        assert got.body == b"GET /a"

    run(Door(), scene, loop)


# Heads


def test_a_head_that_comes_in_pieces_is_taken(loop):
    async def scene(served: Served) -> None:
        peer = await served.connect()
        for byte in get("/a", "x-a: " + "b" * 200):
            await peer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await peer.answer()).body == b"GET /a"

    run(Door(), scene, loop)


@pytest.mark.parametrize("line", ["x-a: " + "b" * 1000, "x-a: b"])
def test_a_head_without_end_is_refused(loop, line: str):
    """Many fields or a long one: a client must not fill the memory with either."""
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, b"GET /a HTTP/1.1\r\n")
        fields = f"{line}\r\n".encode()
        piece = fields * (4096 // len(fields) + 1)
        with contextlib.suppress(OSError):  # the server closes while the client still sends
            for _ in range(10_000_000 // len(piece)):
                await peer.write(piece)
            raise AssertionError("all of it was taken")
        assert (await served.ask(get("/b"))).status == 200

    run(door, scene, loop)


def test_a_head_that_is_too_long_is_told_so_once(loop):
    async def scene() -> None:
        line = Line()
        protocol = protocol_of(adapter(Door()))
        protocol.connection_made(line)
        protocol.data_received(b"GET /a HTTP/1.1\r\nx-a: ")
        protocol.data_received(b"b" * MAX_HEAD_BYTES)
        assert line.writes == []
        for _ in range(2):
            protocol.data_received(b"b")
            assert len(line.writes) == 1
        assert line.writes[0].startswith(b"HTTP/1.1 431 ")
        assert line.is_closed

    play(scene, loop)


def test_a_large_body_is_no_long_head(loop):
    door = Door()

    async def scene(served: Served) -> None:
        body = b"x" * 300_000
        head = get("/a", f"content-length: {len(body)}", method="POST")
        peer = await begin_at(served, head + body)
        assert (await peer.answer()).status == 200
        await peer.write(head + body + get("/b"))
        assert (await peer.answer()).body == b"POST /a"
        assert (await peer.answer()).body == b"GET /b"

    run(door, scene, loop, max_body_bytes=1_000_000)


# Bodies


def test_a_body_of_a_known_length_is_taken_whole(loop):
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/a", "content-length: 6", method="POST") + b"abc")
        await peer.write(b"def")
        assert (await peer.answer()).status == 200
        assert door.bodies == [b"abcdef"]

    run(door, scene, loop)


def test_a_chunked_body_is_taken_whole(loop):
    door = Door()

    async def scene(served: Served) -> None:
        head = get("/a", "transfer-encoding: chunked", method="POST")
        peer = await begin_at(served, head + b"3\r\nabc\r\n")
        await peer.write(b"3\r\ndef\r\n0\r\n\r\n")
        assert (await peer.answer()).status == 200
        assert door.bodies == [b"abcdef"]

    run(door, scene, loop)


def test_a_client_that_waits_for_leave_to_send_gets_it(loop):
    door = Door()

    async def scene(served: Served) -> None:
        fields = ("content-length: 3", "expect: 100-continue")
        peer = await begin_at(served, get("/a", *fields, method="POST"))
        assert (await peer.head()).status == 100
        await peer.write(b"abc")
        assert (await peer.answer()).status == 200
        assert door.bodies == [b"abc"]

    run(door, scene, loop)


BIG = 4_000_000
"""More than sockets and server hold between them."""


@pytest.mark.parametrize("framing", [f"content-length: {BIG}", "transfer-encoding: chunked"])
def test_a_body_that_is_too_large_is_answered_and_not_cut_off(loop, framing: str):
    door = Door()

    async def scene(served: Served) -> None:
        body = b"x" * BIG
        if "chunked" in framing:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (BIG, body)
        peer = await begin_at(served, get("/a", framing, method="POST") + body)
        got = await peer.answer()
        assert got.status == 413
        assert got.headers["connection"] == "close"
        assert await peer.at_end()
        assert door.nothing_more()

    run(door, scene, loop)


# Clients that leave


@pytest.mark.parametrize("rudely", [False, True])
def test_a_client_that_leaves_ends_its_handler(loop, rudely: bool):
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/hang"))
        await door.happened("begin /hang")
        await peer.leave(rudely=rudely)
        await door.happened("cancel /hang")

    run(door, scene, loop)


@pytest.mark.parametrize("rudely", [False, True])
def test_a_client_that_leaves_in_the_middle_of_a_stream_frees_it_once(loop, rudely: bool):
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/stream"))
        assert (await peer.head()).headers["transfer-encoding"] == "chunked"
        assert await peer.chunk() == b"piece"
        await peer.leave(rudely=rudely)
        await door.happened("begin /stream", "closed", "freed")
        assert door.nothing_more()

    run(door, scene, loop)


def test_a_client_that_leaves_while_it_sends_its_body_is_not_served(loop):
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/a", "content-length: 6", method="POST") + b"abc")
        await peer.leave()

    run(door, scene, loop)
    assert door.nothing_more()


@pytest.mark.parametrize("sent", [b"", b"GET /a HTT", b"GET /a HTTP/1.1\r\nhost: t"])
def test_a_client_that_leaves_before_its_request_is_complete_is_no_trouble(loop, sent: bytes):
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, sent)
        await peer.leave()
        assert (await served.ask(get("/b"))).status == 200

    run(door, scene, loop)


def test_a_client_that_leaves_after_its_answer_is_no_trouble(loop):
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/a"))
        await peer.answer()
        await peer.leave()
        await door.happened("begin /a")
        assert (await served.ask(get("/b"))).status == 200
        await door.happened("begin /b")
        assert door.nothing_more()

    run(door, scene, loop)


# Requests that are sent ahead


def test_requests_that_are_sent_ahead_are_answered_in_order(loop):
    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/a") + get("/b") + get("/c"))
        assert [(await peer.answer()).body for _ in range(3)] == [b"GET /a", b"GET /b", b"GET /c"]

    run(Door(), scene, loop)


def test_a_client_that_leaves_ends_its_handler_also_when_it_has_sent_ahead(loop):
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/a") + get("/hang/1") + get("/hang/2") + get("/b"))
        await door.happened("begin /a", "begin /hang/1")
        await peer.leave()
        await door.happened("cancel /hang/1")

    run(door, scene, loop)
    assert door.nothing_more()


# Writes


HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"


def test_a_head_goes_with_what_follows_it():
    line = Line()
    joining = JoiningTransport(line)
    joining.write(HEAD)
    assert line.writes == []
    joining.write(b"ok")
    joining.write(b"more")
    assert line.writes == [HEAD + b"ok", b"more"]


def test_a_head_that_nothing_follows_goes_when_told():
    line = Line()
    joining = JoiningTransport(line)
    joining.write(HEAD)
    joining.flush()
    joining.flush()
    assert line.writes == [HEAD]


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 100 Continue\r\n\r\n", b"2\r\nok\r\n", b"0\r\n\r\n", b"HTTP/1.1 200 OK\r\n"]
)
def test_what_is_no_final_head_goes_at_once(data: bytes):
    line = Line()
    JoiningTransport(line).write(data)
    assert line.writes == [data]


def test_a_head_goes_before_the_connection_closes_or_is_handed_over():
    for last in ("close", "set_protocol"):
        line = Line()
        joining = JoiningTransport(line)
        joining.write(HEAD)
        if last == "close":
            joining.close()
        else:
            joining.set_protocol(asyncio.Protocol())
            assert line.protocol is not None
        assert line.writes == [HEAD]
        assert joining.is_closing() == line.is_closed == (last == "close")


def test_a_connection_is_known_as_before():
    joining = JoiningTransport(Line())
    assert joining.get_extra_info("peername") == "somebody"
    assert joining.get_extra_info("nothing", 7) == 7


def test_the_head_of_a_stream_is_there_with_its_first_piece(loop):
    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/stream"))
        assert (await peer.head()).status == 200
        assert await peer.chunk() == b"piece"

    run(Door(), scene, loop)


# Answers in one go


class Saying:
    """A handler that gives one answer to everybody."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._answer = status, headers, body

    async def __call__(self, _request: HttpRequest) -> Answer:
        status, headers, body = self._answer
        return Answer(status, [*headers], body)


def scene_with(
    handler: Saying, scene: Scene, loop: Callable[[], asyncio.AbstractEventLoop]
) -> None:
    async def whole() -> None:
        async with serving(adapter(handler)) as served:
            await scene(served)

    play(whole, loop)


def test_a_value_that_would_be_two_fields_is_not_sent(loop):
    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/"))
        assert await peer.at_end()  # nothing of it was sent

    scene_with(Saying(200, [(b"x-a", b"1\r\nx-evil: 2")], b"body"), scene, loop)


def test_head_gets_the_head_of_what_get_gets(loop):
    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/", method="HEAD") + get("/"))
        head = await peer.answer(bodiless=True)
        assert (head.status, head.headers["content-length"]) == (200, "4")
        assert (await peer.answer()).body == b"body"

    scene_with(Saying(200, [(b"x-a", b"1")], b"body"), scene, loop)


@pytest.mark.parametrize(
    "request_",
    [b"GET / HTTP/1.0\r\n\r\n", get("/", "connection: close")],
    ids=["HTTP/1.0", "asked"],
)
def test_a_connection_that_is_not_kept_says_so_and_closes(loop, request_: bytes):
    async def scene(served: Served) -> None:
        peer = await begin_at(served, request_)
        got = await peer.answer()
        assert (got.body, got.headers["connection"]) == (b"body", "close")
        assert await peer.at_end()

    scene_with(Saying(200, [], b"body"), scene, loop)


def test_an_answer_that_closes_the_connection_closes_it(loop):
    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/"))
        assert (await peer.answer()).headers["connection"] == "close"
        assert await peer.at_end()

    scene_with(Saying(200, [(b"connection", b"close")], b"body"), scene, loop)


def test_what_was_sent_ahead_is_answered_in_order(loop):
    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/a") + get("/b") + get("/c"))
        assert [(await peer.answer()).body for _ in "abc"] == [b"GET /a", b"GET /b", b"GET /c"]

    run(Door(), scene, loop)
