import msgspec
import pytest

from modelmux.errors import ProtocolViolation
from modelmux.ir.response import NO_USAGE, Usage
from modelmux.wire.bedrock_converse import counts, schema
from tests.support.cases import case


@case(80)
def test_cached_tokens_are_part_of_the_prompt_in_the_neutral_model():
    said = {
        "inputTokens": 5,
        "outputTokens": 2,
        "cacheReadInputTokens": 100,
        "cacheWriteInputTokens": 30,
        "cacheDetails": [{"ttl": "1h", "inputTokens": 10}, {"ttl": "5m", "inputTokens": 20}],
    }
    found = counts.read(msgspec.Raw(msgspec.json.encode(said)))
    assert found is not None
    assert (found.input_tokens, found.output_tokens) == (135, 2)
    assert found.cache_read_input_tokens == 100
    assert found.cache_creation_input_tokens == 30
    assert found.cache_creation_1h_input_tokens == 10


def test_another_wires_counts_are_said_in_full():
    usage = Usage(135, 2, 100, 30, 10)
    assert counts.encode(usage) == {
        "inputTokens": 5,
        "outputTokens": 2,
        "totalTokens": 137,
        "cacheReadInputTokens": 100,
        "cacheWriteInputTokens": 30,
        "cacheDetails": [{"ttl": "5m", "inputTokens": 20}, {"ttl": "1h", "inputTokens": 10}],
    }


def test_no_counts_are_none():
    assert counts.decode(None) is NO_USAGE
    assert counts.read(msgspec.Raw(b"null")) is None


def test_counts_that_are_none_are_a_violation():
    with pytest.raises(ProtocolViolation):
        counts.read(msgspec.Raw(b'{"inputTokens":"five"}'))


def test_a_detail_of_a_later_form_does_not_hide_the_total():
    usage = schema.TokenUsage(1, 1, None, None, 9, msgspec.Raw(b'"new"'))
    assert counts.decode(usage).cache_creation_input_tokens == 9


@case(73)
@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("tool_use", "tool_call"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("guardrail_intervened", "content_filter"),
        ("content_filtered", "content_filter"),
        ("malformed_tool_use", "error"),
        ("a_later_word", "stop"),
    ],
)
def test_every_reason_has_a_neutral_word(word: str, reason: str):
    assert counts.reason(word) == reason


@case(74)
def test_a_plain_stop_with_a_call_is_a_call():
    assert counts.said("stop", None, called=True) == "tool_use"
    assert counts.said("stop", "END", called=False) == "stop_sequence"
    assert counts.said("length", None, called=True) == "max_tokens"
