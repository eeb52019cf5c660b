import msgspec
import pytest

from modelmux.wire.cohere_chat import schema


def test_an_event_may_say_as_little_as_its_type():
    assert msgspec.json.decode(b'{"type":"content-end"}', type=schema.Event).delta is None


def test_counts_may_have_a_fraction():
    raw = b'{"tokens":{"input_tokens":7.0}}'
    found = msgspec.json.decode(raw, type=schema.Usage)
    assert found.tokens == schema.Tokens(7.0)


def test_a_role_that_there_is_not_is_refused():
    with pytest.raises(msgspec.ValidationError, match="role"):
        msgspec.json.decode(b'{"role":"developer"}', type=schema.Message)
