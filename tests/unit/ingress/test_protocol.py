import asyncio
import contextlib
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest

from modelmux.ingress.http import Answer, HttpRequest, text
from modelmux.ingress.protocol import (
    KEEP_ALIVE_S,
    MAX_HEAD_BYTES,
    JoiningTransport,
    Protocol,
    Stage,
)
from tests.unit.ingress.loopback import Peer, Served, adapter, protocol_of, serving
from tests.unit.transport.loopback import LOOPS, play, until

Scene = Callable[[Served], Awaitable[None]]


@pytest.fixture(params=LOOPS.values(), ids=LOOPS)
def loop(request: pytest.FixtureRequest) -> Callable[[], asyncio.AbstractEventLoop]:
    made: Callable[[], asyncio.AbstractEventLoop] = request.param
    return made


@pytest.fixture(params=["asgi", "fast"])
def fast(request: pytest.FixtureRequest) -> bool:
    """What holds of one way holds of the other."""
    return bool(request.param == "fast")


class Door:
    """A handler that says what happens to it.

    `/stream` is answered by a stream that never ends, `/hang` not at all, `/slow` when the gate is
    opened, anything else at once.
    """

    def __init__(self) -> None:
        self.events: asyncio.Queue[str] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.bodies: list[bytes] = []

    async def __call__(self, request: HttpRequest) -> Answer:
        self.events.put_nowait(f"begin {request.path}")
        self.bodies.append(request.body)
        if request.path == "/stream":
            return Answer(200, [], self._stream(), self._free)
        if request.path == "/slow":
            await self.gate.wait()
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
    door: Door,
    scene: Scene,
    loop: Callable[[], asyncio.AbstractEventLoop],
    fast: bool,
    **options: int,
) -> None:
    async def whole() -> None:
        async with serving(adapter(door, **options), fast=fast) as served:
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


def test_a_connection_serves_one_request_after_the_other(loop, fast):
    async def scene(served: Served) -> None:
        peer = await served.connect()
        for path in ("/a", "/b"):
            await peer.write(get(path))
            got = await peer.answer()
            assert (got.status, got.body) == (200, f"GET {path}".encode())

    run(Door(), scene, loop, fast)


def test_head_is_answered_without_a_body(loop, fast):
    async def scene(served: Served) -> None:
        peer = await served.connect()
        await peer.write(get("/a", method="HEAD"))
        got = await peer.answer(bodiless=True)
        assert (got.status, got.headers["content-length"]) == (200, "7")
        await peer.write(get("/b"))  # and the next answer begins where it should
        assert (await peer.answer()).body == b"GET /b"

    run(Door(), scene, loop, fast)


@pytest.mark.parametrize("method", ["PATCH", "OPTIONS", "DELETE", "PROPFIND"])
def test_other_methods_reach_the_handler(loop, fast, method: str):
    async def scene(served: Served) -> None:
        got = await served.ask(get("/a", method=method))
        assert got.body == f"{method} /a".encode()

    run(Door(), scene, loop, fast)


def test_what_is_no_http_is_refused(loop, fast):
    async def scene(served: Served) -> None:
        got = await served.ask(b"BREW /pot HTTP/1.1\r\nhost: test\r\n\r\n")
        assert got.status == 400

    run(Door(), scene, loop, fast)


def test_bytes_that_are_no_text_pass_in_a_field(loop, fast):
    async def scene(served: Served) -> None:
        assert (await served.ask(get("/a", "x-api-key: \xff\xfe\x80"))).status == 200

    run(Door(), scene, loop, fast)


@pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
def test_a_wish_to_upgrade_is_answered_as_if_it_had_not_been_made(loop, fast, upgrade: str):
    async def scene(served: Served) -> None:
        got = await served.ask(get("/a", "connection: upgrade", f"upgrade: {upgrade}"))
        assert got.body == b"GET /a"

    run(Door(), scene, loop, fast)


# Heads


def test_a_head_that_comes_in_pieces_is_taken(loop, fast):
    async def scene(served: Served) -> None:
        peer = await served.connect()
        for byte in get("/a", "x-a: " + "b" * 200):
            await peer.write(bytes([byte]))
            await asyncio.sleep(0)
        assert (await peer.answer()).body == b"GET /a"

    run(Door(), scene, loop, fast)


@pytest.mark.parametrize("line", ["x-a: " + "b" * 1000, "x-a: b"])
def test_a_head_without_end_is_refused(loop, fast, line: str):
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

    run(door, scene, loop, fast)


def test_a_head_that_is_too_long_is_told_so_once(loop, fast):
    async def scene() -> None:
        line = Line()
        protocol = protocol_of(adapter(Door()), fast=fast)
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


def test_a_large_body_is_no_long_head(loop, fast):
    door = Door()

    async def scene(served: Served) -> None:
        body = b"x" * 300_000
        head = get("/a", f"content-length: {len(body)}", method="POST")
        peer = await begin_at(served, head + body)
        assert (await peer.answer()).status == 200
        await peer.write(head + body + get("/b"))
        assert (await peer.answer()).body == b"POST /a"
        assert (await peer.answer()).body == b"GET /b"

    run(door, scene, loop, fast, max_body_bytes=1_000_000)


# Bodies


def test_a_body_of_a_known_length_is_taken_whole(loop, fast):
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/a", "content-length: 6", method="POST") + b"abc")
        await peer.write(b"def")
        assert (await peer.answer()).status == 200
        assert door.bodies == [b"abcdef"]

    run(door, scene, loop, fast)


def test_a_chunked_body_is_taken_whole(loop, fast):
    door = Door()

    async def scene(served: Served) -> None:
        head = get("/a", "transfer-encoding: chunked", method="POST")
        peer = await begin_at(served, head + b"3\r\nabc\r\n")
        await peer.write(b"3\r\ndef\r\n0\r\n\r\n")
        assert (await peer.answer()).status == 200
        assert door.bodies == [b"abcdef"]

    run(door, scene, loop, fast)


def test_a_client_that_waits_for_leave_to_send_gets_it(loop, fast):
    door = Door()

    async def scene(served: Served) -> None:
        fields = ("content-length: 3", "expect: 100-continue")
        peer = await begin_at(served, get("/a", *fields, method="POST"))
        assert (await peer.head()).status == 100
        await peer.write(b"abc")
        assert (await peer.answer()).status == 200
        assert door.bodies == [b"abc"]

    run(door, scene, loop, fast)


BIG = 4_000_000
"""More than sockets and server hold between them."""


@pytest.mark.parametrize("framing", [f"content-length: {BIG}", "transfer-encoding: chunked"])
def test_a_body_that_is_too_large_is_answered_and_not_cut_off(loop, fast, framing: str):
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

    run(door, scene, loop, fast)


# Clients that leave


@pytest.mark.parametrize("rudely", [False, True])
def test_a_client_that_leaves_ends_its_handler(loop, fast, rudely: bool):
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/hang"))
        await door.happened("begin /hang")
        await peer.leave(rudely=rudely)
        await door.happened("cancel /hang")

    run(door, scene, loop, fast)


@pytest.mark.parametrize("rudely", [False, True])
def test_a_client_that_leaves_in_the_middle_of_a_stream_frees_it_once(loop, fast, rudely: bool):
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/stream"))
        assert (await peer.head()).headers["transfer-encoding"] == "chunked"
        assert await peer.chunk() == b"piece"
        await peer.leave(rudely=rudely)
        await door.happened("begin /stream", "closed", "freed")
        assert door.nothing_more()

    run(door, scene, loop, fast)


def test_a_client_that_leaves_while_it_sends_its_body_is_not_served(loop, fast):
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/a", "content-length: 6", method="POST") + b"abc")
        await peer.leave()

    run(door, scene, loop, fast)
    assert door.nothing_more()


@pytest.mark.parametrize("sent", [b"", b"GET /a HTT", b"GET /a HTTP/1.1\r\nhost: t"])
def test_a_client_that_leaves_before_its_request_is_complete_is_no_trouble(loop, fast, sent: bytes):
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, sent)
        await peer.leave()
        assert (await served.ask(get("/b"))).status == 200

    run(door, scene, loop, fast)


def test_a_client_that_leaves_after_its_answer_is_no_trouble(loop, fast):
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/a"))
        await peer.answer()
        await peer.leave()
        await door.happened("begin /a")
        assert (await served.ask(get("/b"))).status == 200
        await door.happened("begin /b")
        assert door.nothing_more()

    run(door, scene, loop, fast)


# Requests that are sent ahead


def test_requests_that_are_sent_ahead_are_answered_in_order(loop, fast):
    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/a") + get("/b") + get("/c"))
        assert [(await peer.answer()).body for _ in range(3)] == [b"GET /a", b"GET /b", b"GET /c"]

    run(Door(), scene, loop, fast)


def test_a_client_that_leaves_ends_its_handler_also_when_it_has_sent_ahead(loop, fast):
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/a") + get("/hang/1") + get("/hang/2") + get("/b"))
        await door.happened("begin /a", "begin /hang/1")
        await peer.leave()
        await door.happened("cancel /hang/1")

    run(door, scene, loop, fast)
    assert door.nothing_more()


def test_what_is_no_http_does_not_break_into_an_answer(loop, fast):
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/slow"))
        await door.happened("begin /slow")
        await peer.write(b"nonsense\r\n\r\n")
        await asyncio.sleep(0)
        await served.ask(get("/b"))  # so the nonsense has been read, too
        door.gate.set()
        got = await peer.answer()
        assert (got.status, got.body) == (200, b"GET /slow")
        assert await peer.at_end()

    run(door, scene, loop, fast)


def test_a_body_that_is_none_does_not_break_into_an_earlier_answer(loop, fast):
    door = Door()

    async def scene(served: Served) -> None:
        broken = get("/b", "transfer-encoding: chunked", method="POST") + b"no size\r\n"
        peer = await begin_at(served, get("/slow") + broken)
        await door.happened("begin /slow")
        await served.ask(get("/c"))  # so all of it has been read
        door.gate.set()
        got = await peer.answer()
        assert (got.status, got.body) == (200, b"GET /slow")
        assert await peer.at_end()

    run(door, scene, loop, fast)


# Limits of time and size


def line_of(fast: bool, *sent: bytes, door: Door | None = None) -> tuple[Line, Protocol]:
    """A connection on which so much has come."""
    line = Line()
    protocol = protocol_of(adapter(door or Door()), fast=fast)
    protocol.connection_made(line)
    for data in sent:
        protocol.data_received(data)
    return line, protocol


async def gone(protocol: Protocol) -> None:
    """The client leaves, and what waits for it ends."""
    protocol.connection_lost(None)
    await until(lambda: not protocol.tasks)


HALF_A_BODY = get("/a", "content-length: 9", method="POST") + b"half"


@pytest.mark.parametrize("sent", [b"GET", b"GET /a HTTP/1.1\r\nhost: ", HALF_A_BODY])
def test_a_request_that_does_not_come_is_given_up(loop, fast, sent: bytes):
    async def scene() -> None:
        line, protocol = line_of(fast, sent)
        for now in (100.0, 109.9):
            protocol.check(now, 10.0)
            assert line.writes == []
        protocol.check(110.0, 10.0)
        assert line.writes[0].startswith(b"HTTP/1.1 408 ")
        assert line.is_closed
        protocol.check(120.0, 10.0)
        assert len(line.writes) == 1
        await gone(protocol)

    play(scene, loop)


def test_a_head_that_trickles_in_has_no_more_time_than_one_that_does_not(loop, fast):
    async def scene() -> None:
        line, protocol = line_of(fast, b"GET /a HTTP/1.1\r\n")
        protocol.check(100.0, 10.0)
        protocol.data_received(b"x-a: b\r\n")
        protocol.check(110.0, 10.0)
        assert line.is_closed

    play(scene, loop)


def test_a_body_that_trickles_in_is_waited_for(loop, fast):
    async def scene() -> None:
        line, protocol = line_of(fast, HALF_A_BODY)
        for now in (100.0, 109.0, 118.0):
            protocol.check(now, 10.0)
            protocol.data_received(b"x")
        protocol.check(119.0, 10.0)
        assert not line.is_closed
        await gone(protocol)

    play(scene, loop)


def test_who_has_all_the_time_is_waited_for(loop, fast):
    async def scene() -> None:
        line, protocol = line_of(fast, HALF_A_BODY)
        for now in (100.0, 1_000_000.0):
            protocol.check(now, 0.0)
        assert not line.is_closed
        await gone(protocol)

    play(scene, loop)


def test_a_connection_that_is_idle_is_closed_in_silence(loop, fast):
    async def scene() -> None:
        line, protocol = line_of(fast)
        protocol.check(100.0, 10.0)
        protocol.check(100.0 + KEEP_ALIVE_S - 1, 10.0)
        assert not line.is_closed
        protocol.check(100.0 + KEEP_ALIVE_S, 10.0)
        assert (line.is_closed, line.writes) == (True, [])

    play(scene, loop)


def test_a_connection_is_idle_again_after_each_answer(loop, fast):
    async def scene(served: Served) -> None:
        peer = await served.connect()
        for now in (100.0, 170.0, 240.0):
            await peer.write(get("/a"))
            await peer.answer()
            (protocol,) = served.state.connections
            protocol.check(now, 10.0)
            assert protocol.stage is Stage.IDLE
        protocol.check(240.0 + KEEP_ALIVE_S, 10.0)
        assert await peer.at_end()

    run(Door(), scene, loop, fast)


def test_who_waits_for_an_answer_is_not_sent_away(loop, fast):
    """Nor for having sent half of the next request meanwhile."""
    door = Door()

    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/slow") + b"GET /b HTT")
        await door.happened("begin /slow")
        (protocol,) = served.state.connections
        for now in (100.0, 1000.0, 2000.0):
            protocol.check(now, 10.0)
        door.gate.set()
        assert (await peer.answer()).body == b"GET /slow"
        await peer.write(b"P/1.1\r\nhost: h\r\n\r\n")
        assert (await peer.answer()).body == b"GET /b"

    run(door, scene, loop, fast)


def test_fields_behind_a_body_are_left_out_and_have_an_end(loop, fast):
    door = Door()

    async def scene(served: Served) -> None:
        body = b"3\r\nabc\r\n0\r\naccept: no\r\nx-request-id: no\r\n\r\n"
        head = get("/a", "transfer-encoding: chunked", method="POST")
        assert (await served.ask(head + body)).status == 200
        peer = await begin_at(served, head + body[:-2])
        with contextlib.suppress(OSError):
            for _ in range(20_000):  # far more than the buffers of two sockets
                await peer.write(b"x-a: " + b"b" * 4096)
            raise AssertionError("all of it was taken")

    run(door, scene, loop, fast)
    assert door.bodies == [b"abc"]


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


def test_the_head_of_a_stream_is_there_with_its_first_piece(loop, fast):
    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/stream"))
        assert (await peer.head()).status == 200
        assert await peer.chunk() == b"piece"

    run(Door(), scene, loop, fast)


# Answers in one go


class Saying:
    """A handler that gives one answer to everybody."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self._answer = status, headers, body

    async def __call__(self, _request: HttpRequest) -> Answer:
        status, headers, body = self._answer
        return Answer(status, [*headers], body)


def scene_with(
    handler: Saying, scene: Scene, loop: Callable[[], asyncio.AbstractEventLoop], fast: bool
) -> None:
    async def whole() -> None:
        async with serving(adapter(handler), fast=fast) as served:
            await scene(served)

    play(whole, loop)


def test_a_value_that_would_be_two_fields_is_not_sent(loop, fast):
    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/"))
        assert b"x-evil" not in await peer.rest()

    scene_with(Saying(200, [(b"x-a", b"1\r\nx-evil: 2")], b"body"), scene, loop, fast)


def test_head_gets_the_head_of_what_get_gets(loop, fast):
    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/", method="HEAD") + get("/"))
        head = await peer.answer(bodiless=True)
        assert (head.status, head.headers["content-length"]) == (200, "4")
        assert (await peer.answer()).body == b"body"

    scene_with(Saying(200, [(b"x-a", b"1")], b"body"), scene, loop, fast)


@pytest.mark.parametrize(
    "request_",
    [b"GET / HTTP/1.0\r\n\r\n", get("/", "connection: close")],
    ids=["HTTP/1.0", "asked"],
)
def test_a_connection_that_is_not_kept_says_so_and_closes(loop, fast, request_: bytes):
    async def scene(served: Served) -> None:
        peer = await begin_at(served, request_)
        got = await peer.answer()
        assert (got.body, got.headers["connection"]) == (b"body", "close")
        assert await peer.at_end()

    scene_with(Saying(200, [], b"body"), scene, loop, fast)


def test_an_answer_that_closes_the_connection_closes_it(loop):
    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/"))
        assert (await peer.answer()).headers["connection"] == "close"
        assert await peer.at_end()

    scene_with(Saying(200, [(b"connection", b"close")], b"body"), scene, loop, fast=False)


def test_what_was_sent_ahead_is_answered_in_order(loop, fast):
    async def scene(served: Served) -> None:
        peer = await begin_at(served, get("/a") + get("/b") + get("/c"))
        assert [(await peer.answer()).body for _ in "abc"] == [b"GET /a", b"GET /b", b"GET /c"]

    run(Door(), scene, loop, fast)
