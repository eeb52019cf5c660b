"""A connection alone: bytes in and out by hand, no network, and a clock that stands still."""

import itertools
from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple

import pytest
from httptools import HttpParserCallbackError
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import (
    GatewayError,
    Interrupted,
    ProtocolViolation,
    TargetTimeout,
    Unreachable,
)
from modelmux.transport.base import Timeouts
from modelmux.transport.connection import (
    JOINED_BODY_BYTES,
    MAX_DRY_BYTES,
    MAX_HEAD_BYTES,
    MAX_HEAD_FIELDS,
    MAX_UNREAD_BYTES,
    STALE_AFTER_S,
    WRITE_SLICE_BYTES,
    Connection,
)
from modelmux.transport.response import Response
from tests.unit.transport.loopback import OK, POST, TIMEOUTS, Owner, StillLoop, Wire

GET = b"GET /v1 HTTP/1.1\r\nhost: test\r\n"
HEAD = b"HEAD /v1 HTTP/1.1\r\nhost: test\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


class Stage:
    """A connection with everything around it in the test's hands."""

    def __init__(self) -> None:
        self.loop = StillLoop()
        self.owner = Owner()
        self.wire = Wire()
        self.connection = Connection(self.owner, "http://test", self.loop)
        self.connection.connection_made(self.wire)

    def start(
        self,
        head: bytes = POST,
        body: bytes = b"{}",
        timeouts: Timeouts = TIMEOUTS,
        deadline: float | None = None,
    ) -> Response:
        return self.connection.start(head, body, timeouts, deadline)

    def receive(self, *reads: bytes) -> None:
        for data in reads:
            self.connection.data_received(data)

    def use_once(self) -> None:
        """Have one exchange, so that the connection is a reused one."""
        self.start()
        self.receive(OK)

    def pass_time(self, seconds: float) -> None:
        """Time passes, and the sweeper comes."""
        self.loop.now += seconds
        self.connection.check(self.loop.now)

    @property
    def is_free(self) -> bool:
        """Given back for another exchange."""
        return self.owner.calls[-1:] == ["released"] and not self.wire.is_aborted


def now(coroutine: Coroutine[Any, Any, bytes]) -> bytes:
    """The result of a coroutine that has nothing to wait for."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it waits")


def error_of(response: Response) -> GatewayError:
    assert response.error is not None
    return response.error


class Outcome(NamedTuple):
    """What can be seen of an exchange from outside."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    is_complete: bool
    error: type[GatewayError] | None
    is_free: bool


def outcome(reads: Sequence[bytes], head: bytes = POST, *, then_ends: bool = True) -> Outcome:
    stage = Stage()
    response = stage.start(head)
    stage.receive(*reads)
    is_free = stage.is_free
    if then_ends:
        stage.connection.eof_received()
    return Outcome(
        response.status,
        list(response.headers),
        b"".join(response.chunks),
        response.is_complete,
        type(response.error) if response.error else None,
        is_free,
    )


def test_a_short_body_is_written_with_its_head_at_once():
    stage = Stage()
    stage.start(POST, b"{}")
    assert stage.wire.written == [POST + b"content-length: 2\r\n\r\n{}"]


def test_a_request_that_may_have_no_body_says_nothing_about_it():
    stage = Stage()
    stage.start(GET, b"")
    assert stage.wire.written == [GET + b"\r\n"]


def test_an_empty_post_says_that_it_is_empty():
    stage = Stage()
    stage.start(POST, b"")
    assert stage.wire.written == [POST + b"content-length: 0\r\n\r\n"]


def test_a_get_with_a_body_says_how_long_it_is():
    stage = Stage()
    stage.start(GET, b"{}")
    assert stage.wire.written == [GET + b"content-length: 2\r\n\r\n{}"]


@pytest.mark.parametrize("body_bytes", [JOINED_BODY_BYTES, JOINED_BODY_BYTES + 1, 1_000_000])
def test_a_body_of_any_size_is_written_whole(body_bytes):
    stage = Stage()
    body = bytes(range(256)) * (body_bytes // 256) + bytes(body_bytes % 256)
    stage.start(POST, body)
    expected = POST + b"content-length: %d\r\n\r\n" % body_bytes + body
    assert b"".join(stage.wire.written) == expected


def test_a_long_body_waits_while_the_event_loop_has_enough():
    stage = Stage()
    stage.connection.pause_writing()
    stage.start(POST, bytes(3 * WRITE_SLICE_BYTES))
    assert len(stage.wire.written) == 1
    stage.connection.resume_writing()
    assert sum(map(len, stage.wire.written[1:])) == 3 * WRITE_SLICE_BYTES
    assert max(map(len, stage.wire.written)) == WRITE_SLICE_BYTES


def test_a_body_goes_on_being_sent_while_the_response_comes():
    stage = Stage()
    stage.connection.pause_writing()
    response = stage.start(POST, bytes(WRITE_SLICE_BYTES))
    stage.receive(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n12")
    stage.connection.resume_writing()
    stage.receive(b"345")
    assert sum(map(len, stage.wire.written[1:])) == WRITE_SLICE_BYTES
    assert now(response.read(5)) == b"12345"
    assert stage.is_free


def test_an_answer_before_the_request_was_sent_ends_the_connection():
    stage = Stage()
    stage.connection.pause_writing()
    response = stage.start(POST, bytes(WRITE_SLICE_BYTES))
    stage.receive(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
    assert (response.status, response.is_complete) == (413, True)
    assert stage.wire.is_aborted
    stage.connection.resume_writing()
    assert len(stage.wire.written) == 1


ENDS_BY_ITSELF = {
    "length": (OK, 200, b"ok", True),
    "no body": (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", 200, b"", True),
    "chunks": (CHUNKED + b"2\r\nab\r\n1;ext=1\r\nc\r\n0\r\n\r\n", 200, b"abc", True),
    "trailers": (CHUNKED + b"1\r\na\r\n0\r\nx-sum: 1\r\ny: 2\r\n\r\n", 200, b"a", True),
    "204": (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b"", True),
    "304": (b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", 304, b"", True),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nlink: </a>\r\n\r\n" + OK,
        200,
        b"ok",
        True,
    ),
    "unknown interim": (b"HTTP/1.1 199 X\r\ncontent-length: 1\r\n\r\nx" + OK, 200, b"ok", True),
    "close": (
        b"HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 2\r\n\r\nok",
        200,
        b"ok",
        0,
    ),
    "1.0": (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", 200, b"ok", False),
    "1.0 kept": (
        b"HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
        200,
        b"ok",
        True,
    ),
    "upgrade offered": (
        b"HTTP/1.1 426 Up\r\nupgrade: h2c\r\nconnection: upgrade\r\ncontent-length: 1\r\n\r\nx",
        426,
        b"x",
        True,
    ),
    "garbage behind": (OK + b"HTTX", 200, b"ok", False),
    "half a response behind": (OK + b"HT", 200, b"ok", False),
    "a response behind": (OK + b"HTTP/1.1 500 No\r\ncontent-length: 1\r\n\r\nx", 200, b"ok", False),
    "until close": (b"HTTP/1.1 200 OK\r\n\r\nall of it", 200, b"all of it", False),
    "1.0 until close": (b"HTTP/1.0 200 OK\r\n\r\nHTTP/1.1 ", 200, b"HTTP/1.1 ", False),
}


@pytest.mark.parametrize("case", ENDS_BY_ITSELF)
def test_a_response_is_read_whole_however_it_is_cut(case):
    script, status, body, is_free = ENDS_BY_ITSELF[case]
    whole = outcome([script])
    assert (whole.status, whole.body, whole.error) == (status, body, None)
    assert whole.is_complete
    assert whole.is_free == is_free
    cuts = [[script[:at], script[at:]] for at in range(1, len(script))]
    for reads in [*cuts, [script[at : at + 1] for at in range(len(script))]]:
        cut = outcome(reads)
        # What is behind a response may come when the connection is free: then it ends there.
        assert cut._replace(is_free=whole.is_free) == whole, reads


BROKEN = {
    "no http": b"SSH-2.0-OpenSSH_9.2\r\n",
    "http 2": b"HTTP/2.0 200 OK\r\ncontent-length: 0\r\n\r\n",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "length and chunks": CHUNKED.replace(b"\r\n\r\n", b"\r\ncontent-length: 3\r\n\r\n"),
    "negative length": b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    "huge length": b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999999\r\n\r\n",
    "other coding": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nabc",
    "two codings": CHUNKED.replace(b": chunked", b": gzip, chunked") + b"1\r\na\r\n0\r\n\r\n",
    "coding on two lines": CHUNKED.replace(b"tr", b"transfer-encoding: gzip\r\ntr") + b"0\r\n\r\n",
    "chunk size": CHUNKED + b"zz\r\nab",
    "chunk end": CHUNKED + b"1\r\nabc",
    "switching": b"HTTP/1.1 101 Switching\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    "switching unasked": b"HTTP/1.1 101 Switching\r\n\r\n",
    "status": b"HTTP/1.1 099 OK\r\ncontent-length: 0\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\na: b\r\n c\r\ncontent-length: 0\r\n\r\n",
    "bare line feeds": b"HTTP/1.1 200 OK\ncontent-length: 0\n\n",
}


@pytest.mark.parametrize("case", BROKEN)
def test_what_is_not_http_is_refused_however_it_is_cut(case):
    script = BROKEN[case]
    cuts = [[script[:at], script[at:]] for at in range(1, len(script))]
    for reads in [[script], *cuts, [script[at : at + 1] for at in range(len(script))]]:
        seen = outcome(reads, then_ends=False)
        assert seen.error is ProtocolViolation, reads
        assert not seen.is_free


CUT_SHORT = {
    "inside the head": b"HTTP/1.1 200 OK\r\ncontent-le",
    "after an interim head": b"HTTP/1.1 100 Continue\r\n\r\n",
    "before the body": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n",
    "inside the body": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n1234",
    "before the first chunk": CHUNKED,
    "inside a chunk": CHUNKED + b"5\r\n1234",
    "between chunks": CHUNKED + b"1\r\na\r\n",
    "before the last line": CHUNKED + b"1\r\na\r\n0\r\n",
    "inside the trailers": CHUNKED + b"1\r\na\r\n0\r\nx: 1\r\n",
}


@pytest.mark.parametrize("case", CUT_SHORT)
def test_a_response_that_is_cut_is_interrupted_and_never_ends(case):
    seen = outcome([CUT_SHORT[case]])
    assert seen.error is Interrupted
    assert not seen.is_complete


def test_a_cut_after_an_error_of_the_system_says_which():
    stage = Stage()
    response = stage.start()
    stage.receive(CHUNKED + b"1\r\na\r\n")
    stage.connection.connection_lost(ConnectionResetError(104, "Connection reset by peer"))
    assert error_of(response).message == (
        "http://test: the answer was cut: connection reset by peer"
    )


def test_a_body_without_length_is_interrupted_by_an_error():
    stage = Stage()
    response = stage.start()
    stage.receive(b"HTTP/1.1 200 OK\r\n\r\nhalf")
    stage.connection.connection_lost(ConnectionResetError(104, "reset"))
    assert isinstance(response.error, Interrupted)


def test_a_response_to_head_has_no_body_and_ends_the_connection():
    stage = Stage()
    response = stage.start(HEAD, b"")
    stage.receive(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstray")
    assert response.is_complete
    assert now(response.read(0)) == b""
    assert stage.wire.is_aborted


def test_a_response_to_head_may_come_on_a_reused_connection():
    stage = Stage()
    stage.use_once()
    response = stage.start(HEAD, b"")
    stage.receive(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")
    assert response.is_complete


def test_a_coding_is_refused_on_a_reused_connection_too():
    stage = Stage()
    stage.use_once()
    response = stage.start()
    stage.receive(CHUNKED.replace(b": chunked", b": gzip, chunked"))
    assert isinstance(response.error, ProtocolViolation)


def test_trailers_are_in_no_headers():
    stage = Stage()
    first = stage.start()
    stage.receive(CHUNKED + b"1\r\na\r\n0\r\nx-sum: 1\r\n\r\n")
    second = stage.start()
    stage.receive(OK)
    assert list(first.headers) == [(b"transfer-encoding", b"chunked")]
    assert list(second.headers) == [(b"content-length", b"2")]


def test_interim_fields_are_in_no_headers():
    seen = outcome([b"HTTP/1.1 103 Early\r\nlink: </a>\r\ntransfer-encoding: x\r\n\r\n" + OK])
    assert list(seen.headers) == [(b"content-length", b"2")]


def test_names_are_lower_case_and_values_without_outer_space():
    seen = outcome(
        [b"HTTP/1.1 200 OK\r\nX-Some-Field: \t a  b \t\r\nE:\r\ncontent-length: 0\r\n\r\n"]
    )
    assert seen.headers[:2] == [(b"x-some-field", b"a  b"), (b"e", b"")]


bodies = st.lists(st.binary(min_size=1, max_size=40), max_size=6)
fields = st.lists(
    st.tuples(st.from_regex(rb"x-[a-z0-9]{1,8}", fullmatch=True), st.just(b"some value")),
    max_size=4,
)


@st.composite
def responses(draw: st.DrawFn) -> tuple[bytes, bytes, list[tuple[bytes, bytes]], bool]:
    """A response as bytes, with its body, its own fields and whether the connection stays."""
    chunks = draw(bodies)
    body = b"".join(chunks)
    head = draw(fields)
    interim = b"HTTP/1.1 102 Processing\r\nx-not: this\r\n\r\n" * draw(st.integers(0, 2))
    framing = draw(st.sampled_from(["length", "chunked", "close"]))
    if framing == "length":
        last, raw = (b"content-length", b"%d" % len(body)), body
    elif framing == "chunked":
        last = (b"transfer-encoding", b"chunked")
        trailers = b"".join(b"%b: %b\r\n" % field for field in draw(fields))
        raw = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks) + b"0\r\n" + trailers
        raw += b"\r\n"
    else:
        last, raw = (b"x-last", b"1"), body
    lines = b"".join(b"%b: %b\r\n" % field for field in [*head, last])
    script = interim + b"HTTP/1.1 200 OK\r\n" + lines + b"\r\n" + raw
    return script, body, [*head, last], framing != "close"


@given(responses(), st.lists(st.integers(0, 400), max_size=8))
def test_no_cut_and_no_framing_changes_what_is_read(response, cuts):
    script, body, headers, is_free = response
    edges = [0, *sorted(min(cut, len(script)) for cut in cuts), len(script)]
    reads = [script[a:b] for a, b in itertools.pairwise(edges) if a < b]
    assert outcome(reads) == Outcome(200, headers, body, True, None, is_free)


@given(st.lists(st.tuples(responses(), st.integers(1, 400)), min_size=2, max_size=5))
def test_responses_on_one_connection_do_not_touch_each_other(played):
    stage = Stage()
    got = []
    for (script, _, _, is_kept), cut in played:
        response = stage.start()
        stage.receive(*(part for part in (script[:cut], script[cut:]) if part))
        got.append(response)
        if not is_kept:
            stage.connection.eof_received()
            break
    for response, ((_, body, headers, _), _) in zip(got, played, strict=False):
        assert now(response.read(1000)) == body
        assert list(response.headers) == headers


@given(st.binary(max_size=300), st.integers(0, 300))
def test_no_bytes_make_a_connection_raise_or_end_in_silence(data, cut):
    stage = Stage()
    response = stage.start()
    stage.receive(*(part for part in (data[:cut], data[cut:]) if part))
    stage.connection.eof_received()
    assert response.is_complete or response.error is not None


def test_a_mistake_of_our_own_is_not_laid_at_the_targets_door():
    class Mistaken(Connection):
        def on_body(self, body: bytes) -> None:
            raise ZeroDivisionError

    connection = Mistaken(Owner(), "http://test", StillLoop())
    connection.connection_made(Wire())
    connection.start(POST, b"", TIMEOUTS, None)
    with pytest.raises(HttpParserCallbackError) as caught:
        connection.data_received(OK)
    assert isinstance(caught.value.__context__, ZeroDivisionError)


@pytest.mark.parametrize("read_bytes", [1000, 262_144])
def test_a_head_that_is_too_long_is_refused(read_bytes):
    script = b"HTTP/1.1 200 OK\r\nx: " + b"y" * MAX_HEAD_BYTES + b"\r\ncontent-length: 0\r\n\r\n"
    reads = [script[at : at + read_bytes] for at in range(0, len(script), read_bytes)]
    assert outcome(reads).error is ProtocolViolation


def test_a_head_with_too_many_fields_is_refused():
    script = b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * MAX_HEAD_FIELDS + b"content-length: 0\r\n\r\n"
    assert outcome([script]).error is ProtocolViolation


def test_a_long_body_behind_a_head_does_not_count_as_head():
    body = bytes(3 * MAX_HEAD_BYTES)
    seen = outcome([b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body])
    assert (seen.error, seen.body) == (None, body)


def test_interim_responses_without_end_are_refused():
    interim = b"HTTP/1.1 102 Processing\r\nx: y\r\n\r\n"
    assert outcome([interim] * (MAX_HEAD_BYTES // len(interim) + 1)).error is ProtocolViolation


def test_trailers_without_end_are_refused():
    reads = [CHUNKED + b"0\r\nx: "] + [b"y" * 10_000] * (MAX_DRY_BYTES // 10_000 + 1)
    assert outcome(reads, then_ends=False).error is ProtocolViolation


def test_chunk_extensions_without_end_are_refused():
    reads = [CHUNKED + b"1;"] + [b"y" * 10_000] * (MAX_DRY_BYTES // 10_000 + 1)
    assert outcome(reads, then_ends=False).error is ProtocolViolation


def test_framing_between_bytes_of_body_may_be_of_any_size_in_all():
    stage = Stage()
    response = stage.start()
    stage.receive(CHUNKED)
    for _ in range(2 * MAX_DRY_BYTES // 10_000):
        stage.receive(b"1;" + b"y" * 10_000, b"\r\na\r\n")
        assert now(response.__anext__()) == b"a"


def test_reading_stops_when_too_much_is_unread_and_goes_on_when_it_is_taken():
    stage = Stage()
    response = stage.start()
    stage.receive(b"HTTP/1.1 200 OK\r\ncontent-length: 900000\r\n\r\n")
    stage.receive(bytes(MAX_UNREAD_BYTES))
    stage.receive(bytes(1))
    assert stage.wire.is_reading_paused
    assert len(now(response.__anext__())) == MAX_UNREAD_BYTES + 1
    assert not stage.wire.is_reading_paused


def test_reading_goes_on_before_a_connection_is_given_back():
    stage = Stage()
    response = stage.start()
    stage.receive(b"HTTP/1.1 200 OK\r\ncontent-length: 300001\r\n\r\n" + bytes(300_000))
    assert stage.wire.is_reading_paused
    # TLS had decrypted these already.
    stage.receive(b"x")
    assert stage.is_free
    assert not stage.wire.is_reading_paused
    assert len(now(response.read(300_001))) == 300_001


def test_a_connection_is_free_again_before_its_response_is_read():
    stage = Stage()
    first = stage.start()
    stage.receive(OK)
    second = stage.start()
    stage.receive(b"HTTP/1.1 404 No\r\ncontent-length: 4\r\n\r\nlost")
    assert (first.status, now(first.read(9))) == (200, b"ok")
    assert (second.status, now(second.read(9))) == (404, b"lost")


@pytest.mark.parametrize("stray", [b"\r\n", b"HTTP/1.1 408 Timeout\r\n\r\n", b"x"])
def test_bytes_that_nobody_asked_for_end_a_free_connection(stray):
    stage = Stage()
    stage.use_once()
    stage.receive(stray)
    assert stage.wire.is_aborted
    assert stage.owner.calls[-1] == "closed"


def test_the_end_of_the_stream_ends_a_free_connection_at_once():
    stage = Stage()
    stage.use_once()
    stage.connection.eof_received()
    assert stage.connection.is_closed
    stage.connection.connection_lost(None)
    assert stage.owner.calls == ["released", "closed", "lost"]


def test_a_fresh_connection_that_ends_without_an_answer_is_unreachable():
    stage = Stage()
    response = stage.start()
    stage.connection.eof_received()
    assert isinstance(response.error, Unreachable)
    assert not response.is_stale


def test_a_reused_connection_that_had_been_closed_is_stale_and_keeps_its_place():
    stage = Stage()
    stage.use_once()
    response = stage.start()
    stage.connection.connection_lost(BrokenPipeError(32, "Broken pipe"))
    assert response.is_stale
    assert response.error is None
    assert stage.owner.calls == ["released", "lost"]


def test_a_stale_connection_is_written_to_no_more():
    stage = Stage()
    stage.use_once()
    stage.connection.pause_writing()
    written = len(stage.wire.written)
    stage.start(POST, bytes(WRITE_SLICE_BYTES))
    stage.connection.eof_received()
    assert stage.wire.is_aborted
    stage.connection.resume_writing()
    assert len(stage.wire.written) == written + 1


def test_a_reused_connection_that_ends_later_may_have_done_the_work():
    stage = Stage()
    stage.use_once()
    response = stage.start()
    stage.loop.now += STALE_AFTER_S
    stage.connection.eof_received()
    assert not response.is_stale
    assert isinstance(response.error, Unreachable)


def test_a_reused_connection_that_began_to_answer_is_not_stale():
    stage = Stage()
    stage.use_once()
    response = stage.start()
    stage.receive(b"H")
    stage.connection.eof_received()
    assert not response.is_stale
    assert isinstance(response.error, Interrupted)


def test_a_response_given_up_closes_its_connection():
    stage = Stage()
    response = stage.start()
    stage.receive(CHUNKED + b"1\r\na\r\n")
    with pytest.raises(StopIteration):
        response.aclose().send(None)
    assert stage.wire.is_aborted
    assert isinstance(response.error, Interrupted)


def test_closing_a_free_connection_closes_it_once():
    stage = Stage()
    stage.use_once()
    stage.connection.close(Interrupted("enough"))
    stage.connection.retire()
    assert stage.wire.is_aborted
    assert stage.owner.calls == ["released", "closed"]


def test_giving_up_a_complete_response_leaves_the_connection_to_the_next():
    stage = Stage()
    first = stage.start()
    stage.receive(OK)
    second = stage.start()
    with pytest.raises(StopIteration):
        first.aclose().send(None)
    stage.receive(OK)
    assert now(second.read(2)) == b"ok"
    assert stage.is_free


def test_closing_a_busy_connection_fails_its_response():
    stage = Stage()
    response = stage.start()
    stage.connection.close(Interrupted("enough"))
    assert error_of(response).message == "enough"
    assert stage.wire.is_aborted


def test_no_head_within_the_first_byte_timeout_is_a_timeout():
    stage = Stage()
    response = stage.start(timeouts=Timeouts(first_byte_s=3))
    stage.pass_time(2.9)
    assert response.error is None
    stage.pass_time(0.1)
    assert isinstance(response.error, TargetTimeout)
    assert "first-byte timeout of 3 s" in error_of(response).message


def test_a_head_that_dribbles_is_no_answer():
    stage = Stage()
    response = stage.start(timeouts=Timeouts(first_byte_s=3))
    for byte in b"HTT":
        stage.receive(bytes([byte]))
        stage.pass_time(1)
    assert isinstance(response.error, TargetTimeout)


def test_interim_responses_are_no_answer():
    stage = Stage()
    response = stage.start(timeouts=Timeouts(first_byte_s=3))
    for _ in range(3):
        stage.receive(b"HTTP/1.1 102 Processing\r\n\r\n")
        stage.pass_time(1)
    assert isinstance(response.error, TargetTimeout)


def test_the_first_byte_timeout_begins_when_the_request_is_sent():
    stage = Stage()
    stage.connection.pause_writing()
    response = stage.start(POST, bytes(2 * WRITE_SLICE_BYTES), Timeouts(first_byte_s=3))
    stage.pass_time(2)
    stage.connection.resume_writing()
    stage.pass_time(2)
    assert response.error is None
    stage.pass_time(1)
    assert isinstance(response.error, TargetTimeout)


def test_a_target_that_takes_no_more_of_the_request_is_a_timeout():
    stage = Stage()
    stage.connection.pause_writing()
    response = stage.start(POST, bytes(2 * WRITE_SLICE_BYTES), Timeouts(first_byte_s=3))
    stage.pass_time(3)
    assert "took no more of the request" in error_of(response).message


def test_silence_inside_an_answer_is_a_timeout():
    stage = Stage()
    response = stage.start(timeouts=Timeouts(first_byte_s=1, idle_s=5))
    stage.receive(CHUNKED + b"1\r\na\r\n")
    stage.pass_time(0.1)
    stage.pass_time(4.9)
    assert response.error is None
    stage.pass_time(0.1)
    assert "idle timeout of 5 s" in error_of(response).message


def test_every_read_ends_the_silence():
    stage = Stage()
    response = stage.start(timeouts=Timeouts(idle_s=5))
    stage.receive(CHUNKED)
    for _ in range(4):
        stage.pass_time(4)
        stage.receive(b"1\r\na\r\n")
    assert response.error is None


def test_a_reader_who_is_slow_is_not_the_targets_silence():
    stage = Stage()
    response = stage.start(timeouts=Timeouts(idle_s=5))
    stage.receive(b"HTTP/1.1 200 OK\r\ncontent-length: 300001\r\n\r\n" + bytes(300_000))
    stage.pass_time(0.1)
    stage.pass_time(60)
    stage.pass_time(60)
    now(response.__anext__())
    stage.pass_time(4.9)
    assert response.error is None
    stage.pass_time(0.1)
    assert isinstance(response.error, TargetTimeout)


def test_a_limit_of_zero_is_none():
    stage = Stage()
    response = stage.start(timeouts=Timeouts(first_byte_s=0, idle_s=0))
    stage.pass_time(1e6)
    stage.receive(CHUNKED)
    stage.pass_time(1e6)
    stage.pass_time(1e6)
    assert response.error is None


@pytest.mark.parametrize("script", [b"", b"HTTP/1.1 200 OK\r\n\r\nbody"])
def test_the_deadline_ends_an_exchange_wherever_it_is(script):
    stage = Stage()
    response = stage.start(deadline=stage.loop.now + 1.5)
    if script:
        stage.receive(script)
    stage.pass_time(1.4)
    assert response.error is None
    stage.pass_time(0.1)
    assert "by its deadline, after 1.5 s" in error_of(response).message
    assert stage.wire.is_aborted


def test_limits_of_one_exchange_are_gone_with_it():
    stage = Stage()
    stage.start(timeouts=Timeouts(first_byte_s=1), deadline=stage.loop.now + 1)
    stage.receive(OK)
    stage.pass_time(100)
    assert not stage.wire.is_aborted
    response = stage.start()
    stage.pass_time(1)
    assert response.error is None
