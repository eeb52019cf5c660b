import os

from bench import machine

STAT = """cpu  100 0 100 1000 5 0 1 2 0 0
cpu0 60 1 50 400 3 4 5 6 7 8
cpu1 40 0 50 600 2 0 1 2 0 0
intr 1
"""


def test_a_core_is_busy_with_everything_but_idling_and_waiting():
    ticks = 60 + 1 + 50 + 4 + 5 + 6
    assert machine.busy_ns(0, STAT) == ticks * 1_000_000_000 // machine.TICKS_PER_S


def test_server_and_driver_have_cores_of_their_own_where_there_are_two():
    cores = machine.choose_cores()
    allowed = os.sched_getaffinity(0)
    assert {cores.server, cores.driver} <= allowed
    assert cores.shared == (len(allowed) == 1)
