from hypothesis import given
from hypothesis import strategies as st

from modelmux.wire.tool_names import MAX_NAME, ToolNames
from tests.support.cases import case


def test_a_name_that_is_allowed_stays():
    names = ToolNames(["get_weather", "a-b"])
    assert names.say("get_weather") == "get_weather"
    assert names.changed == {}


@case(29)
def test_names_that_would_be_the_same_are_told_apart():
    names = ToolNames(["a.b", "a/b", "a_b"])
    said = [names.say(name) for name in ("a.b", "a/b", "a_b")]
    assert said == ["a_b_2", "a_b_3", "a_b"]
    assert names.changed == {"a_b_2": "a.b", "a_b_3": "a/b"}


@given(st.lists(st.text(max_size=100), max_size=8, unique=True))
def test_every_name_is_said_in_a_way_of_its_own(given_names: list[str]):
    names = ToolNames(given_names)
    said = [names.say(name) for name in given_names]
    assert len(set(said)) == len(said)
    assert all(0 < len(each) <= MAX_NAME for each in said)


def test_a_name_that_is_reserved_is_nobodys():
    names = ToolNames(["answer"])
    assert names.reserve("answer") == "answer_2"
