from functools import cache

import pytest

from bench.simulate import CONDITIONS, NAMES, STRATEGIES, Outcome, simulate, table
from modelmux.target.health import BreakerPolicy

WEIGHTED = (1 / 8, 1 / 8, 2 / 8, 4 / 8)
EVEN = (1 / 4, 1 / 4, 1 / 4, 1 / 4)
FIRST = (1.0, 0.0, 0.0, 0.0)

SHARES = {
    "priority": FIRST,
    "cost": FIRST,
    "geographic": FIRST,
    "round_robin": EVEN,
    "availability": EVEN,
    "latency": EVEN,
    "weighted": WEIGHTED,
    "least_connections": WEIGHTED,
    "hybrid": (1 / 6, 1 / 6, 1 / 2, 1 / 6),
    "model_specific": (1 / 2, 0.0, 1 / 2, 0.0),
}


@cache
def ran(strategy: str, condition: str = "well") -> Outcome:
    return simulate(strategy, condition, seconds=40)


@pytest.mark.parametrize("strategy", SHARES)
def test_a_strategy_keeps_the_shares_that_it_promises(strategy: str):
    found = ran(strategy)
    for name, share in zip(NAMES, SHARES[strategy], strict=True):
        assert found.share(name) == pytest.approx(share, abs=0.04), name
    assert found.failed == found.suffered == 0


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_whatever_happens_to_one_target_no_caller_sees_it(strategy: str, condition: str):
    assert ran(strategy, condition).failed == 0


@pytest.mark.parametrize("condition", ["failing", "dead"])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_dead_target_costs_no_more_tries_than_the_breaker_allows(strategy: str, condition: str):
    # In 40 s: to open it, and one probe after 5 s, 15 s and 35 s. Where answers take time, those
    # under way when it opens come to the same.
    policy = BreakerPolicy()
    found = ran(strategy, condition)
    under_way = 4 if condition == "failing" else 0
    assert found.targets[0].failures <= policy.failures + 3 + under_way
    assert found.answered[NAMES[0]] == 0


@pytest.mark.parametrize("strategy", ["round_robin", "latency", "priority"])
def test_where_somebody_checks_a_dead_target_costs_the_threshold_and_no_probe(strategy: str):
    policy = BreakerPolicy(is_checked=True)
    found = simulate(strategy, "dead", seconds=40, policy=policy)
    assert found.targets[0].failures == policy.failures
    assert found.suffered == policy.failures
    assert found.failed == 0


def test_latency_beats_round_robin_by_far_with_one_slow_target():
    quick, even = ran("latency", "slow"), ran("round_robin", "slow")
    assert quick.percentile_ms(99) < even.percentile_ms(99) / 2
    assert quick.percentile_ms(95) < even.percentile_ms(95) / 4
    assert quick.share(NAMES[0]) < 0.03


def test_fewest_calls_keeps_away_from_a_slow_target_too():
    found = ran("least_connections", "slow")
    assert found.share(NAMES[0]) < 0.04
    assert found.percentile_ms(95) < ran("round_robin", "slow").percentile_ms(95)


def test_a_hedge_cuts_the_tail_of_a_target_that_is_slow_at_times():
    hedged, plain = ran("hedge", "spiky"), ran("round_robin", "spiky")
    assert hedged.percentile_ms(99) < plain.percentile_ms(99) / 3
    assert hedged.hedged <= 0.11 * hedged.calls + 10
    assert sum(each.cancelled for each in hedged.targets) == hedged.hedged


@pytest.mark.parametrize("strategy", ["round_robin", "latency", "weighted"])
def test_a_target_that_comes_and_goes_is_used_while_it_is_there(strategy: str):
    found = ran(strategy, "flapping")
    assert found.share(NAMES[0]) > 0.01
    assert found.targets[0].failures < 20


@pytest.mark.parametrize("strategy", ["round_robin", "priority", "latency"])
def test_a_limited_target_gets_what_it_takes_and_no_more_than_one_call_beyond(strategy: str):
    found = ran(strategy, "limited")
    assert found.answered[NAMES[0]] >= 5 * 38
    assert found.targets[0].failures <= 41


def test_sessions_stay_where_they_are():
    found = ran("session")
    assert all(found.share(name) > 0.02 for name in NAMES)
    assert found.suffered == 0


def test_the_same_seed_gives_the_same_calls():
    one, other = (simulate("latency", "slow", seconds=5) for _ in range(2))
    assert one.took_s == other.took_s


def test_the_table_has_a_line_for_each_condition():
    assert len(table(["priority"], ran).splitlines()) == 1 + len(CONDITIONS)
