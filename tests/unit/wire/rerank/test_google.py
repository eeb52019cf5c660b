import msgspec
import pytest

from modelmux.errors import ProtocolViolation
from modelmux.ir.profile import UNKNOWN
from modelmux.wire.rerank.google import GoogleRerank

CODEC = GoogleRerank()
BODY = {
    "model": "m",
    "query": "q",
    "records": [{"id": "doc-a", "content": "a"}, {"id": "doc-b", "content": "b", "title": "B"}],
}


def no_header(name: bytes) -> None:
    return None


def test_documents_are_sent_by_their_place():
    request = CODEC.decode_request(msgspec.json.encode({**BODY, "topN": 1, "userLabels": {}}))
    sent = msgspec.json.decode(CODEC.encode_request(request, UNKNOWN).body)
    assert sent == {
        "model": "m",
        "query": "q",
        "records": [{"id": "0", "content": "a"}, {"id": "1", "content": "b", "title": "B"}],
        "ignoreRecordDetailsInResponse": True,
        "topN": 1,
        "userLabels": {},
    }


def test_an_answer_has_the_callers_ids_and_what_was_asked_to_be_shown():
    raw = b'{"records":[{"id":"1","score":0.9},{"id":"0","score":0.1}]}'
    answer = CODEC.decode_response(raw, no_header)
    told = CODEC.encode_response(answer, CODEC.decode_request(msgspec.json.encode(BODY)))
    assert msgspec.json.decode(told)["records"] == [
        {"id": "doc-b", "score": 0.9, "content": "b", "title": "B"},
        {"id": "doc-a", "score": 0.1, "content": "a"},
    ]
    bare = {**BODY, "ignoreRecordDetailsInResponse": True}
    told = CODEC.encode_response(answer, CODEC.decode_request(msgspec.json.encode(bare)))
    assert msgspec.json.decode(told)["records"][0] == {"id": "doc-b", "score": 0.9}
    assert CODEC.usage(raw, no_header) is None


@pytest.mark.parametrize("raw", [b"", b"{}", b'{"records":[{"id":"x","score":1}]}'])
def test_an_answer_that_is_none_is_the_targets_mistake(raw: bytes):
    with pytest.raises(ProtocolViolation):
        CODEC.decode_response(raw, no_header)


def test_another_model_name_leaves_the_rest_of_the_bytes():
    raw = b'{"records":[], "model":"fast"}'
    assert CODEC.readdress(raw, CODEC.envelope(raw), "up") == raw.replace(b"fast", b"up")
