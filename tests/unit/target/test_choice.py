import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.errors import PermissionDenied, Unreachable
from modelmux.ir.profile import Profile
from modelmux.target.call import Call, Caller
from modelmux.target.candidate import Candidate
from modelmux.target.choice import Choice
from modelmux.target.health import BreakerPolicy
from modelmux.target.regions import Region, Regions
from modelmux.target.strategy import RoundRobin
from tests.support import targets
from tests.support.choices import Choosing, House, chances
from tests.support.targets import Fake


def break_(house: House, candidate: Candidate) -> None:
    for _ in range(house.book.policy.failures):
        now = house.clock()
        candidate.health.begin(now)
        candidate.health.failed(Unreachable("x"), targets.call(), now, now)


def asked(house: House, *candidates: Candidate, call: Call | None = None, **more: object) -> str:
    """Who is asked, one after the other."""
    settings: Choosing = more  # type: ignore[assignment]
    choice = Choice(house.balance(*candidates, **settings).chooser, call or targets.call())
    names: list[str] = []
    while (found := choice.next()) is not None:
        names.append(found.name[0])
    return "".join(names)


def three(house: House, **more: object) -> list[Candidate]:
    return [house.candidate(Fake(name=f"{name}/m"), **more) for name in "abc"]  # type: ignore[arg-type]


def test_each_is_asked_once():
    house = House()
    assert asked(house, *three(house)) == "abc"
    assert asked(house, *three(house), strategy=RoundRobin(), is_plain=True) == "acb"


def test_only_so_many_are_asked():
    house = House()
    assert asked(house, *three(house), max_tries=2) == "ab"


def test_a_tier_is_used_up_before_the_next_begins():
    house = House()
    behind = house.candidate(Fake(name="z/m"), tier=1)
    first = house.candidate(Fake(name="y/m"))
    assert asked(house, behind, first) == "yz"


def test_who_is_broken_is_left_out():
    house = House()
    found = three(house)
    break_(house, found[0])
    assert asked(house, *found) == "bc"


def test_where_all_are_broken_one_is_asked_all_the_same():
    house = House()
    found = three(house)
    for each in found:
        break_(house, each)
        house.clock.advance(1.0)
    assert asked(house, *found) == "a", "whose time is up first"


def test_who_has_just_recovered_takes_some_of_its_calls():
    house = House(BreakerPolicy(slow_start_s=20.0))
    found = three(house)[:2]
    break_(house, found[0])
    house.clock.advance(5.0)
    started = house.clock()
    found[0].health.begin(started)
    found[0].health.began(started, started, stream=False)
    house.clock.advance(10.0)
    assert asked(house, *found, rng=chances(0.6))[0] == "b"
    assert asked(house, *found, rng=chances(0.4))[0] == "a"
    assert asked(house, found[0], rng=chances(0.9)) == "a", "there is nobody else"


def test_a_target_takes_only_the_calls_that_are_meant_for_it():
    house = House()
    short = house.candidate(Fake(name="a/m"), when="tokens < 5")
    other = house.candidate(Fake(name="b/m"), when='model == "m"')
    assert asked(house, short, other) == "b"


def test_rules_may_speak_of_the_target_itself():
    house = House()
    found = [house.candidate(Fake(name=f"{n}/m"), when="in_flight < 2") for n in "ab"]
    found[0].health.in_flight = 2
    assert asked(house, *found) == "b"


def test_rules_first_then_the_others():
    house = House()
    plain = house.candidate(Fake(name="a/m"))
    meant = house.candidate(Fake(name="b/m"), when='model == "m"')
    not_meant = house.candidate(Fake(name="c/m"), when="stream")
    assert asked(house, plain, meant, not_meant, rules_first=True) == "ba"


def test_who_lacks_something_is_left_out():
    house = House()
    blind = house.candidate(Fake(name="a/m"), profile=Profile(context_tokens=1))
    sees = house.candidate(Fake(name="b/m"))
    assert asked(house, blind, sees, by_capability=True) == "b"


def test_where_nobody_can_those_are_asked_who_are_there_for_that():
    house = House()
    blind = house.candidate(Fake(name="a/m"), profile=Profile(context_tokens=1))
    special = house.candidate(Fake(name="s/m"))
    assert asked(house, blind, by_capability=True, specials={"capability": [special]}) == "s"


REGIONS = Regions([Region("eu", near=("us",))])


def placed(house: House) -> list[Candidate]:
    return [
        house.candidate(Fake(name=f"{region}/m"), regions=[region])
        for region in ("us", "eu", "asia")
    ]


def from_eu() -> Call:
    call = targets.call()
    call.caller = Caller(region="eu")
    return call


def test_the_nearest_are_asked_first():
    house = House()
    assert asked(house, *placed(house), call=from_eu(), regions=REGIONS, geographic=True) == "eua"


def test_data_stays_where_it_must():
    house = House()
    enforced = Regions(enforced=True)
    assert asked(house, *placed(house), call=from_eu(), regions=enforced) == "e"
    with pytest.raises(PermissionDenied):
        asked(house, *placed(house)[:1], call=from_eu(), regions=enforced)


def test_a_prompt_that_was_too_long_goes_to_those_who_take_more():
    house = House()
    lengths = {"a": 100, "b": 50, "c": 0, "d": 200}
    found = [
        house.candidate(Fake(name=f"{n}/m"), profile=Profile(context_tokens=size))
        for n, size in lengths.items()
    ]
    choice = Choice(house.balance(*found).chooser, targets.call())
    first = choice.next()
    assert first is not None
    assert choice.after("context_length", first)
    following = choice.next()
    assert following is not None
    assert following.name == "d/m"
    assert not choice.after("context_length", following)


def test_who_is_there_for_a_refusal_takes_over():
    house = House()
    special = [house.candidate(Fake(name=f"{n}/m")) for n in "yz"]
    found = three(house)
    chooser = house.balance(*found, specials={"content_policy": special}, max_tries=1).chooser
    choice = Choice(chooser, targets.call())
    first = choice.next()
    assert first is not None
    assert not Choice(chooser, targets.call()).after("context_length", first)
    assert choice.after("content_policy", first)
    names = [each.name for each in iter(choice.next, None)]
    assert names == ["y/m", "z/m"]
    assert not choice.after("content_policy", first), "once"


def test_a_refusal_for_which_nobody_is_there_is_the_last_word():
    house = House()
    found = three(house)
    assert not Choice(house.balance(*found).chooser, targets.call()).after(
        "content_policy", found[0]
    )


@given(
    st.lists(st.sampled_from(["well", "broken"]), min_size=1, max_size=6),
    st.lists(st.integers(0, 2), min_size=6, max_size=6),
)
def test_somebody_is_always_asked_and_nobody_twice(states: list[str], tiers: list[int]):
    house = House()
    found = [
        house.candidate(Fake(name=f"{name}/m"), tier=tier)
        for name, _, tier in zip("abcdef", states, tiers, strict=False)
    ]
    for each, state in zip(found, states, strict=True):
        if state == "broken":
            break_(house, each)
    names = asked(house, *found)
    assert len(names) == max(1, states.count("well"))
    assert len(set(names)) == len(names)
