import socket

import pytest

from modelmux.isolate.wire import MAX_LINE_BYTES, Lines, decoded, encoded, number_of, text_of


def test_lines_come_whole_however_they_are_cut():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        lines = Lines(ours)
        sent = encoded({"a": 1}) + encoded({"b": "☂"})
        found = []
        for at in range(len(sent)):
            theirs.send(sent[at : at + 1])
            found += list(lines.read())
        assert found == [{"a": 1}, {"b": "☂"}]
        assert not lines.is_closed
        theirs.close()
        assert list(lines.read()) == []
        assert lines.is_closed


@pytest.mark.parametrize("text", [b"", b"[]", b"1", b"{", b"\xff"])
def test_what_is_no_message_is_told(text: bytes):
    with pytest.raises(ValueError, match=r".*"):
        decoded(text)


def test_a_line_without_an_end_is_no_line():
    ours, theirs = socket.socketpair()
    with ours, theirs, pytest.raises(ValueError, match="without an end"):
        list(Lines(ours).feed(b"x" * (MAX_LINE_BYTES + 1)))


def test_fields_of_another_type_are_as_if_not_there():
    assert text_of({"a": 1}, "a") == text_of({}, "a") == ""
    assert number_of({"a": "1"}, "a") == number_of({}, "a") == 0
