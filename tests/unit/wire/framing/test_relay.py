import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import ProtocolViolation
from modelmux.ir.response import Failure, Summary
from modelmux.wire.framing import sse
from modelmux.wire.framing.relay import Relay

BROKEN = Failure("unavailable", "it broke")


class Watch:
    """Ends at `end`, drops `drop`, and notes what it was shown."""

    def __init__(self, renames: tuple[bytes, bytes] | None = None) -> None:
        self.summary = Summary()
        self.ended = False
        self.renames = renames
        self.seen: list[bytes] = []

    def concerns(self, data: bytes) -> bool:
        return b"look" in data or b"end" in data or b"drop" in data

    def look(self, frame: sse.SSE, raw: bytes) -> bytes:
        self.seen.append(frame.data)
        if b"end" in frame.data:
            self.ended = True
        return b"" if b"drop" in frame.data else raw

    def close(self) -> bytes:
        return b"data: closed\n\n"

    def fail(self, failure: Failure) -> bytes:
        self.summary = Summary(failure=failure)
        return b"data: failed\n\n"


def relay(*chunks: bytes, watch: Watch | None = None) -> bytes:
    machine = Relay(watch or Watch())
    return b"".join([machine.feed(chunk) for chunk in chunks]) + machine.finish()


FRAMES = st.lists(
    st.sampled_from(
        [b"data: 1", b"data: look", b": alive", b"event: a\ndata: {}", b"data: 1\ndata: 2"]
    ),
    max_size=6,
)
END = b"data: end\n\n"


@given(FRAMES, st.lists(st.integers(0, 200)), st.sampled_from([b"\n", b"\r\n", b"\r"]))
def test_a_stream_of_nothing_to_change_leaves_as_it_came(frames, cuts, eol):
    stream = b"".join(frame + b"\n\n" for frame in frames) + END
    stream = stream.replace(b"\n", eol)
    places = sorted({0, len(stream), *(cut % len(stream) for cut in cuts)})
    chunks = [stream[a:b] for a, b in itertools.pairwise(places)]
    assert relay(*chunks) == stream


BLANKS = [b"\n\n", b"\n\r\n", b"\n\r", b"\r\n\n", b"\r\n\r\n", b"\r\n\r", b"\r\r", b"\r\r\n"]


@given(st.lists(st.tuples(FRAMES, st.sampled_from(BLANKS))))
def test_line_ends_of_several_kinds_may_be_mixed(parts):
    stream = b"".join(frame + blank for frames, blank in parts for frame in frames)
    watch = Watch()
    assert relay(*(stream[i : i + 1] for i in range(len(stream))), END, watch=watch) == stream + END
    assert watch.seen.count(b"look") == stream.count(b"look")


def test_bytes_leave_in_whole_frames_only():
    machine = Relay(Watch())
    sent = [machine.feed(chunk) for chunk in (b"data: 1\n", b"\ndata: 2\n\nda", b"ta: 3\r\n\r\n")]
    assert sent == [b"", b"data: 1\n\ndata: 2\n\n", b"data: 3\r\n\r\n"]


def test_a_blank_line_of_two_kinds_of_line_ends_is_one():
    machine = Relay(Watch())
    assert machine.feed(b"data: 1\n\r\n") == b"data: 1\n\r\n"
    assert machine.feed(b"data: 2\r\n\ndata:") == b"data: 2\r\n\n"


def test_frames_of_no_interest_are_not_looked_at():
    watch = Watch()
    relay(b"data: 1\n\n", b"data: 2\n\ndata: look\n\n", END, watch=watch)
    assert watch.seen == [b"2", b"look", b"end"]


def test_the_watch_may_drop_a_frame():
    stream = b"data: 1\n\ndata: drop\n\n: c\n\n" + END
    assert relay(stream) == b"data: 1\n\n: c\n\n" + END


def test_names_are_replaced_in_every_frame():
    watch = Watch(renames=(b"old", b"new"))
    assert relay(b"data: old\n\n", b"data: look old\n\n", END, watch=watch) == (
        b"data: new\n\ndata: look new\n\n" + END
    )


def test_a_finished_stream_gets_nothing_appended():
    assert relay(END) == END


def test_a_cut_stream_is_closed_by_the_watch():
    assert relay(b"data: 1\n\n") == b"data: 1\n\ndata: closed\n\n"


def test_the_last_blank_line_may_be_missing():
    assert relay(b"data: end") == END
    assert relay(b'data: {"a":1}') == b'data: {"a":1}\n\ndata: closed\n\n'


@pytest.mark.parametrize("half", [b'data: {"a', b"event: a", b"event: a\nda", b"data"])
def test_half_a_frame_is_not_passed_on(half):
    assert relay(b"data: 1\n\n", half) == b"data: 1\n\ndata: closed\n\n"


def test_a_comment_at_the_end_is_passed_on():
    assert relay(b": bye") == b": bye\n\ndata: closed\n\n"


def test_a_broken_stream_says_so_and_drops_half_a_frame():
    watch = Watch()
    machine = Relay(watch)
    machine.feed(b"data: 1\n\ndata: 2")
    assert machine.fail(BROKEN) == b"data: failed\n\n"
    assert machine.summary.failure == BROKEN


def test_a_stream_that_breaks_after_its_end_has_not_failed():
    machine = Relay(Watch())
    machine.feed(END)
    assert machine.fail(BROKEN) == b""
    assert machine.summary.failure is None


@pytest.mark.parametrize("chunks", [[b"data: " + b"x" * 200], [b"x"] * 101])
def test_a_frame_without_end_is_refused(monkeypatch, chunks):
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 100)
    with pytest.raises(ProtocolViolation, match="exceeds 100 bytes"):
        relay(*chunks)
