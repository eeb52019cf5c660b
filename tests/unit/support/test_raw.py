import pytest

from tests.support import http1, raw
from tests.support.upstream import Do, Gate, Upstream


def test_an_answer_is_read_piece_by_piece():
    gate = Gate()
    parts = [http1.stream_head(), http1.chunk(b"one two"), gate, http1.chunk(b" three")]
    with (
        Upstream(lambda _: [*parts, http1.LAST_CHUNK]) as upstream,
        raw.posted(upstream.base_url, "/x", {"a": 1}, {"x-b": "2"}) as exchange,
    ):
        assert exchange.status == 200
        assert exchange.headers["content-type"] == "text/event-stream"
        assert exchange.read_until(b"two") == b"one two"
        gate.open()
        assert exchange.read_rest() == b"one two three"
        assert not exchange.was_cut
    assert upstream.requests[0].body == b'{"a":1}'
    assert upstream.requests[0].header("x-b") == "2"


@pytest.mark.parametrize("cut", [Do.CLOSE, Do.RESET])
def test_a_cut_answer_is_known_as_one(cut: Do):
    gate = Gate()
    parts = [http1.stream_head(), http1.chunk(b"one"), gate, cut]
    with (
        Upstream(lambda _: parts) as upstream,
        raw.posted(upstream.base_url, "/", b"{}") as exchange,
    ):
        exchange.read_until(b"one")
        gate.open()
        assert exchange.read_rest() == b"one"
        assert exchange.was_cut


def test_words_that_do_not_come_fail_the_test():
    with (
        Upstream(lambda _: http1.stream(b"one")) as upstream,
        raw.posted(upstream.base_url, "/", b"{}") as exchange,
        pytest.raises(AssertionError, match="b'two', the body ended: b'one'"),
    ):
        exchange.read_until(b"two")


def test_who_leaves_is_missed():
    with (
        Upstream(lambda _: [http1.stream_head(), Do.WAIT_FOR_CLOSE]) as upstream,
        raw.posted(upstream.base_url, "/", b"{}") as exchange,
    ):
        exchange.leave()
        assert upstream.wait_for_requests(1)[0].abandoned.wait(10)
