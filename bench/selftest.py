"""Tests the benchmark itself: that it finds no difference where there is none, and every fault.

Two nginx measured against each other must come out equal, and an upstream that answers wrongly on
purpose must end a run.
"""

from bench import scenario
from bench.fixture import Stream
from bench.load import LoadFailed, Order, Plan
from bench.server import PASSTHROUGH, TRANSLATED, Door, launch_nginx
from bench.session import Session, say

FAULTS: dict[str, tuple[Stream | None, str]] = {
    "status": (None, "another status"),
    "swap": (None, "a body of"),
    "short": (None, "closed before its end"),
    "cut": (Stream(chunks=40), "closed before its end"),
}
"""How the mock upstream answers wrongly, and what the load generator must say of it."""


def run(bench: Session, nginx: str, rounds: int) -> int:
    """Print what was found; 1 when a fault went unnoticed."""
    first, _ = launch_nginx(nginx)(bench.site("first"))
    second, _ = launch_nginx(nginx, name="gateway")(bench.site("second"))
    try:
        missed = [name for name in FAULTS if not _is_noticed(bench, first, name)]
        for number in range(rounds):
            doors = [first, second] if number % 2 == 0 else [second, first]
            for work in (PASSTHROUGH, TRANSLATED):
                scenario.whole(bench, doors, work)
                scenario.paced(bench, doors, work)
                scenario.burst(bench, doors, work)
            scenario.one_connection(bench, doors, PASSTHROUGH)
            scenario.open_loop(bench, doors, PASSTHROUGH)
            say(f"round {number + 1}/{rounds}")
    finally:
        for door in (first, second):
            if door.process:
                door.process.stop()
    bench.notes.append(f"faults that were not noticed: {', '.join(missed) or 'none'}")
    return 1 if missed else 0


def _is_noticed(bench: Session, door: Door, fault: str) -> bool:
    stream, complaint = FAULTS[fault]
    expected = bench.expected(door, PASSTHROUGH, stream)
    request = door.request(PASSTHROUGH, door.ask(PASSTHROUGH, stream, fault))
    try:
        bench.run(door, Order(Plan(requests=1, warmup_s=0), request, expected))
    except LoadFailed as error:
        return complaint in str(error)
    return False
