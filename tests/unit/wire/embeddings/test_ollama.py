import msgspec
import pytest

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.profile import UNKNOWN
from modelmux.ir.response import Usage
from modelmux.wire.embeddings.ollama import OllamaEmbeddings

CODEC = OllamaEmbeddings()


def no_header(name: bytes) -> None:
    return None


@pytest.mark.parametrize(
    "fields",
    [
        {"input": "a"},
        {"input": ["a", "b"], "truncate": False, "dimensions": 8},
        {"input": ["a"], "truncate": True, "keep_alive": "5m", "options": {"num_ctx": 9}},
    ],
    ids=str,
)
def test_a_request_comes_back_as_it_was(fields: dict[str, object]):
    raw = msgspec.json.encode({"model": "m", **fields})
    encoded = CODEC.encode_request(CODEC.decode_request(raw), UNKNOWN)
    assert msgspec.json.decode(encoded.body) == {"model": "m", **fields}
    assert encoded.losses == ()


def test_the_older_form_is_told_apart_and_answered_in_its_shape():
    raw = b'{"model":"m","prompt":"a"}'
    assert CODEC.envelope(raw).spelling
    assert not CODEC.envelope(b'{"model":"m","input":"a"}').spelling
    request = CODEC.decode_request(raw)
    sent = CODEC.encode_request(request, UNKNOWN).body
    assert msgspec.json.decode(sent) == {"model": "m", "input": "a"}
    answer = CODEC.decode_response(b'{"embeddings":[[1,2]],"prompt_eval_count":3}', no_header)
    assert answer.usage == Usage(3)
    assert CODEC.encode_response(answer, request) == b'{"embedding":[1,2]}'


def test_an_answer_has_all_vectors():
    request = CODEC.decode_request(b'{"model":"m","input":["a","b"]}')
    raw = b'{"model":"up","embeddings":[[1],[2]],"prompt_eval_count":3}'
    answer = CODEC.decode_response(raw, no_header)
    told = msgspec.json.decode(CODEC.encode_response(answer, request))
    assert told == {"model": "m", "embeddings": [[1], [2]], "prompt_eval_count": 3}
    assert CODEC.usage(raw, no_header) == Usage(3)
    assert CODEC.usage(b"{}", no_header) is None


@pytest.mark.parametrize(("raw", "path"), [(b'{"model":"m"}', "input"), (b'{"model":3}', "model")])
def test_a_wrong_request_is_refused_by_the_name_of_the_field(raw: bytes, path: str):
    with pytest.raises(InvalidRequest) as caught:
        CODEC.decode_request(raw)
    assert caught.value.param == path


def test_an_answer_that_is_none_is_the_targets_mistake():
    with pytest.raises(ProtocolViolation):
        CODEC.decode_response(b'{"embeddings":3}', no_header)
