import msgspec
import pytest

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.embeddings import EmbeddingsRequest
from modelmux.ir.parts import Blob, Text, Uri
from modelmux.ir.profile import Profile
from modelmux.ir.response import Usage
from modelmux.wire.embeddings.gemini import GeminiEmbeddings

CODEC = GeminiEmbeddings()
BATCH, PREDICT = Profile(), Profile(embeddings="predict")


def no_header(name: bytes) -> None:
    return None


def one(text: str = "a", **fields: object) -> dict[str, object]:
    return {"model": "models/m", "content": {"parts": [{"text": text}]}, **fields}


def decoded(value: object) -> EmbeddingsRequest:
    request = CODEC.decode_request(msgspec.json.encode(value))
    return msgspec.structs.replace(request, model="m")


def encoded(request: EmbeddingsRequest, profile: Profile = BATCH) -> dict[str, object]:
    return msgspec.json.decode(CODEC.encode_request(request, profile).body)


def test_a_batch_comes_back_as_it_was():
    fields = {"taskType": "RETRIEVAL_DOCUMENT", "outputDimensionality": 256}
    batch = {"requests": [one("a", title="A", **fields), one("b", **fields)]}
    assert encoded(decoded(batch)) == batch


def test_one_text_is_asked_for_in_a_batch_and_answered_alone():
    request = decoded(one("a", taskType="CLUSTERING"))
    assert request.bare
    assert encoded(request) == {"requests": [one("a", taskType="CLUSTERING")]}
    answer = CODEC.decode_response(b'{"embeddings":[{"values":[1]}]}', no_header)
    told = msgspec.json.decode(CODEC.encode_response(answer, request))
    assert told == {"embedding": {"values": [1]}}


def test_vertex_asks_in_other_words():
    request = decoded({"requests": [one("a", taskType="RETRIEVAL_QUERY", outputDimensionality=9)]})
    assert encoded(msgspec.structs.replace(request, truncate="end"), PREDICT) == {
        "instances": [{"content": "a", "task_type": "RETRIEVAL_QUERY"}],
        "parameters": {"outputDimensionality": 9, "autoTruncate": True},
    }
    values = {"values": [1, 2], "statistics": {"token_count": 3, "truncated": False}}
    raw = msgspec.json.encode({"predictions": [{"embeddings": values}] * 2})
    answer = CODEC.decode_response(raw, no_header)
    assert [bytes(vector.as_json()) for vector in answer.vectors] == [b"[1,2]"] * 2
    assert answer.usage == Usage(6)
    assert CODEC.usage(raw, no_header) == Usage(6)


def test_media_are_inputs():
    parts = [
        {"text": "a"},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"fileData": {"fileUri": "gs://b/c", "mimeType": "video/mp4"}},
    ]
    request = decoded({"model": "models/m", "content": {"parts": parts}})
    assert request.inputs == (
        (Text("a"), Blob("image", "image/png", "AAAA"), Uri("video", "gs://b/c", "video/mp4")),
    )
    (asked,) = msgspec.json.decode(CODEC.encode_request(request, BATCH).body)["requests"]
    assert asked["content"]["parts"] == parts


def test_requests_that_differ_cannot_be_one():
    with pytest.raises(InvalidRequest, match=r"requests\[1\]") as caught:
        decoded({"requests": [one(), one(taskType="CLUSTERING")]})
    assert caught.value.param == "requests[1]"


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ({"requests": []}, "requests"),
        ({"requests": [{}]}, "requests[0].content"),
        ({"content": {"parts": [{}]}}, "content.parts[0]"),
        ({"content": 3}, "content"),
    ],
    ids=str,
)
def test_a_wrong_request_is_refused_by_the_name_of_the_field(value: object, path: str):
    with pytest.raises(InvalidRequest) as caught:
        decoded(value)
    assert caught.value.param == path


def test_a_renamed_model_is_renamed_in_every_request():
    batch = {"requests": [one("a", extra=1), one("b")]}
    raw = msgspec.json.encode(batch)
    envelope = msgspec.structs.replace(CODEC.envelope(raw), model="m")
    assert CODEC.readdress(raw, envelope, "m") == raw
    sent = msgspec.json.decode(CODEC.readdress(raw, envelope, "up"))
    assert [each["model"] for each in sent["requests"]] == ["models/up"] * 2
    assert sent["requests"][0]["extra"] == 1


def test_usage_is_read_where_it_is_told():
    raw = b'{"embedding":{"values":[1]},"usageMetadata":{"promptTokenCount":4}}'
    assert CODEC.usage(raw, no_header) == Usage(4)
    assert CODEC.usage(b'{"embedding":{"values":[1]}}', no_header) is None


def test_an_answer_that_is_none_is_the_targets_mistake():
    with pytest.raises(ProtocolViolation):
        CODEC.decode_response(b'{"embeddings":[{}]}', no_header)
