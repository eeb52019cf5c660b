import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Raw

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import Extra
from modelmux.ir.response import NO_USAGE, Usage
from modelmux.wire.anthropic_messages import counts
from modelmux.wire.anthropic_messages.schema import NAME
from tests.support.cases import case


def read(*pieces: str) -> Usage:
    tally = counts.Tally()
    for piece in pieces:
        tally.read(Raw(piece.encode()))
    return tally.usage


def numbers(usage: Usage) -> dict[str, int]:
    return {
        name: value
        for name in Usage.__struct_fields__
        if isinstance(value := getattr(usage, name), int) and value
    }


def said(usage: Usage) -> object:
    return msgspec.json.decode(msgspec.json.encode(counts.encode(usage)))


@case(80)
def test_the_prompt_is_counted_with_what_the_cache_read_and_wrote():
    usage = read(
        '{"input_tokens":50,"cache_read_input_tokens":1000,"cache_creation_input_tokens":200,'
        '"output_tokens":7}'
    )
    assert numbers(usage) == {
        "input_tokens": 1250,
        "output_tokens": 7,
        "cache_read_input_tokens": 1000,
        "cache_creation_input_tokens": 200,
    }


@case(80)
def test_the_prompt_is_said_without_what_the_cache_read_and_wrote():
    usage = Usage(1250, 7, 1000, 200, 150, 5)
    assert said(usage) == {
        "input_tokens": 50,
        "output_tokens": 7,
        "cache_read_input_tokens": 1000,
        "cache_creation_input_tokens": 200,
        "cache_creation": {"ephemeral_5m_input_tokens": 50, "ephemeral_1h_input_tokens": 150},
        "output_tokens_details": {"thinking_tokens": 5},
    }


def test_a_prompt_that_is_shorter_than_its_cached_part_is_never_negative():
    assert said(Usage(10, 0, 20))["input_tokens"] == 0


@case(83)
def test_what_is_not_known_is_zero():
    assert said(NO_USAGE) == {
        "input_tokens": 0,
        "output_tokens": 0,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
    }


def test_cache_writes_are_told_apart_by_lifetime():
    usage = read(
        '{"input_tokens":1,"output_tokens":1,"cache_creation_input_tokens":30,'
        '"cache_creation":{"ephemeral_5m_input_tokens":10,"ephemeral_1h_input_tokens":20}}'
    )
    assert usage.cache_creation_1h_input_tokens == 20


def test_thinking_is_part_of_the_output():
    usage = read('{"output_tokens":90,"output_tokens_details":{"thinking_tokens":60}}')
    assert (usage.output_tokens, usage.reasoning_output_tokens) == (90, 60)


@pytest.mark.parametrize("odd", ["null", "[]", '{"thinking_tokens":"many"}'])
def test_details_of_another_form_are_no_error(odd):
    usage = read(
        f'{{"output_tokens":9,"output_tokens_details":{odd},"cache_creation_input_tokens":1,'
        f'"cache_creation":{odd}}}'
    )
    assert numbers(usage) == {
        "input_tokens": 1,
        "output_tokens": 9,
        "cache_creation_input_tokens": 1,
    }


@case(81)
def test_later_counts_replace_earlier_ones_and_are_not_added():
    usage = read(
        '{"input_tokens":25,"output_tokens":1,"cache_read_input_tokens":7}',
        '{"output_tokens":10}',
        '{"output_tokens":15,"input_tokens":null}',
        '{"input_tokens":30,"output_tokens":16}',
    )
    assert numbers(usage) == {
        "input_tokens": 37,
        "output_tokens": 16,
        "cache_read_input_tokens": 7,
    }


@case(81)
@pytest.mark.parametrize("nothing", ["null", "{}", '{"server_tool_use":null}'])
def test_a_later_piece_that_counts_nothing_changes_nothing(nothing):
    first = '{"input_tokens":25,"output_tokens":1,"server_tool_use":{"web_search_requests":1}}'
    assert numbers(read(first, nothing)) == numbers(read(first))
    assert said(read(first, nothing)) == said(read(first))


def test_counts_that_only_come_later_are_taken():
    usage = read('{"input_tokens":1}', '{"output_tokens":2,"server_tool_use":{"x":1},"later":3}')
    assert said(usage) == {
        "input_tokens": 1,
        "output_tokens": 2,
        "server_tool_use": {"x": 1},
        "later": 3,
    }


def test_what_else_the_api_counts_is_kept_for_whoever_prices_it():
    usage = read('{"input_tokens":1,"server_tool_use":{"web_search_requests":2}}')
    assert usage.extra is not None
    assert bytes(usage.extra.fields["/server_tool_use"]) == b'{"web_search_requests":2}'


def test_counts_of_the_wrong_type_are_a_violation():
    with pytest.raises(ProtocolViolation):
        read('{"input_tokens":"many"}')


COUNT = st.none() | st.integers(0, 9)


@given(
    st.fixed_dictionaries(
        {"input_tokens": st.integers(0, 9), "output_tokens": st.integers(0, 9)},
        optional={
            "cache_read_input_tokens": st.integers(0, 9),
            "cache_creation_input_tokens": st.integers(0, 9),
            "service_tier": st.sampled_from(["standard", "priority"]),
            "cache_creation": st.just({"ephemeral_1h_input_tokens": 3}),
            "x": st.integers(),
        },
    )
)
def test_counts_of_the_api_come_back_as_they_came(value):
    assert said(read(msgspec.json.encode(value).decode())) == value


def test_counts_say_that_they_are_the_apis_own():
    assert read('{"input_tokens":1,"output_tokens":2}').extra == Extra(NAME, {})
