import os
import subprocess
import sys

import pytest

from modelmux.cli.failure import CommandFailed
from modelmux.cli.stop import is_alive, stop
from tests.unit.cli.conftest import Cli, running


def test_stopping_waits_until_the_gateway_has_ended(cli: Cli, capsys: pytest.CaptureFixture[str]):
    with running() as gateway:
        gateway.says("/control/stop", {})
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            if len(slept) == 2:
                gateway.close()

        def lives(pid: int) -> bool:
            assert pid == 4711
            return len(slept) < 3

        assert stop(None, now=False, timeout_s=60, as_json=False, sleep=sleep, lives=lives) == 0
        assert "POST /control/stop" in gateway.asked
    assert len(slept) == 3
    assert capsys.readouterr().out == "pid 4711 has stopped\n"


def test_a_gateway_that_goes_on_is_a_failure_with_a_way_out(cli: Cli):
    with running() as gateway:
        gateway.says("/control/stop", {})
        with pytest.raises(CommandFailed, match="still runs after 1 s") as caught:
            stop(None, now=False, timeout_s=1, as_json=False, sleep=lambda _: None)
    assert "--now" in caught.value.hint


def test_a_gateway_that_cannot_say_is_not_taken_for_gone(cli: Cli):
    with running() as gateway:
        gateway.says("/control/stop", {})

        def sleep(_: float) -> None:
            gateway.says("/control/status", b"busy", 503)

        with pytest.raises(CommandFailed, match="still runs"):
            stop(None, now=False, timeout_s=1, as_json=False, sleep=sleep)


def test_not_waiting_returns_at_once(cli: Cli):
    with running() as gateway:
        gateway.says("/control/stop", {})
        assert cli("stop", "--no-wait").out == "pid 4711 was told to stop\n"
        assert cli("stop", "--no-wait", "--now", "--json").json() == {"pid": 4711, "stopped": False}
        assert gateway.asked[-1] == "POST /control/stop?now=1"


def test_without_a_gateway_the_exit_code_is_1(cli: Cli):
    assert cli("stop").code == 1


def test_a_process_that_does_not_end_is_not_waited_for_for_ever(cli: Cli):
    with running() as gateway:
        gateway.says("/control/stop", {})
        slept: list[float] = []

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            gateway.close()

        code = stop(None, now=False, timeout_s=60, as_json=False, sleep=sleep, lives=lambda _: True)
    assert code == 0
    assert sum(slept) < 10


def test_a_process_that_has_ended_is_not_alive_even_if_nobody_has_noticed():
    assert is_alive(os.getpid())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        assert is_alive(child.pid)
        assert child.stdin is not None
        child.stdin.write(b"\n")
        child.stdin.close()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(child.pid)
