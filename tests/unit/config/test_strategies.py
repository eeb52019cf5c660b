import pytest

from modelmux.config import strategies
from modelmux.errors import ConfigError
from modelmux.target import strategy
from modelmux.target.call import Call
from modelmux.target.candidate import Candidate
from tests.support.targets import FakeClock


class Last:
    """A strategy of somebody's own."""

    def choose(self, _call: Call, among: list[Candidate]) -> Candidate:
        return among[-1]


class NoStrategy:
    """Something else."""


NOT_CALLABLE = 3
HERE = __name__


@pytest.mark.parametrize(
    ("word", "made"),
    [
        ("priority", strategy.Priority),
        ("geographic", strategy.Priority),
        ("model_specific", strategy.Priority),
        ("round_robin", strategy.RoundRobin),
        ("weighted", strategy.Weighted),
        ("least_connections", strategy.LeastConnections),
        ("latency", strategy.Latency),
        ("cost", strategy.Cost),
        ("availability", strategy.Availability),
    ],
)
def test_a_word_is_a_strategy_of_its_own_each_time(word: str, made: type):
    clock = FakeClock()
    one, other = (strategies.named(word, "", now=clock, rng=clock) for _ in range(2))
    assert type(one) is type(other) is made
    assert one is not other


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> str:
    """This module under a name that can be imported."""
    import sys

    monkeypatch.setitem(sys.modules, "somebodys_own", sys.modules[HERE])
    return "somebodys_own"


def test_a_strategy_can_be_anybodys(here: str):
    clock = FakeClock()
    made = strategies.named("custom", f"{here}:Last", now=clock, rng=clock)
    assert isinstance(made, Last)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nowhere_at_all:X", "there is no strategy 'nowhere_at_all:X'"),
        ("{here}:Missing", "there is no strategy"),
        ("nobody-offers-this", "there is no strategy 'nobody-offers-this'"),
        ("{here}:NOT_CALLABLE", "is no class or function"),
        ("{here}:NoStrategy", "which has no method `choose`"),
    ],
)
def test_what_is_no_strategy_is_told(here: str, name: str, said: str):
    with pytest.raises(ConfigError, match=said):
        strategies.load(name.format(here=here))
