import pytest

from modelmux.errors import Rejected
from modelmux.target.refusal import Reason, reason_of


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        ("too long", "context_length_exceeded", "context_length"),
        ("This model's maximum context length is 8192 tokens.", "", "context_length"),
        ("prompt is too long: 210000 tokens > 200000 maximum", "", "context_length"),
        ("input length and `max_tokens` exceed context limit: 1 + 2 > 2", "", "context_length"),
        (
            "The input token count (1200000) exceeds the maximum number of tokens allowed",
            "INVALID_ARGUMENT",
            "context_length",
        ),
        ("Please reduce the length of the messages or completion.", "", "context_length"),
        ("no", "content_filter", "content_policy"),
        ("no", "content_policy_violation", "content_policy"),
        ("temperature: expected a number", "invalid_request_error", None),
        ("", "", None),
    ],
)
def test_why_a_target_refused(message: str, code: str, reason: Reason | None):
    assert reason_of(Rejected(message, status=400, upstream_code=code)) == reason


def test_a_filter_is_told_by_its_kind_too():
    exc = Rejected("no", status=400)
    exc.kind = "content_filter"
    assert reason_of(exc) == "content_policy"
