import msgspec
import pytest

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.embeddings import EmbeddingsRequest
from modelmux.ir.parts import Text
from modelmux.ir.profile import UNKNOWN
from modelmux.ir.response import Usage
from modelmux.wire.embeddings.bedrock import BedrockEmbeddings
from modelmux.wire.embeddings.cohere import TOKENS_HEADER

CODEC = BedrockEmbeddings()
TITAN, COHERE = "amazon.titan-embed-text-v2:0", "us.cohere.embed-v4:0"


def no_header(name: bytes) -> None:
    return None


def request(model: str, *texts: str, **fields: object) -> EmbeddingsRequest:
    inputs = tuple((Text(text),) for text in texts)
    return EmbeddingsRequest(model, inputs, wire="openai.chat", **fields)  # type: ignore[arg-type]


def test_titan_takes_one_text():
    encoded = CODEC.encode_request(request(TITAN, "a", dimensions=256), UNKNOWN)
    assert msgspec.json.decode(encoded.body) == {"inputText": "a", "dimensions": 256}
    with pytest.raises(InvalidRequest, match="one text"):
        CODEC.encode_request(request(TITAN, "a", "b"), UNKNOWN)


def test_coheres_models_take_coheres_fields():
    encoded = CODEC.encode_request(request(COHERE, "a", "b", purpose="query"), UNKNOWN)
    assert msgspec.json.decode(encoded.body) == {
        "texts": ["a", "b"],
        "input_type": "search_query",
        "embedding_types": ["float"],
    }


def test_a_request_of_titans_comes_back_as_it_was():
    fields = {"inputText": "a", "dimensions": 9, "normalize": False, "embeddingTypes": ["binary"]}
    decoded = CODEC.decode_request(msgspec.json.encode(fields))
    named = msgspec.structs.replace(decoded, model=TITAN)
    assert msgspec.json.decode(CODEC.encode_request(named, UNKNOWN).body) == fields


def test_each_makers_answer_is_read():
    titan = CODEC.decode_response(b'{"embedding":[1,2],"inputTextTokenCount":3}', no_header)
    assert ([bytes(v.as_json()) for v in titan.vectors], titan.usage) == ([b"[1,2]"], Usage(3))
    raw = b'{"embeddings":{"float":[[1],[2]]},"id":"x"}'
    cohere = CODEC.decode_response(raw, {TOKENS_HEADER: b"5"}.get)
    assert ([bytes(v.as_json()) for v in cohere.vectors], cohere.usage) == (
        [b"[1]", b"[2]"],
        Usage(5),
    )
    assert CODEC.usage(raw, {TOKENS_HEADER: b"5"}.get) == Usage(5)
    assert CODEC.usage(raw, no_header) is None


def test_an_answer_is_titans():
    answer = CODEC.decode_response(b'{"embedding":[1],"inputTextTokenCount":3}', no_header)
    told = CODEC.encode_response(answer, CODEC.decode_request(b'{"inputText":"a"}'))
    assert told == b'{"embedding":[1],"inputTextTokenCount":3}'


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"embedding":3,"inputTextTokenCount":"x"}'])
def test_an_answer_that_is_none_is_the_targets_mistake(raw: bytes):
    with pytest.raises(ProtocolViolation):
        CODEC.decode_response(raw, no_header)
