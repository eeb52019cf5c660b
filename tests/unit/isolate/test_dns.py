from hypothesis import given
from hypothesis import strategies as st

from modelmux.isolate.dns import no_such_name, question

HEADER = b"\xab\xcd\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00"
ASKED = b"\x03api\x07example\x03com\x00\x00\x01\x00\x01"


def test_the_name_that_is_asked_for():
    assert question(HEADER + ASKED) == "api.example.com"


def test_what_cannot_be_printed_is_a_question_mark():
    assert question(HEADER + b"\x04a\n\xff \x00\x00\x01\x00\x01") == "a???"


def test_there_is_no_such_name():
    answer = no_such_name(HEADER + ASKED + b"more, such as EDNS")
    assert answer == b"\xab\xcd\x81\x83\x00\x01\x00\x00\x00\x00\x00\x00" + ASKED


def test_what_is_no_question_is_not_answered():
    response = HEADER[:2] + b"\x81" + HEADER[3:]
    for message in (b"", HEADER, response + ASKED, HEADER + b"\xc0\x0c", HEADER + b"\x09abc"):
        assert question(message) == ""
        assert no_such_name(message) == b""


@given(st.binary(max_size=600))
def test_no_bytes_raise(message: bytes):
    assert question(message).isascii()
    assert len(no_such_name(message)) <= len(message)
