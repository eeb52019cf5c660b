"""Laws that hold between any two APIs that have the same operation."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import GatewayError
from modelmux.ir.embeddings import EmbeddingsRequest, EmbeddingsResponse, Purpose, Vector
from modelmux.ir.parts import Text
from modelmux.ir.profile import UNKNOWN
from modelmux.ir.request import Loss
from modelmux.ir.rerank import Document, Ranked, RerankRequest, RerankResponse
from modelmux.ir.response import Usage
from modelmux.wire import anthropic_messages, openai_chat
from modelmux.wire.base import Codec
from modelmux.wire.operations import EMBEDDINGS, RERANK, envelope_reader

MODELS = {"bedrock.converse": "amazon.titan-embed-text-v2:0"}
EMBEDDERS = pytest.mark.parametrize("name", EMBEDDINGS.codecs)
RANKERS = pytest.mark.parametrize("name", RERANK.codecs)

purposes = st.sampled_from([None, "document", "query", "clustering"])
NEARLY = [
    b'{"model":"m","input":[[]]}',
    b'{"model":"m","input":[{}]}',
    b'{"model":"m","texts":null,"inputs":[{"content":[]}]}',
    b'{"content":{"parts":[]}}',
    b'{"requests":[{"content":{"parts":[]},"x":{"y":[[[]]]}}]}',
    b'{"data":[{"embedding":"AAA"}]}',
    b'{"embeddings":{"base64":[3]}}',
    b'{"records":[{"id":"\\u0663","score":1}]}',
    b"[" * 100_000,
]
AnyCodec = Codec[EmbeddingsRequest, EmbeddingsResponse] | Codec[RerankRequest, RerankResponse]

texts = st.lists(st.text(min_size=1), min_size=1, max_size=4)


def no_header(name: bytes) -> None:
    return None


def lost(losses: tuple[Loss, ...]) -> set[str]:
    return {loss.path[1:] for loss in losses}


@EMBEDDERS
@given(texts, purposes, st.none() | st.integers(1, 4096))
def test_what_is_not_declared_lost_arrives(
    name: str, texts: list[str], purpose: Purpose | None, dimensions: int | None
):
    if name == "bedrock.converse":
        texts = texts[:1]
    asked = EmbeddingsRequest(
        MODELS.get(name, "m"),
        tuple((Text(text),) for text in texts),
        purpose=purpose,
        dimensions=dimensions,
        user="u",
        wire="elsewhere",
    )
    codec = EMBEDDINGS.codecs[name]
    encoded = codec.encode_request(asked, UNKNOWN)
    heard = codec.decode_request(encoded.body)
    assert heard.inputs == asked.inputs
    for field in ("purpose", "dimensions", "user"):
        said, told = getattr(asked, field), getattr(heard, field)
        assert told == said or field in lost(encoded.losses), field


@EMBEDDERS
@given(st.lists(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False)), min_size=1))
def test_vectors_are_the_same_in_every_api(name: str, numbers: list[list[float]]):
    if name == "bedrock.converse":
        numbers = numbers[:1]
    vectors = tuple(Vector(msgspec.Raw(msgspec.json.encode(each))) for each in numbers)
    request = EmbeddingsRequest("m", tuple((Text("x"),) for _ in numbers))
    codec = EMBEDDINGS.codecs[name]
    raw = codec.encode_response(EmbeddingsResponse("m", vectors, Usage(7)), request)
    answer = codec.decode_response(raw, no_header)
    assert [msgspec.json.decode(vector.as_json()) for vector in answer.vectors] == numbers
    assert answer.usage == codec.usage(raw, no_header) == Usage(7)


CODECS = [
    pytest.param(codec, id=f"{operation}-{name}")
    for operation, family in (("embeddings", EMBEDDINGS), ("rerank", RERANK))
    for name, codec in family.codecs.items()
]


@pytest.mark.parametrize("codec", CODECS)
@given(st.binary() | st.sampled_from(NEARLY))
def test_no_bytes_make_a_codec_fail_in_another_way(codec: AnyCodec, raw: bytes):
    with suppress(GatewayError):
        codec.envelope(raw)
    with suppress(GatewayError):
        codec.decode_request(raw)
    with suppress(GatewayError):
        codec.decode_response(raw, no_header)
    with suppress(GatewayError):
        codec.usage(raw, no_header)


@RANKERS
@given(st.lists(st.text(min_size=1), min_size=1, max_size=5), st.none() | st.integers(1, 9))
def test_documents_arrive_and_scores_come_back(name: str, texts: list[str], top_n: int | None):
    codec = RERANK.codecs[name]
    asked = RerankRequest(
        "m", "q", tuple(Document(text) for text in texts), top_n, wire="elsewhere"
    )
    heard = codec.decode_request(codec.encode_request(asked, UNKNOWN).body)
    assert (heard.query, heard.top_n) == ("q", top_n)
    assert [each.text for each in heard.documents] == texts
    ranked = tuple(Ranked(index, 1 / (index + 1)) for index in range(len(texts)))
    raw = codec.encode_response(RerankResponse("m", ranked), asked)
    assert codec.decode_response(raw, no_header).results == ranked[:top_n]


def test_an_envelope_is_read_as_the_operation_has_it():
    raw = b'{"model":"m","input":"x","stream":3}'
    assert envelope_reader(openai_chat.WIRE, "embeddings")(raw).model == "m"
    body = b'{"model":"m","messages":[],"stream":true}'
    assert envelope_reader(openai_chat.WIRE, "chat")(body).stream
    assert envelope_reader(anthropic_messages.WIRE, "count_tokens")(body).model == "m"
    assert envelope_reader(openai_chat.WIRE, "rerank")(b'{"model":"r"}').model == "r"
