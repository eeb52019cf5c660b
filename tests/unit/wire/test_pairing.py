import pytest
from msgspec import Struct

from modelmux.errors import InvalidRequest
from modelmux.wire import pairing


class Turn(Struct):
    """A turn that calls tools."""

    first: int = 3
    calls: dict[str, int] = {}
    answered: set[str] = set()


def test_each_call_is_answered_once_with_what_was_kept_of_it():
    turn = Turn(calls={"a": 1, "b": 2})
    assert [pairing.answer(turn, id_, 4) for id_ in ("b", "a")] == [2, 1]
    pairing.check_answered(turn)
    with pytest.raises(InvalidRequest, match="a second result for 'a'") as caught:
        pairing.answer(turn, "a", 5)
    assert caught.value.param == "messages[5]"


@pytest.mark.parametrize("turn", [None, Turn(calls={"a": 1})])
def test_a_result_without_its_call_is_refused(turn: Turn | None):
    with pytest.raises(InvalidRequest, match="no tool call with the id 'x'") as caught:
        pairing.answer(turn, "x", 4)
    assert caught.value.param == "messages[4]"


def test_a_call_without_a_result_is_refused_by_the_place_of_its_turn():
    pairing.check_answered(None)
    turn = Turn(calls={"a": 1, "b": 2})
    pairing.answer(turn, "a", 4)
    with pytest.raises(InvalidRequest, match="'b' has no result") as caught:
        pairing.check_answered(turn)
    assert caught.value.param == "messages[3]"


def test_two_calls_of_a_turn_have_two_ids():
    pairing.check_new({"a": 1}, "b", 4)
    with pytest.raises(InvalidRequest, match="two tool calls have the id 'a'"):
        pairing.check_new({"a": 1}, "a", 4)


def test_what_else_such_apis_refuse_is_said_by_its_place():
    assert pairing.no_object("weather", 2).param == "messages[2]"
    assert "weather" in pairing.no_object("weather", 2).message
    assert pairing.no_prefill(7).param == "messages[7]"
