import asyncio

import pytest

from modelmux.errors import Rejected, TargetError, Unreachable, Unrepresentable
from modelmux.ir.profile import Profile
from modelmux.target.call import Call
from modelmux.target.candidate import Candidate
from modelmux.target.reply import Reply
from tests.support import targets
from tests.support.choices import Choosing, House, balance
from tests.support.linewire import LineWire
from tests.support.targets import Answer, Fake

WIRE = LineWire()


def fake(name: str, *script: Answer | BaseException) -> Fake:
    return Fake(*(script or (targets.whole(wire=WIRE, target=name),)), name=name)


def send(house: House, *candidates: Candidate, call: Call | None = None, **more: object) -> Reply:
    settings: Choosing = more  # type: ignore[assignment]
    return asyncio.run(house.balance(*candidates, **settings).send(call or targets.call(WIRE)))


def too_long() -> Rejected:
    return Rejected("prompt is too long: 9 tokens > 8 maximum", status=400)


def refused() -> Rejected:
    return Rejected("no", status=400, upstream_code="content_filter")


def test_who_fails_is_left_alone_after_a_while():
    house = House()
    dead, well = fake("a/m", Unreachable("x")), fake("b/m")
    target = house.balance(house.candidate(dead), house.candidate(well))

    async def run() -> list[int]:
        return [(await target.send(targets.call(WIRE))).attempts for _ in range(20)]

    assert asyncio.run(run()) == [2] * 5 + [1] * 15
    assert len(dead.calls) == house.book.policy.failures


def test_a_prompt_that_is_too_long_goes_to_a_longer_model():
    house = House()
    short = house.candidate(fake("a/m", too_long()), profile=Profile(context_tokens=8))
    same = house.candidate(fake("b/m"), profile=Profile(context_tokens=8))
    long = house.candidate(fake("c/m"), profile=Profile(context_tokens=80))
    reply = send(house, short, same, long)
    assert (reply.target, reply.attempts) == ("c/m", 2)


def test_a_prompt_that_is_too_long_for_all_is_refused_in_the_targets_words():
    house = House()
    short = house.candidate(fake("a/m", too_long()), profile=Profile(context_tokens=8))
    other = fake("b/m")
    with pytest.raises(Rejected, match="prompt is too long"):
        send(house, short, house.candidate(other))
    assert other.calls == []


def test_what_one_will_not_answer_another_may():
    house = House()
    special = [house.candidate(fake("s/m"))]
    other = fake("b/m")
    reply = send(
        house,
        house.candidate(fake("a/m", refused())),
        house.candidate(other),
        specials={"content_policy": special},
    )
    assert (reply.target, reply.attempts, other.calls) == ("s/m", 2, [])


def test_a_refusal_is_final_where_nobody_is_there_for_it():
    house = House()
    other = fake("b/m")
    with pytest.raises(Rejected):
        send(house, house.candidate(fake("a/m", refused())), house.candidate(other))
    assert other.calls == []


def test_what_cannot_be_said_to_any_goes_to_those_who_are_there_for_that():
    house = House()
    deaf = house.candidate(fake("a/m", Unrepresentable("x")))
    special = house.candidate(fake("s/m"))
    assert send(house, deaf, specials={"capability": [special]}).target == "s/m"


def test_a_call_that_nobody_takes_is_told_why():
    house = House()
    first = house.candidate(fake("a/m"), when="stream")
    second = house.candidate(fake("b/m"), when="tokens > 100000")
    with pytest.raises(Unrepresentable, match=r"a/m: its `when` does not hold; b/m: its `when`"):
        send(house, first, second)


def test_a_call_that_nobody_can_answer_is_told_what_is_lacking():
    house = House()
    short = house.candidate(fake("a/m"), profile=Profile(context_tokens=1))
    with pytest.raises(Unrepresentable, match="a/m: it takes 1 tokens, and the prompt has about"):
        send(house, short, by_capability=True)


def test_every_attempt_is_counted():
    with pytest.raises(TargetError) as caught:
        asyncio.run(
            balance(fake("a/m", Unreachable("x")), fake("b/m", Unreachable("y"))).send(
                targets.call(WIRE)
            )
        )
    assert caught.value.attempts == 2
