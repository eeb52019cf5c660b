"""What the first process does in its namespaces is seen in `tests/e2e/test_isolate.py`."""

import os
import signal
import socket
from collections.abc import Mapping
from contextlib import suppress

import pytest

from modelmux.isolate import inside, kernel, wire
from modelmux.isolate.inside import Program

PLAIN = Program(("sh", "-c", "exit 3"), {"PATH": "/usr/bin:/bin"}, -1, (), is_confined=False)


def supervised(
    program: Program, *orders: wire.Message, then: Mapping[str, wire.Message] | None = None
) -> list[wire.Message]:
    """What is told of a program that runs in this very network, with these orders.

    `then` has what is ordered once something is told.
    """
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        ours.close()
        with suppress(BaseException):
            inside.supervise(theirs, None, program)
        os._exit(0)
    theirs.close()
    with ours:
        lines = wire.Lines(ours)
        ours.settimeout(20)
        found: list[wire.Message] = []
        for order in orders:
            ours.sendall(wire.encoded(order))
        while not lines.is_closed:
            for message in lines.read():
                found.append(message)
                for word, order in (then or {}).items():
                    if word in message:
                        ours.sendall(wire.encoded(order))
    os.waitpid(pid, 0)
    return found


def test_a_program_runs_when_the_wrapper_says_so():
    assert supervised(PLAIN, {"go": True}) == [{"ready": True}, {"exit": 3}]


def test_a_program_that_a_signal_ends_has_that_as_its_code():
    program = PLAIN._replace(argv=("sh", "-c", "kill -TERM $$"))
    assert supervised(program, {"go": True})[-1] == {"exit": 128 + signal.SIGTERM}


@pytest.mark.parametrize(("name", "code"), [("/no/such", 127), ("/etc/passwd", 126)])
def test_a_program_that_cannot_be_has_a_code_too(name: str, code: int):
    assert supervised(PLAIN._replace(argv=(name,)), {"go": True})[-1] == {"exit": code}


def test_a_program_that_is_stopped_is_told_and_goes_on():
    program = PLAIN._replace(argv=("sh", "-c", "kill -STOP $$; exit 5"))
    go_on = {"stopped": {"continue": True, "foreground": False}}
    told = supervised(program, {"go": True}, then=go_on)
    assert told[1:] == [{"stopped": signal.SIGSTOP}, {"exit": 5}]


def test_a_program_that_is_stopped_can_be_ended():
    program = PLAIN._replace(argv=("sh", "-c", "kill -STOP $$; exit 5"))
    told = supervised(program, {"go": True}, then={"stopped": {"signal": int(signal.SIGTERM)}})
    assert told[-1] == {"exit": 128 + signal.SIGTERM}


def test_a_sandbox_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch):
    def refused(_flags: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    ours, theirs = socket.socketpair()
    with ours, theirs:
        pid = os.fork()
        if pid == 0:
            monkeypatch.setattr(kernel, "unshare", refused)
            inside.run(theirs, PLAIN, None)  # type: ignore[arg-type] # it comes to nothing before
        theirs.close()
        (told,) = wire.Lines(ours).read()
        os.waitpid(pid, 0)
    assert told == {"refused": "the sandbox cannot be made: Operation not permitted", "hint": ""}
