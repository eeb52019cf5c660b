import msgspec
import pytest

from modelmux.wire.openai_chat import schema


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
