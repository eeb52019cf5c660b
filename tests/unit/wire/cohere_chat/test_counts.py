import msgspec
import pytest
from msgspec import Raw

from modelmux.errors import ProtocolViolation
from modelmux.ir.response import NO_USAGE, FinishReason, Usage
from modelmux.wire.cohere_chat import counts
from tests.support.cases import case


@case(80)
def test_what_is_paid_for_counts():
    raw = b'{"billed_units":{"input_tokens":3.0,"output_tokens":2},"tokens":{"input_tokens":70},"cached_tokens":1}'  # noqa: E501
    found = counts.decode(Raw(raw))
    assert (found.input_tokens, found.output_tokens, found.cache_read_input_tokens) == (3, 2, 1)
    assert msgspec.json.encode(counts.encode(found)) == raw


def test_what_the_model_read_counts_where_nothing_else_is_said():
    found = counts.decode(Raw(b'{"tokens":{"input_tokens":70,"output_tokens":9}}'))
    assert (found.input_tokens, found.output_tokens) == (70, 9)


@pytest.mark.parametrize("raw", [b"", b"null"])
def test_no_counts_are_none(raw: bytes):
    assert counts.decode(Raw(raw)) == NO_USAGE


def test_counts_that_cannot_be_read_are_named():
    with pytest.raises(ProtocolViolation, match="usage"):
        counts.decode(Raw(b'{"tokens":"many"}'))


def test_counts_of_others():
    said = counts.encode(Usage(5, 2, 1))
    tokens = {"input_tokens": 5, "output_tokens": 2}
    assert said == {"billed_units": tokens, "tokens": tokens, "cached_tokens": 1}


@case(73)
@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("COMPLETE", "stop"),
        ("STOP_SEQUENCE", "stop"),
        ("MAX_TOKENS", "length"),
        ("TOOL_CALL", "tool_call"),
        ("ERROR", "error"),
        ("TIMEOUT", "error"),
        ("LATER", "stop"),
    ],
)
def test_reasons_of_an_end(word: str, reason: FinishReason):
    assert counts.reason(word) == reason
    kept = counts.spelling(word)
    back = counts.said(reason, None, called=False) if kept is None else msgspec.json.decode(kept)
    assert back == word


@case(48, 74)
@pytest.mark.parametrize(
    ("stop_sequence", "called", "word"),
    [(None, False, "COMPLETE"), ("X", False, "STOP_SEQUENCE"), (None, True, "TOOL_CALL")],
)
def test_a_stop_may_have_three_causes(stop_sequence: str | None, called: bool, word: str):
    assert counts.said("stop", stop_sequence, called) == word


def test_an_answer_that_was_held_back_is_complete():
    assert counts.said("content_filter", None, called=False) == "COMPLETE"
