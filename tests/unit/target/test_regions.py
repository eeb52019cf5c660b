import pytest

from modelmux.errors import PermissionDenied
from modelmux.target.call import Call, Caller, Peer
from modelmux.target.candidate import Candidate
from modelmux.target.regions import MAX_REGION_CHARS, Region, Regions
from tests.support import targets
from tests.support.choices import House
from tests.support.targets import Fake

REGIONS = [
    Region("eu", frozenset({"local"}), callers=("eu-*", "de"), near=("us",)),
    Region("us", callers=("us-*",)),
]


def call(*, key: str = "", listener: str = "", header: str = "") -> Call:
    made = targets.call()
    made.caller = Caller(region=key)
    made.peer = Peer(region=listener)
    if header:
        made.fields = [(b"x-modelmux-region", header.encode())]
    return made


def candidates() -> list[Candidate]:
    house = House()
    regions = {"asia/m": ["asia"], "us/m": ["us"], "eu/m": ["eu"], "anywhere/m": []}
    found = [house.candidate(Fake(name=name), regions=each) for name, each in regions.items()]
    return [*found, house.candidate(Fake(name="modelmux/echo"), is_here=True)]


def groups(regions: Regions, asked: Call) -> list[list[str]]:
    return [
        [each.name.partition("/")[0] for each in group]
        for group in regions.by_distance(asked, candidates())
    ]


@pytest.mark.parametrize(
    ("asked", "region"),
    [
        (call(key="eu", listener="us", header="asia"), "eu"),
        (call(listener="us", header="asia"), "us"),
        (call(header="asia"), "asia"),
        (call(), "home"),
        (call(header="x" * 100), "x" * MAX_REGION_CHARS),
    ],
)
def test_what_the_operator_says_comes_before_what_the_caller_says(asked: Call, region: str):
    assert Regions(REGIONS, default="home").of_call(asked) == region


@pytest.mark.parametrize("name", ["eu", "eu-central-1", "de"])
def test_the_nearest_come_first(name: str):
    expected = [["eu", "modelmux"], ["us"], ["asia"], ["anywhere"]]
    assert groups(Regions(REGIONS), call(key=name)) == expected


def test_without_a_region_nobody_is_nearer():
    assert len(groups(Regions(REGIONS), call())) == 1


def test_a_region_that_nobody_knows_is_near_to_nobody_else():
    assert groups(Regions(REGIONS), call(key="moon"))[0] == ["modelmux"]


def test_only_those_in_the_region_may_answer_where_that_is_enforced():
    regions = Regions(REGIONS, enforced=True)
    allowed = regions.allowed(call(key="de"), candidates())
    assert [each.name for each in allowed] == ["eu/m", "modelmux/echo"]


@pytest.mark.parametrize(
    ("asked", "said"),
    [(call(), "nothing says where this caller is"), (call(key="moon"), "the region 'moon'")],
)
def test_nobody_answers_from_elsewhere(asked: Call, said: str):
    regions = Regions(REGIONS, enforced=True)
    with pytest.raises(PermissionDenied, match=said):
        regions.allowed(asked, candidates()[:4])


def test_a_provider_is_in_its_region_and_in_those_that_list_it():
    regions = Regions(REGIONS)
    assert regions.of_provider("local", "eu-central-1") == {"eu", "eu-central-1"}
    assert regions.of_provider("other", "") == set()
