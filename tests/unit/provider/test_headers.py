import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import ConfigError
from modelmux.provider import headers


def test_a_field_is_one_line_with_a_lower_case_name():
    assert headers.field("X-Title", " modelmux ") == b"x-title: modelmux\r\n"


@pytest.mark.parametrize("value", ["a\r\nb: c", "a\nb", "a\0b", "smart “quotes”", "a\x7f"])
def test_a_value_that_could_end_its_line_is_refused_and_not_shown(value):
    with pytest.raises(ConfigError) as caught:
        headers.field("x-title", value)
    assert "x-title" in caught.value.message
    assert value not in caught.value.message


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\nb", "é", "a\n"])
def test_a_name_that_is_no_token_is_refused(name):
    with pytest.raises(ConfigError):
        headers.field(name, "x")


@pytest.mark.parametrize("name", ["Host", "content-length", "Transfer-Encoding", "connection"])
def test_fields_that_frame_a_message_cannot_be_set(name):
    with pytest.raises(ConfigError, match="cannot be set"):
        headers.block({name: "x"})


def test_a_later_layer_wins_whatever_the_case_of_the_name():
    assert headers.block({"A": "1", "b": "2"}, {"a": "3"}) == b"a: 3\r\nb: 2\r\n"


@given(st.text(), st.text())
def test_a_field_is_always_exactly_one_line(name, value):
    try:
        line = headers.field(name, value)
    except ConfigError:
        return
    assert line.count(b"\r") == line.count(b"\n") == 1
    assert line.endswith(b"\r\n")
