import msgspec
import pytest

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.embeddings import EmbeddingsRequest, TokenIds
from modelmux.ir.parts import Blob, Text, Uri
from modelmux.ir.profile import UNKNOWN
from modelmux.ir.response import NO_USAGE, Usage
from modelmux.wire.embeddings.cohere import TOKENS_HEADER, CohereEmbeddings

CODEC = CohereEmbeddings()


def no_header(name: bytes) -> None:
    return None


def body(**fields: object) -> bytes:
    return msgspec.json.encode({"model": "m", **fields})


def encoded(request: EmbeddingsRequest) -> dict[str, object]:
    return msgspec.json.decode(CODEC.encode_request(request, UNKNOWN).body)


@pytest.mark.parametrize(
    "fields",
    [
        {"texts": ["a", "b"], "input_type": "search_query", "embedding_types": ["float"]},
        {"texts": ["a"], "embedding_types": ["base64"], "output_dimension": 512},
        {"texts": ["a"], "embedding_types": ["int8", "float"], "truncate": "START"},
        {"texts": ["a"], "embedding_types": ["float"], "input_type": "new one", "max_tokens": 9},
        {
            "inputs": [
                {
                    "content": [
                        {"type": "text", "text": "a"},
                        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                    ]
                }
            ],
            "input_type": "search_document",
            "embedding_types": ["float"],
        },
    ],
    ids=str,
)
def test_a_request_comes_back_as_it_was(fields: dict[str, object]):
    request = CODEC.decode_request(body(**fields))
    assert encoded(request) == {"model": "m", **fields}
    assert CODEC.encode_request(request, UNKNOWN).losses == ()


def test_images_are_inputs():
    urls = ["data:image/png;base64,AAAA", "https://example.org/a.png"]
    request = CODEC.decode_request(body(images=urls))
    image, address = request.inputs
    assert image == (Blob("image", "image/png", "AAAA"),)
    assert address == (Uri("image", urls[1]),)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({}, "texts"),
        ({"texts": ["a"], "images": []}, "texts"),
        ({"texts": []}, "texts"),
        ({"images": ["data:nonsense"]}, "images[0]"),
        ({"inputs": [{"content": [{"type": "song"}]}]}, "inputs[0].content[0]"),
    ],
    ids=str,
)
def test_a_wrong_request_is_refused_by_the_name_of_the_field(fields: dict[str, object], path: str):
    with pytest.raises(InvalidRequest) as caught:
        CODEC.decode_request(body(**fields))
    assert caught.value.param == path


def test_a_purpose_is_assumed_for_those_who_cannot_say_one_and_this_is_told():
    request = EmbeddingsRequest("m", ((Text("a"),),), wire="openai.chat")
    assert encoded(request)["input_type"] == "search_document"
    (loss,) = CODEC.encode_request(request, UNKNOWN).losses
    assert (loss.path, loss.kind) == ("/purpose", "tuning")


def test_vectors_of_other_kinds_are_content_that_no_other_api_has():
    request = CODEC.decode_request(body(texts=["a"], embedding_types=["ubinary"]))
    assert request.extra is not None
    assert request.extra.content == {"/embedding_types"}


def test_token_ids_are_refused():
    request = EmbeddingsRequest("m", (TokenIds(msgspec.Raw(b"[1]")),), wire="openai.chat")
    with pytest.raises(InvalidRequest, match="token ids"):
        CODEC.encode_request(request, UNKNOWN)


@pytest.mark.parametrize(
    "embeddings", [{"float": [[1.0, 2.0]]}, {"base64": ["AACAPwAAAEA="]}, [[1.0, 2.0]]], ids=str
)
def test_vectors_come_in_several_shapes(embeddings: object):
    raw = msgspec.json.encode({"id": "e-1", "embeddings": embeddings})
    answer = CODEC.decode_response(raw, no_header)
    assert [msgspec.json.decode(vector.as_json()) for vector in answer.vectors] == [[1.0, 2.0]]
    assert answer.usage is NO_USAGE


def test_tokens_are_in_the_answer_or_on_bedrock_in_a_header():
    raw = b'{"embeddings":{"float":[[1]]},"meta":{"billed_units":{"input_tokens":5}}}'
    assert CODEC.usage(raw, no_header) == Usage(5)
    bare = b'{"embeddings":[[1]]}'
    assert CODEC.usage(bare, {TOKENS_HEADER: b"7"}.get) == Usage(7)
    assert CODEC.usage(bare, no_header) is None


def test_an_answer_has_the_texts_and_what_is_billed():
    request = CODEC.decode_request(body(texts=["a"], embedding_types=["base64"]))
    raw = b'{"embeddings":{"float":[[1.0,2.0]]},"meta":{"billed_units":{"input_tokens":5}}}'
    answer = CODEC.decode_response(raw, no_header)
    told = msgspec.json.decode(CODEC.encode_response(answer, request))
    assert told["embeddings"] == {"base64": ["AACAPwAAAEA="]}
    assert told["texts"] == ["a"]
    assert told["meta"]["billed_units"] == {"input_tokens": 5}


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"embeddings":3}', b'{"embeddings":{"float":3}}'])
def test_an_answer_that_is_none_is_the_targets_mistake(raw: bytes):
    with pytest.raises(ProtocolViolation):
        CODEC.decode_response(raw, no_header)
