import pytest

from modelmux.wire.anthropic_messages import finish
from tests.support.cases import case


@case(73)
@pytest.mark.parametrize(
    ("stop_reason", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("compaction", "stop"),
        ("tool_use", "tool_call"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "content_filter"),
        (None, "stop"),
        ("of a later version", "stop"),
    ],
)
def test_stop_reasons_have_neutral_words(stop_reason, reason):
    assert finish.neutral(stop_reason) == reason


@case(73)
@pytest.mark.parametrize(
    ("reason", "stop_reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_call", "tool_use"),
        ("content_filter", "refusal"),
        ("error", "end_turn"),
    ],
)
def test_neutral_words_have_stop_reasons(reason, stop_reason):
    assert finish.said(reason, None) == stop_reason


@case(48)
def test_a_stop_at_a_sequence_of_the_callers_says_so():
    assert finish.said("stop", "END") == "stop_sequence"


@case(73)
def test_a_plain_stop_after_a_tool_call_is_a_tool_call():
    assert finish.said("stop", None, called=True) == "tool_use"
    assert finish.said("length", None, called=True) == "max_tokens"


@case(76)
def test_a_plain_stop_after_a_refusal_is_a_refusal():
    assert finish.said("stop", None, refused=True) == "refusal"


@case(73)
@pytest.mark.parametrize(
    ("stop_reason", "stop_sequence", "kept"),
    [
        ("end_turn", None, None),
        ("end_turn", "x", b'"end_turn"'),
        ("stop_sequence", "x", None),
        ("stop_sequence", None, b'"stop_sequence"'),
        ("tool_use", None, None),
        ("max_tokens", None, None),
        ("refusal", None, None),
        ("pause_turn", None, b'"pause_turn"'),
        ("model_context_window_exceeded", None, b'"model_context_window_exceeded"'),
        (None, None, b"null"),
    ],
)
def test_a_stop_reason_is_kept_where_the_neutral_word_would_change_it(
    stop_reason, stop_sequence, kept
):
    raw = finish.spelling(stop_reason, stop_sequence)
    assert (raw and bytes(raw)) == kept
