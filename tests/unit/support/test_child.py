import signal
import sys
from pathlib import Path

import pytest

from tests.support.child import Child, ChildError


def child(directory: Path, source: str) -> Child:
    return Child([sys.executable, "-u", "-c", source], directory)


def test_what_a_program_prints_is_in_its_log(tmp_path: Path):
    program = child(tmp_path, "import sys; print('out'); print('err', file=sys.stderr)")
    assert program.wait() == 0
    assert program.log == "out\nerr\n"


def test_it_is_waited_for_until_it_is_ready(tmp_path: Path):
    program = child(tmp_path, "print('ready'); import signal; signal.pause()")
    assert program.wait_until(lambda: "ready" in program.log or None, "ready")
    assert program.is_running
    assert program.stop() == -signal.SIGTERM


def test_a_program_reads_nothing_from_the_terminal(tmp_path: Path):
    program = child(tmp_path, "print(repr(input()))")
    assert program.wait() == 1
    assert "EOFError" in program.log


def test_a_program_that_dies_before_it_is_ready_is_reported_at_once(tmp_path: Path):
    program = child(tmp_path, "raise SystemExit('no config')")
    with pytest.raises(ChildError, match=r"(?s)ended with 1 before ready.*no config"):
        program.wait_until(lambda: None, "ready")


def test_a_program_that_ends_in_order_has_its_exit_code(tmp_path: Path):
    source = (
        "import signal, sys\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n"
        "print('ready'); signal.pause()\n"
    )
    program = child(tmp_path, source)
    program.wait_until(lambda: "ready" in program.log or None, "ready")
    assert program.stop() == 0


def test_a_program_that_ignores_sigterm_is_killed_and_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source = (
        "import signal\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('ready')\nwhile True: signal.pause()\n"
    )
    program = child(tmp_path, source)
    program.wait_until(lambda: "ready" in program.log or None, "ready")
    monkeypatch.setattr("tests.support.child.STOP_S", 0.1)
    with pytest.raises(ChildError, match="did not end"):
        program.stop()
    assert not program.is_running


def test_stopping_twice_is_no_error(tmp_path: Path):
    program = child(tmp_path, "")
    assert program.wait() == 0
    assert program.stop() == 0
