import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import ProtocolViolation
from modelmux.wire.framing import jsonarray
from tests.support.cases import case

values = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.lists(st.dictionaries(st.text(), values, max_size=3), max_size=5)


def cut(chunks: list[bytes]) -> list[bytes]:
    decoder = jsonarray.Decoder()
    return [element for chunk in chunks for element in decoder.feed(chunk)]


@case(99)
@given(objects, st.booleans())
def test_any_split_gives_the_elements(items: list[dict[str, object]], spaced: bool) -> None:
    data = msgspec.json.encode(items)
    if spaced:
        data = b" \r\n" + msgspec.json.format(data, indent=1) + b"\n"
    whole = cut([data])
    assert [msgspec.json.decode(element) for element in whole] == items
    assert cut([data[at : at + 1] for at in range(len(data))]) == whole


def test_brackets_and_quotes_in_strings_mean_nothing() -> None:
    assert cut([b'[{"a":"]}\\"{"},', b'{"b":"\\', b'\\"}]']) == [b'{"a":"]}\\"{"}', b'{"b":"\\\\"}']


def test_it_is_known_whether_the_array_has_ended() -> None:
    decoder = jsonarray.Decoder()
    decoder.feed(b"[{}")
    assert not decoder.closed
    decoder.feed(b"\n] ")
    assert decoder.closed


@pytest.mark.parametrize("data", [b"{}", b"x", b"[1]", b"[{}]{", b'["a"]'])
def test_what_is_no_array_of_objects_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolViolation, match="array of objects"):
        cut([data])


def test_an_endless_element_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jsonarray, "MAX_ELEMENT_BYTES", 10)
    with pytest.raises(ProtocolViolation, match="exceeds"):
        cut([b'[{"a":"', b"xxxxxxxxxxxx"])


def test_elements_become_an_array() -> None:
    encoder = jsonarray.Encoder()
    data = encoder.element(b"{}") + encoder.element(b'{"a":1}') + encoder.end()
    assert msgspec.json.decode(data) == [{}, {"a": 1}]
    assert jsonarray.Encoder().end() == b"[]"
