import struct
from base64 import b64encode

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from modelmux.errors import InvalidRequest, ProtocolViolation
from modelmux.ir.embeddings import (
    EmbeddingsRequest,
    EmbeddingsResponse,
    TokenIds,
    Vector,
    joined,
    split,
    text_of,
    unpacked,
)
from modelmux.ir.parts import Text, Uri
from modelmux.ir.response import Usage

singles = st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), max_size=20)


def request(*texts: str, titles: tuple[str | None, ...] = ()) -> EmbeddingsRequest:
    return EmbeddingsRequest("m", tuple((Text(text),) for text in texts), titles=titles)


@given(singles)
def test_packed_numbers_are_the_same_numbers_as_json(numbers: list[float]):
    packed = b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
    as_json = unpacked(packed).as_json()
    assert msgspec.json.decode(as_json) == numbers
    assert Vector(as_json).as_base64() == packed


def test_numbers_that_came_as_json_leave_as_they_came():
    raw = Raw(b"[0.10000000000000001, 2e-3]")
    assert Vector(raw).as_json() == raw


@pytest.mark.parametrize("text", ["no base64!", b64encode(b"abc").decode()])
def test_what_is_not_a_vector_is_the_targets_mistake(text: str):
    with pytest.raises(ProtocolViolation):
        unpacked(text)


def test_numbers_that_json_has_not_are_the_targets_mistake():
    packed = b64encode(struct.pack("<2f", 1.0, float("nan"))).decode()
    with pytest.raises(ProtocolViolation, match="not finite"):
        unpacked(packed).as_json()


def test_words_are_no_vector():
    with pytest.raises(ProtocolViolation, match="numbers"):
        Vector(Raw(b'["a"]')).as_base64()


@given(st.integers(1, 30), st.integers(0, 10))
def test_a_split_request_asks_for_everything_once_and_in_order(count: int, most: int):
    whole = request(*map(str, range(count)), titles=tuple(str(n) for n in range(count)))
    parts = split(whole, most)
    assert [each for part in parts for each in part.inputs] == list(whole.inputs)
    assert [each for part in parts for each in part.titles] == list(whole.titles)
    assert all(len(part.inputs) <= (most or count) for part in parts)


def test_joined_answers_are_in_order_and_cost_together():
    first = EmbeddingsResponse("up", (Vector(Raw(b"[1]")), Vector(Raw(b"[2]"))), Usage(3), "id-1")
    second = EmbeddingsResponse("up", (Vector(Raw(b"[3]")),), Usage(4), "id-2")
    whole = joined([first, second], request("a", "b", "c"))
    assert [bytes(vector.as_json()) for vector in whole.vectors] == [b"[1]", b"[2]", b"[3]"]
    assert whole.usage == Usage(7)


def test_a_missing_vector_is_not_made_up():
    with pytest.raises(ProtocolViolation, match="expected 2 vectors, got 1"):
        joined([EmbeddingsResponse("m", (Vector(Raw(b"[1]")),))], request("a", "b"))


def test_usage_that_nobody_told_is_estimated_and_says_so():
    answer = joined([EmbeddingsResponse("m", (Vector(Raw(b"[1]")),))], request("x" * 400))
    assert answer.usage == Usage(100, estimated=True)


def test_token_ids_and_media_are_no_text():
    assert text_of((Text("a"), Text("b")), "input", "w") == "ab"
    with pytest.raises(InvalidRequest, match="token ids"):
        text_of(TokenIds(Raw(b"[1]")), "input[0]", "w")
    with pytest.raises(InvalidRequest, match="media"):
        text_of((Uri("image", "https://x/y.png"),), "input[0]", "w")
