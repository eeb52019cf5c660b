import msgspec
import pytest

from modelmux.wire.openai_responses import schema


def test_the_fields_without_a_neutral_word_are_those_of_the_api():
    assert {"previous_response_id", "store", "truncation", "include"} <= set(schema.OWN_FIELDS)
    assert "input" not in schema.OWN_FIELDS
    assert "tools" not in schema.OWN_FIELDS


@pytest.mark.parametrize(
    "item",
    [
        b'{"role":"user","content":"a","type":"message"}',
        b'{"role":"user","content":["a"]}',
        b'{"role":"tool","content":"a"}',
        b'{"content":"a"}',
    ],
)
def test_an_item_with_more_than_a_string_is_not_taken_for_plain(item: bytes):
    with pytest.raises(msgspec.ValidationError):
        schema.plain_item.decode(item)


def test_another_event_is_not_taken_for_a_piece_of_text():
    with pytest.raises(msgspec.ValidationError):
        schema.text_delta.decode(b'{"type":"response.refusal.delta","delta":"a"}')
