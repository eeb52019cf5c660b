import pytest
from msgspec import Raw

from modelmux.wire.gemini import finish
from tests.support.cases import case


@case(73)
@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("PROHIBITED_CONTENT", "content_filter"),
        ("SPII", "content_filter"),
        ("MALFORMED_FUNCTION_CALL", "error"),
        ("OF_LATER", "stop"),
        (None, "stop"),
    ],
)
def test_each_reason_has_a_neutral_word(said: str | None, reason: str) -> None:
    assert finish.neutral(said) == reason


@case(74)
def test_a_plain_stop_with_a_call_is_for_the_call() -> None:
    assert finish.neutral("STOP", called=True) == "tool_call"
    assert finish.neutral("MAX_TOKENS", called=True) == "length"
    assert finish.said("tool_call") == "STOP"


def test_a_word_that_would_be_lost_is_kept() -> None:
    assert finish.spelling("RECITATION", "content_filter") == Raw(b'"RECITATION"')
    assert finish.spelling("SAFETY", "content_filter") is None
    assert finish.spelling(None, "stop") is None
