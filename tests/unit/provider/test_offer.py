import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelmux.provider.offer import MAX_TARGETS, Offering, is_glob
from modelmux.target.base import Target
from tests.support.targets import Fake


class Maker:
    """Makes targets, and knows how many."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def __call__(self, model: str) -> Target:
        self.made.append(model)
        return Fake(name=f"p/{model}")


def offering(*listed: str, make: Maker | None = None, ignores_case: bool = False) -> Offering:
    return Offering("p", 1, listed, make or Maker(), ignores_case=ignores_case)


def test_names_are_listed_and_globs_are_not():
    assert offering("m", "n-*", "o").models == ("m", "o")


@pytest.mark.parametrize("model", ["m*", "m?", "[mn]", "*"])
def test_a_name_with_a_wildcard_is_a_glob(model: str):
    assert is_glob(model)


@pytest.mark.parametrize("model", ["gpt-5.4", "claude@20250929", "meta/llama:8b", "a]b", ""])
def test_any_other_name_is_none(model: str):
    assert not is_glob(model)


def test_a_listed_name_is_found_as_it_is_written():
    offer = offering("Model")
    assert offer.exact("Model") == "Model"
    assert offer.exact("model") is None
    assert offer.exact("") is None


def test_a_provider_that_ignores_case_finds_the_name_as_it_is_listed():
    offer = offering("Model", ignores_case=True)
    assert offer.exact("mODEL") == "Model"


def test_a_glob_takes_whole_names_with_their_case():
    offer = offering("gpt-5*", "o[0-9]")
    assert offer.matches("gpt-5-mini")
    assert offer.matches("o3")
    assert not offer.matches("GPT-5")
    assert not offer.matches("my-gpt-5")
    assert not offer.matches("o3-mini")


def test_a_name_is_no_glob_of_itself():
    assert not offering("m").matches("m")


def test_targets_of_listed_names_are_made_at_once_and_once():
    make = Maker()
    offer = offering("m", "n", "o-*", make=make)
    assert make.made == ["m", "n"]
    assert offer.target("m") is offer.target("m")
    assert make.made == ["m", "n"]


def test_a_target_that_a_glob_takes_is_made_once():
    make = Maker()
    offer = offering("o-*", make=make)
    assert offer.target("o-1") is offer.target("o-1")
    assert make.made == ["o-1"]


def test_callers_cannot_fill_the_memory_with_names():
    make = Maker()
    offer = offering("m", "*", make=make)
    listed = offer.target("m")
    for number in range(MAX_TARGETS + 10):
        offer.target(f"any-{number}")
        assert len(offer._others) <= MAX_TARGETS
    assert offer.target("m") is listed
    assert offer.target("any-0").name == "p/any-0"


@given(st.lists(st.text("ab*?[]", max_size=4), max_size=5), st.text("ab", max_size=4))
def test_every_listed_string_is_either_a_name_or_a_glob(listed: list[str], asked: str):
    offer = offering(*listed)
    assert all(offer.exact(name) == name for name in listed if not is_glob(name))
    assert (offer.exact(asked) is not None) == (asked in listed)
    assert offer.target(asked).name == f"p/{asked}"
