import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.ingress.fast import JOINED_BODY_BYTES
from modelmux.ingress.http import Answer, HttpRequest, text
from modelmux.ingress.protocol import Stage
from tests.unit.ingress.loopback import MAX_BODY_BYTES, Handling, Served, adapter, serving
from tests.unit.transport.loopback import LOOPS, play, until

Loop = Callable[[], asyncio.AbstractEventLoop]


@pytest.fixture(params=LOOPS.values(), ids=LOOPS)
def loop(request: pytest.FixtureRequest) -> Loop:
    made: Loop = request.param
    return made


class Door:
    """A handler that keeps what it was asked; `/stuck` is not answered, `/broken` is a defect."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []
        self.began = asyncio.Event()
        self.freed = 0

    async def __call__(self, request: HttpRequest) -> Answer:
        self.requests.append(request)
        self.began.set()
        match request.path:
            case "/broken":
                raise ZeroDivisionError
            case "/stuck":
                await asyncio.Event().wait()
            case "/broken-stream":
                return Answer(200, [], self._broken(), self._free)
            case "/empty-stream":
                return Answer(200, [], self._empty(), self._free)
            case "/large":
                return Answer(200, [], b"x" * (JOINED_BODY_BYTES + 1))
        return text(f"{request.method} {request.path}")

    async def _broken(self) -> AsyncGenerator[bytes]:
        yield b"piece"
        raise ZeroDivisionError

    async def _empty(self) -> AsyncGenerator[bytes]:
        for piece in ():
            yield piece

    async def _free(self) -> None:
        self.freed += 1


def run(
    door: Door, scene: Callable[[Served, Handling], Awaitable[None]], loop: Loop, **limits: int
) -> None:
    async def whole() -> None:
        app = adapter(door, **limits)
        async with serving(app, fast=True) as served:
            assert isinstance(app.handler, Handling)
            await scene(served, app.handler)

    play(whole, loop)


def post(target: str, body: bytes = b"", *fields: str, version: str = "1.1") -> bytes:
    lines = "".join(f"{field}\r\n" for field in fields)
    head = f"POST {target} HTTP/{version}\r\nHost: test\r\n{lines}content-length: {len(body)}\r\n"
    return head.encode("latin-1") + b"\r\n" + body


def test_a_request_is_what_was_sent(loop):
    door = Door()

    async def scene(served: Served, _handling: Handling) -> None:
        await served.ask(post("/v1/x?a=b", b"body", "Accept: x/y", "X-Other: z"))

    run(door, scene, loop)
    (request,) = door.requests
    assert (request.method, request.path, request.query) == ("POST", "/v1/x", b"a=b")
    assert (request.body, request.headers, request.started) == (b"body", {"accept": "x/y"}, 7.0)
    assert request.peer.host == "127.0.0.1"


def test_an_answer_has_a_date_and_its_length(loop):
    async def scene(served: Served, _handling: Handling) -> None:
        served.state.default_headers = [(b"date", b"today")]
        got = await served.ask(post("/a"))
        assert got.headers == {
            "date": "today",
            "content-type": "text/plain; charset=utf-8",
            "content-length": "7",
        }

    run(Door(), scene, loop)


def test_a_large_answer_comes_whole(loop):
    async def scene(served: Served, _handling: Handling) -> None:
        got = await served.ask(post("/large"))
        assert got.body == b"x" * (JOINED_BODY_BYTES + 1)

    run(Door(), scene, loop)


def test_a_stream_without_a_piece_is_an_answer(loop):
    async def scene(served: Served, _handling: Handling) -> None:
        peer = await served.connect()
        for _ in range(2):
            await peer.write(post("/empty-stream"))
            assert (await peer.answer()).body == b""

    door = Door()
    run(door, scene, loop)
    assert door.freed == 2


@pytest.mark.parametrize(
    "request_",
    [
        post("/a", b"", version="1.0"),
        post("/a", b"", "connection: upgrade", "upgrade: h2c"),
        post("/a%20b"),
        b"HEAD /a HTTP/1.1\r\nhost: test\r\n\r\n",
    ],
    ids=["HTTP/1.0", "upgrade", "escaped", "HEAD"],
)
def test_what_is_not_fast_is_answered_by_the_other_way(loop, request_: bytes):
    door = Door()

    async def scene(served: Served, _handling: Handling) -> None:
        got = await served.ask(request_, bodiless=request_.startswith(b"HEAD"))
        assert got.status == 200

    run(door, scene, loop)
    assert len(door.requests) == 1


def test_both_ways_take_turns_on_one_connection(loop):
    async def scene(served: Served, _handling: Handling) -> None:
        peer = await served.connect()
        head = b"HEAD /b HTTP/1.1\r\nhost: test\r\n\r\n"
        for _ in range(2):
            await peer.write(post("/a", b"1") + head + post("/c", b"2"))
            assert (await peer.answer()).body == b"POST /a"
            assert (await peer.answer(bodiless=True)).status == 200
            assert (await peer.answer()).body == b"POST /c"

    run(Door(), scene, loop)


def test_a_defect_is_told_and_answered(loop):
    async def scene(served: Served, handling: Handling) -> None:
        peer = await served.connect()
        await peer.write(post("/broken"))
        got = await peer.answer()
        assert (got.status, got.headers["connection"]) == (500, "close")
        assert await peer.at_end()
        assert [type(each) for each in handling.broken] == [ZeroDivisionError]

    run(Door(), scene, loop)


def test_a_defect_inside_a_stream_does_not_look_like_its_end(loop):
    door = Door()

    async def scene(served: Served, handling: Handling) -> None:
        peer = await served.connect()
        await peer.write(post("/broken-stream"))
        await peer.head()
        assert await peer.rest() == b"5\r\npiece\r\n"
        assert [type(each) for each in handling.broken] == [ZeroDivisionError]

    run(door, scene, loop)
    assert door.freed == 1


def test_a_server_that_stops_at_once_says_so(loop):
    door = Door()

    async def scene(served: Served, handling: Handling) -> None:
        peer = await served.connect()
        await peer.write(post("/stuck"))
        await door.began.wait()
        (task,) = served.state.tasks
        task.cancel()
        assert (await peer.answer()).status == 500
        assert await peer.at_end()
        assert handling.broken == []

    run(door, scene, loop)


def test_an_answer_under_way_at_a_shutdown_is_the_last(loop):
    door = Door()

    async def scene(served: Served, _handling: Handling) -> None:
        peer = await served.connect()
        await peer.write(post("/a", b"12")[:-1])
        await until(lambda: any(each.stage is Stage.BODY for each in served.state.connections))
        (connection,) = served.state.connections
        connection.shutdown()
        await peer.write(b"2")
        got = await peer.answer()
        assert (got.status, got.headers["connection"]) == (200, "close")
        assert await peer.at_end()

    run(door, scene, loop)


def test_nothing_is_asked_behind_the_last_answer(loop):
    """What was sent behind a body that is too large is not a request any more."""
    door = Door()

    async def scene(served: Served, _handling: Handling) -> None:
        peer = await served.connect()
        await peer.write(post("/a", b"x" * (MAX_BODY_BYTES + 1)) + post("/b"))
        assert (await peer.answer()).status == 413
        assert await peer.rest() == b""

    run(door, scene, loop)
    assert door.requests == []


def test_a_body_that_is_announced_too_large_is_not_asked_for(loop):
    async def scene(served: Served, _handling: Handling) -> None:
        peer = await served.connect()
        head = post("/a", b"x" * 1000, "Expect: 100-Continue")[:-1000]
        await peer.write(head)
        assert (await peer.answer()).status == 413
        (connection,) = served.state.connections
        for now in (100.0, 200.0):  # who does not send it is not waited for
            connection.check(now, 0.0)
        assert await peer.at_end()

    run(Door(), scene, loop)


def test_leave_to_send_is_given_once(loop):
    async def scene(served: Served, _handling: Handling) -> None:
        peer = await served.connect()
        await peer.write(b"POST /a HTTP/1.1\r\ntransfer-encoding: chunked\r\n")
        await peer.write(b"expect: 100-Continue\r\n\r\n")
        assert (await peer.head()).status == 100
        await peer.write(b"3\r\n")
        await served.ask(post("/b"))
        await peer.write(b"abc\r\n0\r\n\r\n")
        assert (await peer.answer()).status == 200

    run(Door(), scene, loop)


@given(st.data())
def test_requests_mean_the_same_however_they_are_cut(data: st.DataObject):
    fitting = data.draw(st.lists(st.integers(0, MAX_BODY_BYTES), min_size=1, max_size=3))
    refused = data.draw(st.lists(st.integers(MAX_BODY_BYTES + 1, 1000), max_size=1))
    sizes = fitting + refused
    sent = b"".join(post(f"/{size}", b"x" * size) for size in sizes)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(sent)), max_size=8)))
    door = Door()

    async def scene(served: Served, _handling: Handling) -> None:
        peer = await served.connect()
        for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
            await peer.write(sent[start:end])
            await asyncio.sleep(0)
        for size in sizes:
            got = await peer.answer()
            assert got.status == (200 if size <= MAX_BODY_BYTES else 413)
        if refused:
            assert await peer.rest() == b""

    run(door, scene, asyncio.new_event_loop)
    assert [len(request.body) for request in door.requests] == fitting


@given(st.data())
def test_chunked_requests_mean_the_same_however_they_are_cut(data: st.DataObject):
    """Blank lines inside of bodies, and heads that begin with some."""
    texts = st.lists(st.sampled_from([b"x", b"\r\n", b"\r\n\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1"]))
    bodies = data.draw(
        st.lists(texts.map(lambda each: b"".join(each)[:90]), min_size=1, max_size=3)
    )
    sent = b""
    for body in bodies:
        pieces = [body[at : at + 7] for at in range(0, len(body), 7)]
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        trailer = data.draw(st.sampled_from([b"", b"x-a: b\r\n"]))
        blank = data.draw(st.sampled_from([b"", b"\r\n", b"\r\n\r\n"]))
        head = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\naccept: x/y\r\n\r\n"
        sent += blank + head + chunks + b"0\r\n" + trailer + b"\r\n"
    cuts = sorted(data.draw(st.sets(st.integers(1, len(sent)), max_size=12)))
    door = Door()

    async def scene(served: Served, _handling: Handling) -> None:
        peer = await served.connect()
        for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
            await peer.write(sent[start:end])
            await asyncio.sleep(0)
        for _ in bodies:
            assert (await peer.answer()).status == 200

    run(door, scene, asyncio.new_event_loop)
    assert [request.body for request in door.requests] == bodies
    assert all(request.headers == {"accept": "x/y"} for request in door.requests)


def test_a_connection_goes_on_after_a_wish_to_upgrade(loop):
    async def scene(served: Served, _handling: Handling) -> None:
        peer = await served.connect()
        for _ in range(2):
            await peer.write(post("/a", b"12", "connection: upgrade", "upgrade: h2c"))
            assert (await peer.answer()).body == b"POST /a"
            await peer.write(post("/b"))
            assert (await peer.answer()).body == b"POST /b"

    run(Door(), scene, loop)


def test_what_follows_a_refused_body_is_thrown_away(loop):
    door = Door()

    async def scene(served: Served, _handling: Handling) -> None:
        peer = await served.connect()
        refused = post("/a", b"x" * (MAX_BODY_BYTES + 1))
        await peer.write(refused[:-1])
        assert (await peer.answer()).status == 413
        await peer.write(refused[-1:] + post("/b") * 3)
        assert await peer.rest() == b""

    run(door, scene, loop)
    assert door.requests == []
