import asyncio

import pytest

from modelmux.errors import (
    InvalidRequest,
    Overloaded,
    Rejected,
    TargetError,
    Unreachable,
    Unrepresentable,
)
from modelmux.target.fallback import Fallback
from modelmux.target.reply import Reply
from tests.support import targets
from tests.support.linewire import LineWire
from tests.support.targets import Fake

WIRE = LineWire()


def ok(name: str = "p/m") -> Fake:
    return Fake(targets.whole(wire=WIRE, target=name), name=name)


def send(*members: Fake) -> Reply:
    return asyncio.run(Fallback("fast", members).send(targets.call(WIRE, id="c1")))


def test_the_first_target_that_accepts_the_call_answers():
    first, second = ok("a/m"), ok("b/m")
    assert send(first, second).target == "a/m"
    assert second.calls == []


def test_a_target_that_fails_is_passed_over_and_its_attempts_are_counted():
    tried = Unreachable("down")
    tried.attempts = 2
    reply = send(Fake(tried, name="a/m"), Fake(Overloaded("busy"), name="b/m"), ok("c/m"))
    assert (reply.target, reply.attempts) == ("c/m", 4)


def test_a_target_that_cannot_be_told_the_call_is_passed_over():
    reply = send(Fake(Unrepresentable("no images"), name="a/m"), ok("b/m"))
    assert (reply.target, reply.attempts) == ("b/m", 1)


def test_a_refusal_is_the_callers_to_hear_and_nobody_elses_to_answer():
    other = ok("b/m")
    tried = Unreachable("down")
    with pytest.raises(Rejected) as caught:
        send(Fake(tried, name="z/m"), Fake(Rejected("bad schema"), name="a/m"), other)
    assert (caught.value.target, caught.value.attempts) == ("a/m", 2)
    assert other.calls == []


def test_a_callers_mistake_is_nobody_elses_to_answer():
    other = ok()
    with pytest.raises(InvalidRequest):
        send(Fake(InvalidRequest("no messages")), other)
    assert other.calls == []


def test_each_target_is_a_step_of_the_call():
    first, second = Fake(Unreachable("down")), ok()
    send(first, second)
    steps = [(call.id, call.parent_id) for fake in (first, second) for call in fake.calls]
    assert steps == [("c1.1", "c1"), ("c1.2", "c1")]


def test_if_nobody_answers_the_last_failure_tells_of_the_others():
    with pytest.raises(Overloaded) as caught:
        send(
            Fake(Unreachable("no route"), name="a/m"),
            Fake(Unrepresentable("no images"), name="b/m"),
            Fake(Overloaded("busy", retry_after_s=9.0), name="c/m"),
        )
    failure = caught.value
    assert (failure.target, failure.attempts, failure.retry_after_s) == ("c/m", 2, 9.0)
    assert failure.message == "busy (before that: a/m: no route; no images)"


def test_the_shortest_wait_that_anybody_asked_for_is_told():
    with pytest.raises(TargetError) as caught:
        send(
            Fake(Overloaded("a", retry_after_s=3.0), name="a/m"),
            Fake(Overloaded("b", retry_after_s=7.0), name="b/m"),
        )
    assert caught.value.retry_after_s == 3.0


def test_a_failure_that_names_its_target_keeps_it():
    inner = Unreachable("down")
    inner.target = "deep/inside"
    with pytest.raises(Unreachable) as caught:
        send(Fake(inner, name="a"))
    assert caught.value.target == "deep/inside"


def test_what_nobody_can_be_told_is_the_callers_to_change():
    with pytest.raises(Unrepresentable):
        send(Fake(Unrepresentable("no images")), Fake(Unrepresentable("no audio")))


def test_a_chain_of_nothing_is_refused_when_it_is_made():
    with pytest.raises(ValueError, match="needs a target"):
        Fallback("fast", [])
