import asyncio
from collections.abc import AsyncGenerator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.ingress import asgi
from modelmux.ingress.asgi import GONE, LEFT, Lifespan, Message
from modelmux.ingress.http import Answer, HttpRequest, text
from tests.unit.ingress.loopback import MAX_BODY_BYTES, Asgi, adapter, scope
from tests.unit.transport.loopback import ClockLoop, begin, pass_time, play, until

LOOP = asyncio.new_event_loop


def piece(body: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def pieces(*bodies: bytes) -> list[Message]:
    """A body that comes in several messages."""
    return [piece(body, more=index < len(bodies) - 1) for index, body in enumerate(bodies)]


class Door:
    """A handler that keeps what it was asked, and answers with `answer`."""

    def __init__(self, answer: Callable[[], Answer] = lambda: text("ok")) -> None:
        self.requests: list[HttpRequest] = []
        self.cancelled = 0
        self.began = asyncio.Event()
        self.gate: asyncio.Event | None = None
        self._answer = answer

    async def __call__(self, request: HttpRequest) -> Answer:
        self.requests.append(request)
        self.began.set()
        if self.gate is not None:
            try:
                await self.gate.wait()
            except asyncio.CancelledError:
                self.cancelled += 1
                raise
        return self._answer()


class Stream:
    """A body that comes in pieces, and what became of it."""

    def __init__(self, *bodies: bytes, gate: asyncio.Event | None = None) -> None:
        self.freed = 0
        self.closed = 0
        self.waiting = asyncio.Event()
        self._bodies = bodies
        self._gate = gate

    def answer(self) -> Answer:
        return Answer(200, [(b"content-type", b"text/event-stream")], self._run(), self._free)

    async def _run(self) -> AsyncGenerator[bytes]:
        try:
            for body in self._bodies:
                yield body
            if self._gate is not None:
                self.waiting.set()
                await self._gate.wait()
        finally:
            self.closed += 1

    async def _free(self) -> None:
        self.freed += 1


def ask(door: Door, *incoming: Message, **scope_: object) -> Asgi:
    """One request under a server that does not know `GONE`."""
    line = Asgi(*incoming)

    async def scene() -> None:
        await adapter(door)(scope(**scope_), line.receive, line.send)  # type: ignore[arg-type]

    play(scene, LOOP)
    return line


def ours(**scope_: object) -> dict[str, object]:
    """A scope as our own server makes it."""
    return {**scope(**scope_), GONE: asyncio.get_running_loop()}  # type: ignore[arg-type]


# Requests and answers


def test_a_request_is_what_the_server_says():
    door = Door()
    ask(
        door,
        piece(b"body"),
        method="POST",
        path="/v1/x",
        query=b"a=b",
        headers=[(b"accept", b"x/y")],
    )
    (request,) = door.requests
    assert (request.method, request.path, request.query) == ("POST", "/v1/x", b"a=b")
    assert (request.body, request.headers) == (b"body", {"accept": "x/y"})
    assert (request.started, request.peer.host) == (7.0, "127.0.0.1")


def test_a_peer_without_an_address_has_no_name():
    door = Door()
    ask(door, client=None)
    assert door.requests[0].peer.host == ""


def test_a_plain_answer_has_its_length_and_one_message():
    line = ask(Door(lambda: Answer(201, [(b"x-a", b"1")], b"hello")))
    assert line.sent == [
        {
            "type": "http.response.start",
            "status": 201,
            "headers": [(b"x-a", b"1"), (b"content-length", b"5")],
        },
        {"type": "http.response.body", "body": b"hello"},
    ]


def test_a_stream_is_sent_piece_by_piece_and_freed_once():
    stream = Stream(b"a", b"b")
    line = ask(Door(stream.answer))
    assert line.sent[1:] == [
        {"type": "http.response.body", "body": b"a", "more_body": True},
        {"type": "http.response.body", "body": b"b", "more_body": True},
        {"type": "http.response.body", "body": b""},
    ]
    assert (stream.closed, stream.freed) == (1, 1)


def test_a_stream_of_nothing_is_complete():
    line = ask(Door(Stream().answer))
    assert line.body == b""
    assert line.is_complete


def test_a_handler_that_breaks_its_promise_is_told_to_the_server():
    def broken() -> Answer:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(Door(broken))


def test_a_stream_that_breaks_is_freed_and_told_to_the_server():
    stream = Stream(b"a")

    async def broken() -> AsyncGenerator[bytes]:
        yield b"a"
        raise ZeroDivisionError

    line = Asgi()

    async def scene() -> None:
        door = Door(lambda: Answer(200, [], broken(), stream._free))
        with pytest.raises(ZeroDivisionError):
            await adapter(door)(scope(), line.receive, line.send)

    play(scene, LOOP)
    assert stream.freed == 1
    assert not line.is_complete


def test_a_server_that_cannot_send_frees_a_stream_that_was_never_begun():
    stream = Stream(b"a")
    line = Asgi()

    async def broken(_message: Message) -> None:
        raise OSError("no")

    async def scene() -> None:
        with pytest.raises(OSError, match="no"):
            await adapter(Door(stream.answer))(scope(), line.receive, broken)

    play(scene, LOOP)
    assert (stream.closed, stream.freed) == (0, 1)


# Bodies


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=8))
def test_any_split_of_a_body_gives_the_same_body_or_is_too_large(bodies: list[bytes]):
    door = Door()
    line = ask(door, *pieces(*bodies), method="POST")
    whole = b"".join(bodies)
    if len(whole) <= MAX_BODY_BYTES:
        assert door.requests[0].body == whole
        assert line.status == 200
    else:
        assert door.requests == []
        assert line.status == 413
    assert line.is_complete


def test_a_body_of_the_limit_is_taken_and_one_byte_more_is_not():
    assert ask(Door(), piece(b"x" * MAX_BODY_BYTES)).status == 200
    assert ask(Door(), piece(b"x" * (MAX_BODY_BYTES + 1))).status == 413


def test_a_refused_body_is_answered_with_the_limit_and_ends_the_connection():
    line = ask(Door(), piece(b"x" * 101), path="/v1/messages")
    assert line.body == (
        b"expected a body of at most 100 bytes, got more; the limit is `server.max_body_bytes`"
    )
    assert line.headers[b"connection"] == b"close"
    assert line.headers[b"x-path"] == b"/v1/messages"


def test_a_body_that_is_announced_too_large_is_refused_before_it_is_read():
    line = Asgi(piece(b"x" * 10, more=True), *pieces(b"y" * 10, b"z"))

    async def scene() -> None:
        made = scope(headers=[(b"content-length", b"101")])
        await adapter(Door())(made, line.receive, line.send)

    play(scene, LOOP)
    assert line.status == 413


@pytest.mark.parametrize("announced", [b"100", b"0", b"nonsense", b"-1", b"9" * 30])
def test_what_is_announced_counts_only_if_it_is_too_large(announced: bytes):
    door = Door()
    line = ask(door, *pieces(b"a", b"b"), headers=[(b"content-length", announced)])
    assert line.status == (413 if announced == b"9" * 30 else 200)


def test_a_client_that_is_turned_away_may_send_the_rest():
    """It would lose the answer if the server closed while it is sending."""
    line = Asgi(piece(b"x" * 101, more=True), *pieces(b"y" * 1000, b"z" * 1000))

    async def scene() -> None:
        await adapter(Door())(scope(), line.receive, line.send)

    play(scene, LOOP)
    assert line.received == 3
    assert [message.get("more_body", False) for message in line.sent[1:]] == [True, False]
    assert line.headers[b"content-length"] == b"%d" % len(line.body)


def test_a_client_that_is_turned_away_and_leaves_is_let_go():
    line = Asgi(piece(b"x" * 101, more=True))
    line.leave()

    async def scene() -> None:
        await adapter(Door())(scope(), line.receive, line.send)

    play(scene, LOOP)
    assert line.is_complete


def test_a_client_that_is_turned_away_is_not_listened_to_for_ever():
    async def scene() -> None:
        line = Asgi(piece(b"x" * 101, more=True))
        asking = begin(adapter(Door())(scope(), line.receive, line.send))
        await pass_time(asgi.LINGER_S - 1)
        assert not line.is_complete
        assert line.body
        await pass_time(1.1)
        assert line.is_complete
        await asking

    play(scene, ClockLoop)


@pytest.mark.parametrize("incoming", [[], [piece(b"half", more=True)]])
def test_a_client_that_leaves_before_its_body_is_complete_is_not_answered(incoming: list[Message]):
    door = Door()
    line = ask(door, *incoming, {"type": "http.disconnect"})
    assert door.requests == []
    assert line.sent == []


# Clients that leave: our server


def test_a_client_that_leaves_ends_the_handler_at_once():
    async def scene() -> None:
        door, line, made = Door(), Asgi(), ours()
        door.gate = asyncio.Event()
        asking = begin(adapter(door)(made, line.receive, line.send))
        await door.began.wait()
        cancel = made[GONE]
        made[GONE] = LEFT
        assert callable(cancel)
        cancel()
        await asking  # nobody is told: there is nobody
        assert door.cancelled == 1
        assert line.sent == []

    play(scene, LOOP)


def test_a_client_that_leaves_in_the_middle_of_a_stream_frees_it_once():
    async def scene() -> None:
        stream = Stream(b"a", gate=asyncio.Event())
        line, made = Asgi(), ours()
        asking = begin(adapter(Door(stream.answer))(made, line.receive, line.send))
        await stream.waiting.wait()
        cancel = made[GONE]
        made[GONE] = LEFT
        assert callable(cancel)
        cancel()
        await asking
        assert (stream.closed, stream.freed) == (1, 1)
        assert not line.is_complete

    play(scene, LOOP)


def test_a_client_that_left_before_the_handler_began_is_not_served():
    async def scene() -> None:
        door, line, made = Door(), Asgi(), ours()
        made[GONE] = LEFT
        await adapter(door)(made, line.receive, line.send)
        assert door.requests == []
        assert line.sent == []

    play(scene, LOOP)


def test_a_server_that_stops_is_not_taken_for_a_client_that_leaves():
    async def scene() -> None:
        door, line = Door(), Asgi()
        door.gate = asyncio.Event()
        asking = begin(adapter(door)(ours(), line.receive, line.send))
        await door.began.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert door.cancelled == 1

    play(scene, LOOP)


# Clients that leave: other servers


def test_under_another_server_a_client_that_leaves_ends_the_handler_too():
    async def scene() -> None:
        door, line = Door(), Asgi()
        door.gate = asyncio.Event()
        asking = begin(adapter(door)(scope(), line.receive, line.send))
        await door.began.wait()
        line.leave()
        await asking
        assert door.cancelled == 1
        assert line.sent == []

    play(scene, LOOP)


def test_under_another_server_a_stream_that_is_left_is_freed_once():
    async def scene() -> None:
        stream, line = Stream(b"a", gate=asyncio.Event()), Asgi()
        asking = begin(adapter(Door(stream.answer))(scope(), line.receive, line.send))
        await stream.waiting.wait()
        line.leave()
        await asking
        assert (stream.closed, stream.freed) == (1, 1)

    play(scene, LOOP)


def test_under_another_server_no_task_is_left_behind():
    async def scene() -> None:
        line = Asgi()
        await adapter(Door())(scope(), line.receive, line.send)
        assert line.is_complete
        assert asyncio.all_tasks() == {asyncio.current_task()}

    play(scene, LOOP)


def test_under_another_server_that_stops_no_task_is_left_behind():
    async def scene() -> None:
        door, line = Door(), Asgi()
        door.gate = asyncio.Event()
        asking = begin(adapter(door)(scope(), line.receive, line.send))
        await door.began.wait()
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert door.cancelled == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    play(scene, LOOP)


def test_another_server_whose_receive_fails_has_lost_its_client():
    async def scene() -> None:
        door = Door()
        line = Asgi(piece(b""), fails=OSError("the connection is gone"))
        door.gate = asyncio.Event()
        await adapter(door)(scope(), line.receive, line.send)
        assert door.cancelled == 1

    play(scene, LOOP)


# What is not HTTP


def test_a_websocket_is_turned_away():
    line = Asgi({"type": "websocket.connect"})
    play(lambda: adapter(Door())({"type": "websocket"}, line.receive, line.send), LOOP)
    assert line.sent == [{"type": "websocket.close", "code": 1000}]


def test_the_servers_lifespan_starts_and_stops_what_the_application_needs():
    happened: list[str] = []

    async def start() -> None:
        happened.append("start")

    async def stop() -> None:
        happened.append("stop")

    async def scene() -> None:
        line = Asgi({"type": "lifespan.startup"})
        serving = begin(Lifespan(start, stop).serve(line.receive, line.send))
        await until(lambda: line.sent)
        assert happened == ["start"]
        assert line.sent == [{"type": "lifespan.startup.complete"}]
        line.leave()
        await serving
        assert happened == ["start", "stop"]
        assert line.sent[1:] == [{"type": "lifespan.shutdown.complete"}]

    play(scene, LOOP)


def test_the_adapter_hands_the_lifespan_on():
    line = Asgi({"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    play(lambda: adapter(Door())({"type": "lifespan"}, line.receive, line.send), LOOP)
    assert [message["type"] for message in line.sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
