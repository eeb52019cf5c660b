import msgspec
import pytest

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.profile import UNKNOWN
from modelmux.ir.response import Usage
from modelmux.wire.rerank.jina import JinaRerank

CODEC = JinaRerank()
BODY = {"model": "m", "query": "q", "documents": ["a", {"text": "b"}]}


def no_header(name: bytes) -> None:
    return None


def test_the_gateway_needs_no_documents_back():
    raw = msgspec.json.encode({**BODY, "top_n": 1, "return_documents": True, "truncation": True})
    encoded = CODEC.encode_request(CODEC.decode_request(raw), UNKNOWN)
    assert msgspec.json.decode(encoded.body) == {
        "model": "m",
        "query": "q",
        "documents": ["a", "b"],
        "top_n": 1,
        "return_documents": False,
        "truncation": True,
    }


def test_documents_are_put_beside_the_scores_where_they_are_wanted():
    results = [{"index": 0, "relevance_score": 0.2}, {"index": 1, "relevance_score": 0.7}]
    raw = msgspec.json.encode({"results": results, "usage": {"total_tokens": 9}})
    answer = CODEC.decode_response(raw, no_header)
    assert answer.usage == CODEC.usage(raw, no_header) == Usage(9)
    wanted = CODEC.decode_request(msgspec.json.encode({**BODY, "return_documents": True}))
    told = msgspec.json.decode(CODEC.encode_response(answer, wanted))
    assert told["results"] == [
        {"index": 1, "relevance_score": 0.7, "document": {"text": "b"}},
        {"index": 0, "relevance_score": 0.2, "document": {"text": "a"}},
    ]
    plain = CODEC.decode_request(msgspec.json.encode(BODY))
    assert "document" not in msgspec.json.decode(CODEC.encode_response(answer, plain))["results"][0]


@pytest.mark.parametrize(
    ("fields", "param"), [({"query": 3}, "query"), ({"documents": [1]}, "documents[0]")]
)
def test_a_wrong_request_is_refused_by_the_name_of_the_field(fields: dict[str, object], param: str):
    with pytest.raises(InvalidRequest) as caught:
        CODEC.decode_request(msgspec.json.encode({**BODY, **fields}))
    assert caught.value.param == param


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"results":[{}]}'])
def test_an_answer_that_is_none_is_the_targets_mistake(raw: bytes):
    with pytest.raises(ProtocolViolation):
        CODEC.decode_response(raw, no_header)


def test_another_model_name_leaves_the_rest_of_the_bytes():
    raw = b'{"documents":["a"], "model":"fast"}'
    assert CODEC.readdress(raw, CODEC.envelope(raw), "up") == raw.replace(b"fast", b"up")
