from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import ProtocolViolation
from modelmux.ir.response import Failure, Summary
from modelmux.wire.framing import ndjson
from tests.support.cases import case

GONE = Failure("unavailable", "gone", "interrupted", status=502)


class Watch:
    """Ends at a line that is `{"done":true}`."""

    renames: tuple[bytes, bytes] | None = None

    def __init__(self) -> None:
        self.ended = False
        self.seen: list[bytes] = []

    @property
    def summary(self) -> Summary:
        return Summary()

    def concerns(self, data: bytes) -> bool:
        return True

    def look(self, line: bytes) -> None:
        self.seen.append(line)
        self.ended = self.ended or line == b'{"done":true}'

    def fail(self, failure: Failure) -> bytes:
        self.ended = True
        return b'{"error":"gone"}\n'


def cut(chunks: list[bytes]) -> list[bytes]:
    decoder = ndjson.Decoder()
    return [line for chunk in chunks for line in decoder.feed(chunk)] + decoder.finish()


@case(88, 89, 90)
@given(st.lists(st.dictionaries(st.text(), st.text(), max_size=2), max_size=4))
@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_any_split_and_any_line_end_give_the_lines(end: bytes, items: list[object]) -> None:
    data = b"".join([msgspec.json.encode(item) + end for item in items])
    assert [msgspec.json.decode(line) for line in cut([data])] == items
    assert cut([data[at : at + 1] for at in range(len(data))]) == cut([data])


def test_a_last_line_without_its_end_is_one() -> None:
    assert cut([b"{}\n\n", b'{"a":', b"1}"]) == [b"{}", b'{"a":1}']


def test_an_endless_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ndjson, "MAX_LINE_BYTES", 10)
    with pytest.raises(ProtocolViolation, match="exceeds"):
        cut([b"xxxxxxx", b"xxxxxxx"])
    with pytest.raises(ProtocolViolation, match="exceeds"):
        ndjson.Relay(Watch(), GONE).feed(b"xxxxxxxxxxxxxx")


@given(st.lists(st.integers(0, 40), max_size=5))
def test_lines_are_passed_on_whole_and_as_they_came(cuts: list[int]) -> None:
    data = b'{"a":1}\r\n\n{"b":2}\n{"done":true}\n'
    watch = Watch()
    relay = ndjson.Relay(watch, GONE)
    places = sorted({0, len(data), *(cut % len(data) for cut in cuts)})
    sent = [relay.feed(data[a:b]) for a, b in pairwise(places)]
    assert all(each == b"" or each.endswith((b"\n", b"\r")) for each in sent)
    assert b"".join(sent) + relay.finish() == data
    assert watch.seen == [b'{"a":1}', b'{"b":2}', b'{"done":true}']


@case(93)
def test_what_breaks_off_ends_in_an_error_on_a_line_of_its_own() -> None:
    relay = ndjson.Relay(Watch(), GONE)
    assert relay.feed(b'{"a":1}\n{"b"') + relay.finish() == b'{"a":1}\n{"error":"gone"}\n'
    relay = ndjson.Relay(Watch(), GONE)
    assert relay.feed(b'{"a":1}') + relay.finish() == b'{"a":1}\n{"error":"gone"}\n'
    assert relay.fail(GONE) == b""
    relay = ndjson.Relay(Watch(), GONE)
    assert relay.feed(b'{"b"') + relay.fail(GONE) == b'{"error":"gone"}\n'


def test_the_last_line_may_lack_its_end() -> None:
    relay = ndjson.Relay(Watch(), GONE)
    assert relay.feed(b'{"done":true}') + relay.finish() == b'{"done":true}'


def test_names_are_replaced_in_every_line() -> None:
    watch = Watch()
    watch.renames = (b'"x"', b'"y"')
    assert ndjson.Relay(watch, GONE).feed(b'{"m":"x"}\n') == b'{"m":"y"}\n'
    assert ndjson.encode(b"{}") == b"{}\n"
