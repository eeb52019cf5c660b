import msgspec
import pytest

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.embeddings import EmbeddingsRequest, TokenIds
from modelmux.ir.parts import Text
from modelmux.ir.profile import UNKNOWN
from modelmux.ir.response import Usage
from modelmux.wire.embeddings.openai import OpenAIEmbeddings
from tests.support.cases import case

CODEC = OpenAIEmbeddings()


def no_header(name: bytes) -> None:
    return None


def body(**fields: object) -> bytes:
    return msgspec.json.encode({"model": "m", "input": "hi", **fields})


def encoded(request: EmbeddingsRequest) -> dict[str, object]:
    return msgspec.json.decode(CODEC.encode_request(request, UNKNOWN).body)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"input": ["a", "b"]},
        {"input": [1, 2, 3]},
        {"input": [[1, 2], [3]]},
        {"encoding_format": "base64", "dimensions": 256, "user": "u-1"},
        {"input_type": "passage"},
        {"input_type": "something new", "truncate": "END", "nested": {"a": [1]}},
    ],
    ids=str,
)
def test_a_request_comes_back_as_it_was(fields: dict[str, object]):
    request = CODEC.decode_request(body(**fields))
    assert encoded(request) == {"model": "m", "input": "hi", **fields}
    assert CODEC.encode_request(request, UNKNOWN).losses == ()


@case(53)
def test_an_explicit_null_is_not_passed_on():
    request = CODEC.decode_request(body(encoding_format=None, dimensions=None, user=None))
    assert encoded(request) == {"model": "m", "input": "hi"}


def test_tokens_are_told_from_texts():
    assert CODEC.decode_request(body(input=[1, 2])).inputs == (TokenIds(msgspec.Raw(b"[1,2]")),)
    assert CODEC.decode_request(body(input=["1", "2"])).inputs == ((Text("1"),), (Text("2"),))


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"input": 3}, "input"),
        ({"input": None}, "input"),
        ({"input": []}, "input"),
        ({"input": ["a", 3]}, "input[1]"),
        ({"input": [{"a": 1}]}, "input[0]"),
        ({"dimensions": "many"}, "dimensions"),
        ({"encoding_format": "int8"}, "encoding_format"),
        ({"input": ["a"] * 10_001}, "input"),
    ],
    ids=str,
)
def test_a_wrong_request_is_refused_by_the_name_of_the_field(fields: dict[str, object], path: str):
    with pytest.raises(InvalidRequest) as caught:
        CODEC.decode_request(body(**fields))
    assert caught.value.param == path
    assert path in caught.value.message


def test_vectors_are_put_in_the_order_of_the_request():
    items = [{"embedding": [2], "index": 1}, {"embedding": [1], "index": 0}]
    raw = msgspec.json.encode({"data": items, "model": "up", "usage": {"prompt_tokens": 3}})
    answer = CODEC.decode_response(raw, no_header)
    assert [bytes(vector.as_json()) for vector in answer.vectors] == [b"[1]", b"[2]"]
    assert answer.usage == Usage(3)
    assert CODEC.usage(raw, no_header) == Usage(3)


def test_a_vector_in_base64_is_given_in_the_form_that_was_asked_for():
    raw = b'{"data":[{"embedding":"AACAPwAAAEA=","index":0}],"model":"up"}'
    answer = CODEC.decode_response(raw, no_header)
    floats = CODEC.encode_response(answer, CODEC.decode_request(body()))
    assert msgspec.json.decode(floats)["data"][0]["embedding"] == [1.0, 2.0]
    packed = CODEC.encode_response(answer, CODEC.decode_request(body(encoding_format="base64")))
    assert msgspec.json.decode(packed)["data"][0]["embedding"] == "AACAPwAAAEA="


@pytest.mark.parametrize("raw", [b"", b"[]", b'{"data":3}', b'{"data":[{}]}', b"\xff"])
def test_an_answer_that_is_none_is_the_targets_mistake(raw: bytes):
    with pytest.raises(ProtocolViolation):
        CODEC.decode_response(raw, no_header)


def test_another_model_name_leaves_the_rest_of_the_bytes():
    raw = b'{ "input": "hi",  "model":"fast", "user":"u" }'
    envelope = CODEC.envelope(raw)
    assert envelope.model == "fast"
    assert CODEC.readdress(raw, envelope, "up") == raw.replace(b"fast", b"up")
