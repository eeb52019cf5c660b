from modelmux.ingress.load import LOOK_S, Load
from tests.support.targets import FakeClock


class World:
    """A process with so many calls under way."""

    def __init__(self, *, max_in_flight: int = 0, max_lag_s: float = 0.0) -> None:
        self.clock = FakeClock()
        self.in_flight = 0
        self.shed = 0
        self.told: list[tuple[str, int]] = []
        self.load = Load(
            self,
            max_in_flight=max_in_flight,
            max_lag_s=max_lag_s,
            now=self.clock,
            later=self.clock.later,
            told=lambda why, count: self.told.append((why, count)),
        )

    def be_late(self, seconds: float) -> None:
        """Do something for so long that no timer runs meanwhile."""
        self.clock.time += seconds
        self.clock.advance(0.0)


def test_a_gateway_with_room_takes_every_call_and_sets_no_timer_it_does_not_need():
    world = World(max_in_flight=10)
    assert world.load.refusal() is None
    assert world.clock.pending == 0
    assert world.told == []


def test_calls_beyond_the_limit_are_sent_away_and_counted_and_told_once():
    world = World(max_in_flight=2)
    world.in_flight = 2
    for _ in range(3):
        refusal = world.load.refusal()
        assert refusal is not None
        assert (refusal.status, refusal.code, refusal.retry_after_s) == (
            503,
            "gateway_saturated",
            1.0,
        )
        assert "2 calls are under way" in refusal.message
    assert world.shed == 3
    world.in_flight = 1
    assert world.load.refusal() is None
    assert world.load.refusal() is None
    assert world.told == [("2 calls are under way", 0), ("", 3)]


def test_a_loop_that_is_behind_its_time_sends_calls_away_until_it_has_caught_up():
    world = World(max_lag_s=0.5)
    assert world.load.refusal() is None
    world.in_flight = 1
    world.be_late(LOOK_S + 1.0)  # one long step is not enough
    assert world.load.refusal() is None
    world.be_late(LOOK_S + 3.0)
    refusal = world.load.refusal()
    assert refusal is not None
    assert "s behind" in refusal.message
    world.clock.advance(10 * LOOK_S)
    assert world.load.refusal() is None
    assert [why != "" for why, _ in world.told] == [True, False]


def test_nothing_is_measured_once_nothing_is_under_way():
    world = World(max_lag_s=0.5)
    assert world.load.refusal() is None
    assert world.clock.pending == 1
    world.in_flight = 1
    world.clock.advance(10 * LOOK_S)
    assert world.clock.pending == 1
    world.in_flight = 0
    world.clock.advance(LOOK_S)
    assert world.clock.pending == 0
    assert world.load.lag_s == 0.0


def test_that_calls_are_taken_again_is_told_without_another_call():
    world = World(max_lag_s=0.1)
    world.load.refusal()
    world.in_flight = 1
    world.be_late(LOOK_S + 5.0)
    assert world.load.refusal() is not None
    world.in_flight = 0
    world.clock.advance(30 * LOOK_S)
    assert world.told[-1] == ("", 1)
    assert world.clock.pending == 0
