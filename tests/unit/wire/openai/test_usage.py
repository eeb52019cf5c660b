import msgspec
import pytest
from msgspec import Raw

from modelmux.ir.response import FinishReason, Usage
from modelmux.wire.openai import usage
from tests.support.cases import case

PLAIN = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}


def decode(**fields: object) -> Usage | None:
    return usage.decode(Raw(msgspec.json.encode(fields)))


@case(80)
@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (PLAIN, Usage(10, 5)),
        ({**PLAIN, "prompt_tokens_details": {"cached_tokens": 8}}, Usage(10, 5, 8)),
        (
            {**PLAIN, "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3}},
            Usage(10, 5, 4, 3),
        ),
        ({**PLAIN, "prompt_cache_hit_tokens": 7, "prompt_cache_miss_tokens": 3}, Usage(10, 5, 7)),
        ({**PLAIN, "cached_tokens": 6}, Usage(10, 5, 6)),
        (
            {**PLAIN, "completion_tokens_details": {"reasoning_tokens": 4}},
            Usage(10, 5, reasoning_output_tokens=4),
        ),
        ({**PLAIN, "prompt_tokens_details": None, "completion_tokens_details": None}, Usage(10, 5)),
        ({"prompt_tokens": 10}, Usage(10, 0)),
        ({"prompt_tokens": "10", "completion_tokens": None}, Usage(10, 0)),
    ],
)
def test_tokens_are_counted_in_every_spelling(fields: dict[str, object], expected: Usage) -> None:
    assert decode(**fields) == expected


def test_reasoning_that_is_counted_beside_the_answer_is_added_to_it() -> None:
    details = {"reasoning_tokens": 4}
    found = decode(
        prompt_tokens=10, completion_tokens=5, total_tokens=19, completion_tokens_details=details
    )
    assert found == Usage(10, 9, reasoning_output_tokens=4)


@case(87)
@pytest.mark.parametrize(
    "raw", [b"", b"null", b"{}", b'{"cost":0}', b"[]", b'{"prompt_tokens":"x"}']
)
def test_usage_that_says_no_counts_is_none(raw: bytes) -> None:
    assert usage.decode(Raw(raw)) is None


@case(80)
def test_cached_tokens_go_out_as_part_of_the_prompt() -> None:
    assert usage.encode(Usage(10, 5, 4, 3, reasoning_output_tokens=2)) == {
        **PLAIN,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    assert usage.encode(Usage(10, 5)) == PLAIN
    assert usage.encode(Usage(10, 5, 4))["prompt_tokens_details"] == {"cached_tokens": 4}


def test_the_first_usage_that_says_something_is_taken() -> None:
    assert usage.first(Raw(), Raw(b"null"), Raw(b"{}"), Raw(b"[]")) == Raw(b"{}")
    assert not usage.first(Raw(b"null"))


@case(73)
@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_call"),
        ("function_call", "tool_call"),
        ("content_filter", "content_filter"),
        ("error", "error"),
        ("eos", "stop"),
        ("", "stop"),
        (None, "stop"),
    ],
)
def test_every_finish_reason_is_understood(name: str | None, reason: FinishReason) -> None:
    assert usage.reason(name) == reason


@case(73)
@pytest.mark.parametrize(
    ("reason", "name"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("error", "error"),
    ],
)
def test_every_reason_has_a_name(reason: FinishReason, name: str) -> None:
    assert usage.reason_name(reason, called=False, legacy=False) == name


@case(13, 74)
def test_a_stop_with_a_call_is_named_as_the_call_it_is() -> None:
    assert usage.reason_name("stop", called=True, legacy=False) == "tool_calls"
    assert usage.reason_name("stop", called=True, legacy=True) == "function_call"
    assert usage.reason_name("tool_call", called=True, legacy=True) == "function_call"
    assert usage.reason_name("length", called=True, legacy=False) == "length"


@pytest.mark.parametrize(
    ("name", "called", "kept"),
    [
        ("stop", False, None),
        ("stop", True, b'"stop"'),
        ("tool_calls", True, None),
        ("tool_calls", False, None),
        ("function_call", True, None),
        ("length", True, None),
        ("eos", False, b'"eos"'),
        ("", False, None),
        (None, True, None),
    ],
)
def test_a_name_that_would_come_back_as_another_is_kept(
    name: str | None, called: bool, kept: bytes | None
) -> None:
    expected = {} if kept is None else {"/choices/0/finish_reason": Raw(kept)}
    assert usage.kept_reason(name, called=called) == expected
