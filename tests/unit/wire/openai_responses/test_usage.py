import pytest
from msgspec import Raw

from modelmux.ir.response import FinishReason, Usage
from modelmux.wire.openai_responses import usage
from tests.support.cases import case
from tests.unit.wire.openai_responses.bodies import raw

ALL = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 15,
}


@case(80)
def test_counts_are_read_and_said_alike():
    found = usage.decode(raw(ALL))
    assert found == Usage(10, 5, 4, 3, reasoning_output_tokens=2)
    assert usage.encode(found) == ALL


@pytest.mark.parametrize("value", [b"", b"null", b"{}", b"5", b'{"input_tokens":"x"}'])
def test_counts_in_another_shape_are_none(value: bytes):
    assert usage.decode(Raw(value)) is None


@case(73, 84)
@pytest.mark.parametrize(
    ("status", "incomplete", "called", "reason"),
    [
        ("completed", None, False, "stop"),
        ("completed", None, True, "tool_call"),
        ("incomplete", "max_output_tokens", True, "length"),
        ("incomplete", "content_filter", False, "content_filter"),
        ("incomplete", "of_the_future", False, "length"),
        (None, None, False, "stop"),
    ],
)
def test_why_an_answer_ended(
    status: str | None, incomplete: str | None, called: bool, reason: FinishReason
):
    assert usage.reason(status, incomplete, called=called) == reason


@case(73)
@pytest.mark.parametrize("reason", ["length", "content_filter"])
def test_an_incomplete_answer_says_why(reason: FinishReason):
    status, incomplete = usage.ending(reason)
    assert status == "incomplete"
    assert usage.reason(status, incomplete, called=False) == reason
    assert usage.ending("tool_call") == ("completed", None)
