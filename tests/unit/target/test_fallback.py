import asyncio

import pytest

from modelmux.errors import (
    CredentialRefused,
    InvalidRequest,
    Limited,
    Overloaded,
    ProtocolViolation,
    RateLimited,
    Rejected,
    TargetError,
    TargetTimeout,
    Unreachable,
    Unrepresentable,
)
from modelmux.target.reply import Reply
from tests.support import targets
from tests.support.choices import balance
from tests.support.linewire import LineWire
from tests.support.targets import Answer, Connection, Fake

WIRE = LineWire()


def fake(name: str, *script: Answer | BaseException) -> Fake:
    return Fake(*(script or (targets.whole(wire=WIRE, target=name),)), name=name)


def send(*members: Fake) -> Reply:
    return asyncio.run(balance(*members).send(targets.call(WIRE)))


def after(attempts: int, error: TargetError) -> TargetError:
    """`error` as of a target that was tried that often."""
    error.attempts = attempts
    return error


def test_the_first_that_accepts_answers_and_nobody_else_is_asked():
    first, second = fake("a/m"), fake("b/m")
    assert send(first, second).target == "a/m"
    assert second.calls == []


@pytest.mark.parametrize(
    "error",
    [
        Unreachable("x"),
        TargetTimeout("x"),
        Overloaded("x"),
        RateLimited("x"),
        CredentialRefused("x"),
        ProtocolViolation("x"),
        Unrepresentable("x"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_another_may_do_better_is_passed_on(error: TargetError | Unrepresentable):
    assert send(fake("a/m", error), fake("b/m")).target == "b/m"


@pytest.mark.parametrize(
    "error", [Rejected("x"), InvalidRequest("x")], ids=lambda error: type(error).__name__
)
def test_what_is_the_callers_to_mend_is_told_at_once(error: Exception):
    second = fake("b/m")
    with pytest.raises(type(error)):
        send(fake("a/m", error), second)
    assert second.calls == []


def test_a_defect_is_nobody_elses_to_answer():
    second = fake("b/m")
    with pytest.raises(ZeroDivisionError):
        send(fake("a/m", ZeroDivisionError()), second)
    assert second.calls == []


def test_members_are_asked_in_order_as_steps_of_the_call():
    down = [fake(f"{name}/m", Unreachable("down")) for name in "abc"]
    with pytest.raises(Unreachable):
        send(*down)
    assert [(each.calls[0].id, each.calls[0].parent_id) for each in down] == [
        ("c1.1", "c1"),
        ("c1.2", "c1"),
        ("c1.3", "c1"),
    ]


def test_attempts_of_those_who_failed_count_for_the_answer():
    reply = send(
        fake("a/m", after(2, Unreachable("x"))),
        fake("b/m", Unrepresentable("x")),
        fake("c/m", after(3, Overloaded("x"))),
        fake("d/m"),
    )
    assert reply.attempts == 6


def test_attempts_of_all_count_for_the_failure():
    with pytest.raises(Overloaded) as caught:
        send(fake("a/m", after(2, Unreachable("x"))), fake("b/m", after(3, Overloaded("y"))))
    assert caught.value.attempts == 5


def test_attempts_before_a_refusal_count_for_it():
    with pytest.raises(Rejected) as caught:
        send(fake("a/m", after(2, Unreachable("x"))), fake("b/m", Rejected("y")))
    assert caught.value.attempts == 3


def test_the_last_failure_is_told_with_a_word_on_each_before():
    with pytest.raises(Overloaded) as caught:
        send(
            fake("a/m", Unreachable("no route")),
            fake("b/m", Unrepresentable("b/m cannot be told of audio")),
            fake("c/m", Overloaded("busy")),
        )
    assert caught.value.target == "c/m"
    assert caught.value.message == (
        "busy (before that: a/m: no route; b/m cannot be told of audio)"
    )


def test_a_target_that_failed_says_more_than_one_that_could_not_be_told():
    with pytest.raises(Unreachable) as caught:
        send(fake("a/m", Unreachable("no route")), fake("b/m", Unrepresentable("no audio")))
    assert caught.value.target == "a/m"
    assert "no audio" in caught.value.message


def test_a_call_that_nobody_can_be_told_is_unrepresentable():
    with pytest.raises(Unrepresentable) as caught:
        send(fake("a/m", Unrepresentable("a")), fake("b/m", Unrepresentable("b", losses=["/x"])))
    assert caught.value.message == "b (before that: a)"
    assert caught.value.losses == ["/x"]


def test_a_failure_of_one_member_alone_is_told_as_it_is():
    with pytest.raises(Unreachable) as caught:
        send(fake("a/m", Unreachable("no route")))
    assert caught.value.message == "no route"


def test_the_name_of_who_failed_further_in_is_kept():
    error = Unreachable("x")
    error.target = "inner/m"
    with pytest.raises(Unreachable) as caught:
        send(fake("a/m", error))
    assert caught.value.target == "inner/m"


def test_the_caller_may_come_back_when_the_first_of_all_is_ready():
    with pytest.raises(RateLimited) as caught:
        send(
            fake("a/m", RateLimited("x", retry_after_s=20.0)),
            fake("b/m", Unreachable("x")),
            fake("c/m", RateLimited("x", retry_after_s=60.0)),
        )
    assert caught.value.retry_after_s == 20.0


def test_nobody_says_when_to_come_back_where_nobody_knows():
    with pytest.raises(Overloaded) as caught:
        send(fake("a/m", Unreachable("x")), fake("b/m", Overloaded("x")))
    assert caught.value.retry_after_s is None


def test_a_caller_who_leaves_is_not_answered_by_the_next():
    async def run() -> None:
        asked = asyncio.Event()

        async def hang() -> None:
            asked.set()
            await asyncio.Event().wait()

        first = Fake(targets.whole(wire=WIRE), name="a/m", on_send=hang)
        second = fake("b/m")
        async with asyncio.TaskGroup() as tasks:
            sending = tasks.create_task(balance(first, second).send(targets.call(WIRE)))
            await asked.wait()
            sending.cancel()
        assert sending.cancelled()
        assert second.calls == []

    asyncio.run(run())


def test_a_stream_that_breaks_after_it_began_is_nobody_elses_to_answer():
    async def run() -> bytes:
        broken = Connection([b"start id m\n\n"], error=Unreachable("cut"))
        first = fake("a/m", targets.streamed(broken, wire=WIRE, target="a/m"))
        second = fake("b/m")
        call = targets.call(WIRE, stream=True)
        reply = await balance(first, second).send(call)
        answer = await targets.read(reply, call)
        assert second.calls == []
        assert broken.closed == 1
        return answer

    assert b"fail unavailable" in asyncio.run(run())


# Limits


def full(wait_s: float) -> TargetError:
    """A target without room for the next `wait_s`."""
    return after(0, Limited("full", retry_after_s=wait_s))


def test_a_target_without_room_is_passed_over_without_waiting():
    first, second = fake("a/m", full(9.0)), fake("b/m")
    reply = send(first, second)
    assert (reply.target, reply.attempts) == ("b/m", 1)
    assert [call.may_wait for call in first.calls + second.calls] == [False, False]


def test_where_nobody_has_room_the_call_waits_for_the_first_that_will():
    answer = targets.whole(wire=WIRE, target="b/m")
    first = fake("a/m", full(9.0))
    second = fake("b/m", full(2.0), answer)
    third = fake("c/m", Unreachable("down"))
    assert send(first, second, third).target == "b/m"
    assert [call.may_wait for call in second.calls] == [False, True]
    assert len(first.calls) == len(third.calls) == 1


def test_one_that_breaks_after_the_wait_is_followed_by_the_next_that_was_full():
    first = fake("a/m", full(1.0), Unreachable("down"))
    second = fake("b/m", full(2.0), targets.whole(wire=WIRE, target="b/m"))
    assert send(first, second).target == "b/m"


def test_a_call_waits_once_and_is_told_when_to_come_back():
    first, second = fake("a/m", full(3.0)), fake("b/m", full(2.0))
    with pytest.raises(Limited) as raised:
        send(first, second)
    assert raised.value.retry_after_s == 2.0
    assert (len(first.calls), len(second.calls)) == (1, 2)


def test_a_call_that_may_not_wait_is_sent_back_at_once():
    first, second = fake("a/m", full(3.0)), fake("b/m", full(2.0))
    call = targets.call(WIRE).step(may_wait=False)
    with pytest.raises(Limited):
        asyncio.run(balance(first, second).send(call))
    assert [len(each.calls) for each in (first, second)] == [1, 1]
