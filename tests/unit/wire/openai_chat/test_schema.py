import msgspec
import pytest
from msgspec import Raw

from modelmux.wire.openai_chat import schema


@pytest.mark.parametrize(
    ("raw", "present"), [(b"", False), (b"null", False), (b"0", True), (b'"null"', True)]
)
def test_a_null_is_as_good_as_no_field(raw: bytes, present: bool) -> None:
    assert schema.present(Raw(raw)) is present


def test_what_is_no_object_has_no_fields() -> None:
    assert schema.fields_of(b'{"a":1}') == {"a": Raw(b"1")}
    for raw in (b"[1]", b"", b"{", b'{"\xff":1}'):
        assert schema.fields_of(raw) == {}


@pytest.mark.parametrize(
    "chunk",
    [
        b'{"choices":[{"delta":{"content":"x","tool_calls":[]}}]}',
        b'{"choices":[{"delta":{"content":"x"},"finish_reason":"stop"}]}',
        b'{"choices":[{"delta":{"content":"x"},"logprobs":{}}]}',
        b'{"choices":[{"delta":{"content":"x"},"index":1}]}',
        b'{"choices":[{"delta":{"content":"x"}},{"delta":{}}]}',
        b'{"choices":[{"delta":{"content":"x"}}],"usage":{}}',
        b'{"choices":[{"delta":{"content":"x"}}],"error":{}}',
        b'{"choices":[{"delta":{"content":"x","future":1}}]}',
        b'{"choices":[]}',
        b'{"error":{}}',
    ],
)
def test_a_chunk_with_more_than_text_is_not_taken_for_plain(chunk: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        schema.plain_chunk.decode(chunk)


@pytest.mark.parametrize("reason", [b"", b',"finish_reason":null', b',"finish_reason":""'])
def test_a_chunk_of_text_alone_is_plain(reason: bytes) -> None:
    chunk = b'{"id":"1","choices":[{"index":0,"delta":{"content":"x"}%b}],"usage":null}' % reason
    assert schema.plain_chunk.decode(chunk).choices[0].delta.content == "x"
