import os
import sys
import time
from pathlib import Path

import pytest

from bench import process
from bench.process import Process

IDLE = "import signal, sys; print('up', flush=True); signal.pause()"
PARENT = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {IDLE!r}]); {IDLE}"
DEAF_CHILD = PARENT.replace(
    "print('up', flush=True)",
    "signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True)",
    1,
)


def start(tmp_path: Path, code: str, lines: int) -> Process:
    """A process that has printed so many lines."""
    log = tmp_path / "log"
    core = min(os.sched_getaffinity(0))
    started = Process("it", [sys.executable, "-c", code], core=core, log=log)
    while log.read_bytes().count(b"up") < lines:
        started.check_alive()
    return started


def test_descendants_are_found_through_generations():
    parent_of = {1: 0, 10: 1, 11: 10, 12: 11, 20: 1, 21: 20}
    assert process.descendants(10, parent_of) == [10, 11, 12]
    assert process.descendants(21, parent_of) == [21]


def test_a_tree_is_measured_with_its_children(tmp_path: Path):
    started = start(tmp_path, PARENT, 2)
    try:
        tree = started.tree()
        assert len(tree) == 2
        alone = process.memory([started.pid])
        both = process.memory(tree)
        assert both.rss_bytes > alone.rss_bytes > 1_000_000
        assert both.pss_bytes <= both.rss_bytes
        assert process.cpu_ns(tree) > process.cpu_ns([started.pid]) > 0
        assert process.open_files(tree) >= 6
    finally:
        started.stop()


def test_stop_ends_children_that_would_stay(tmp_path: Path):
    started = start(tmp_path, DEAF_CHILD, 2)
    tree = started.tree()
    started.stop()
    assert len(tree) == 2
    assert not any(process.runs(pid) for pid in tree)


def test_the_cpu_clock_of_another_process_is_the_one_it_sees_itself(tmp_path: Path):
    code = "import time; e = time.process_time() + .2\nwhile time.process_time() < e: pass\n" + IDLE
    started = start(tmp_path, code, 1)
    try:
        assert 0.2 < process.cpu_ns([started.pid]) / 1e9 < 2
    finally:
        started.stop()


def test_a_process_that_has_ended_says_why(tmp_path: Path):
    core = min(os.sched_getaffinity(0))
    command = [sys.executable, "-c", "raise SystemExit('no such luck')"]
    ended = Process("it", command, core=core, log=tmp_path / "log")
    with pytest.raises(RuntimeError, match=r"it ended with 1:\nno such luck"):
        while True:
            ended.check_alive()


def test_what_is_started_inside_a_pin_stays_there(tmp_path: Path):
    before = os.sched_getaffinity(0)
    core = max(before)
    with process.pinned(core):
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before


def test_time_of_start_is_known(tmp_path: Path):
    before = time.monotonic_ns()
    started = start(tmp_path, IDLE, 1)
    started.stop()
    assert before <= started.started_ns <= time.monotonic_ns()
