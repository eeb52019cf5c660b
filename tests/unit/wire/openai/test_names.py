import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.wire.openai.names import MAX_NAME, Names
from tests.support.cases import case

ALLOWED = re.compile(r"[A-Za-z0-9_-]{1,64}")


@pytest.mark.parametrize("name", ["f", "get_weather", "a-b", "x" * MAX_NAME])
def test_a_name_that_is_allowed_stays(name: str) -> None:
    names = Names([name])
    assert names.here(name) == name
    assert names.changed == {}


@case(29)
def test_a_name_that_is_not_allowed_is_replaced_and_mapped_back() -> None:
    names = Names(["mcp.files/read"])
    assert names.here("mcp.files/read") == "mcp_files_read"
    assert names.changed == {"mcp_files_read": "mcp.files/read"}


@case(29)
def test_a_name_that_is_too_long_keeps_its_beginning() -> None:
    names = Names()
    here = names.here("x" * 100)
    assert len(here) == MAX_NAME
    assert here.startswith("x" * 55)


@case(29)
def test_names_that_would_become_the_same_stay_apart() -> None:
    known = ["a.b", "a/b", "a_b", "x" * 70 + "1", "x" * 70 + "2", ""]
    names = Names(known)
    here = [names.here(name) for name in known]
    assert len(set(here)) == len(known)
    assert here[2] == "a_b"


@case(64)
def test_the_same_name_is_replaced_the_same_way_in_every_request() -> None:
    assert Names(["a.b", "a_b"]).here("a.b") == Names(["a_b", "a.b"]).here("a.b")


def test_a_name_of_our_own_is_none_of_the_callers() -> None:
    names = Names(["answer"])
    assert names.new("other") == "other"
    made_up = names.new("answer")
    assert made_up != "answer"
    assert ALLOWED.fullmatch(made_up)


@case(29)
@given(st.lists(st.text(max_size=80), unique=True, max_size=8))
def test_any_names_become_allowed_ones_that_lead_back(known: list[str]) -> None:
    names = Names(known)
    here = {name: names.here(name) for name in known}
    assert len(set(here.values())) == len(known)
    for name, replaced in here.items():
        assert ALLOWED.fullmatch(replaced)
        assert names.changed.get(replaced, replaced) == name
        assert names.here(name) == replaced
