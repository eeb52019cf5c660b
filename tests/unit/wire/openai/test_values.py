import pytest
from msgspec import Raw

from modelmux.wire.openai import values


@pytest.mark.parametrize(
    ("raw", "present"), [(b"", False), (b"null", False), (b"0", True), (b'"null"', True)]
)
def test_a_null_is_as_good_as_no_field(raw: bytes, present: bool) -> None:
    assert values.present(Raw(raw)) is present


def test_what_is_no_object_has_no_fields() -> None:
    assert values.fields_of(b'{"a":1}') == {"a": Raw(b"1")}
    for raw in (b"[1]", b"", b"{", b'{"\xff":1}'):
        assert values.fields_of(raw) == {}


def test_what_is_no_list_has_no_items() -> None:
    assert values.items_of(b"[1,2]") == [Raw(b"1"), Raw(b"2")]
    assert values.items_of(b"{}") == []
