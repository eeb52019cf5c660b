import msgspec
import pytest

from modelmux.errors import ProtocolViolation
from modelmux.ir.profile import UNKNOWN
from modelmux.wire.rerank.cohere import CohereRerank

CODEC = CohereRerank()


def no_header(name: bytes) -> None:
    return None


def test_a_request_comes_back_as_it_was():
    body = {
        "model": "m",
        "query": "q",
        "documents": ["a", "b"],
        "top_n": 1,
        "max_tokens_per_doc": 512,
        "priority": 3,
    }
    encoded = CODEC.encode_request(CODEC.decode_request(msgspec.json.encode(body)), UNKNOWN)
    assert msgspec.json.decode(encoded.body) == body
    assert encoded.losses == ()


def test_what_is_billed_is_told_on():
    raw = msgspec.json.encode(
        {
            "id": "r-1",
            "results": [{"index": 0, "relevance_score": 0.2}],
            "meta": {"billed_units": {"search_units": 2}},
        }
    )
    answer = CODEC.decode_response(raw, no_header)
    assert answer.search_units == 2
    request = CODEC.decode_request(b'{"model":"m","query":"q","documents":["a"]}')
    told = msgspec.json.decode(CODEC.encode_response(answer, request))
    assert told["meta"]["billed_units"] == {"search_units": 2}
    assert told["results"] == [{"index": 0, "relevance_score": 0.2}]
    assert CODEC.usage(raw, no_header) is None


def test_the_documents_of_the_older_api_are_given_back():
    raw = b'{"model":"m","query":"q","documents":["a"],"return_documents":true}'
    answer = CODEC.decode_response(b'{"results":[{"index":0,"relevance_score":1}]}', no_header)
    told = msgspec.json.decode(CODEC.encode_response(answer, CODEC.decode_request(raw)))
    assert told["results"][0]["document"] == {"text": "a"}


def test_an_answer_that_is_none_is_the_targets_mistake():
    with pytest.raises(ProtocolViolation):
        CODEC.decode_response(b'{"results":3}', no_header)


def test_another_model_name_leaves_the_rest_of_the_bytes():
    raw = b'{"documents":["a"], "model":"fast"}'
    assert CODEC.readdress(raw, CODEC.envelope(raw), "up") == raw.replace(b"fast", b"up")
