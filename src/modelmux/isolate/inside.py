"""The first process of a sandbox: makes it, runs the program, answers questions for names.

It talks with the wrapper outside over a socket, in lines of JSON. To the wrapper:
`{"listening": true}` with the descriptor of the listening socket; `{"ready": true}` or
`{"refused": …, "hint": …}`; `{"name": NAME}` for each name that is asked for;
`{"stopped": NUMBER}` when the program has been stopped from its terminal; `{"exit": CODE}`.
From it: `{"go": true}`, `{"signal": NUMBER}`, `{"continue": true, "foreground": …}`. When the
wrapper is gone, this process ends, and the kernel ends all others of the namespace.
"""

import os
import select
import signal
import socket
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from modelmux.isolate import dns, kernel, seccomp, view, wire
from modelmux.isolate.failure import Refused

PORT: Final = 41100
"""Where the gateway is inside: a port that is nobody's, so that programs may have theirs."""

BACKLOG: Final = 512

MAX_NAMES: Final = 1000
"""Different names that are told of: a program could ask for any number."""


class Program(NamedTuple):
    """What is run."""

    argv: Sequence[str]
    environ: Mapping[str, str]
    terminal: int
    """Descriptor of its terminal; -1: none."""
    held: Collection[int]
    """Signals that are held back for it."""
    is_front: bool = False
    """Whether it is to have the foreground of its terminal."""
    is_confined: bool = True
    """Whether system calls are filtered; what starts a container is not in it itself."""


def run(line: socket.socket, program: Program, seen: view.View) -> None:
    """Be the first process of the namespace; never returns."""
    code = 1
    try:
        code = _run(line, program, seen)
    except Refused as exc:
        _say(line, {"refused": exc.message, "hint": exc.hint})
    except OSError as exc:
        _say(line, {"refused": f"the sandbox cannot be made: {exc.strerror or exc}", "hint": ""})
    finally:
        os._exit(code)


def _run(line: socket.socket, program: Program, seen: view.View) -> int:
    kernel.die_with_parent(signal.SIGKILL)
    kernel.unshare(
        kernel.CLONE_NEWNET
        | kernel.CLONE_NEWNS
        | kernel.CLONE_NEWIPC
        | kernel.CLONE_NEWUTS
        | kernel.CLONE_NEWCGROUP
    )
    kernel.raise_loopback()
    names = open_network(line)
    view.build(seen)
    os.chdir(seen.workdir)
    return supervise(line, names, program)


def open_network(line: socket.socket) -> socket.socket | None:
    """Hand out the listening socket; the socket on which names are asked for is kept.

    For a process in a network namespace of its own. `None`: low ports cannot be had, so that
    nobody answers questions for names, which fails as quickly. Raises `OSError`.
    """
    names = _name_server()
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", PORT))
        listener.listen(BACKLOG)
        socket.send_fds(line, [wire.encoded({"listening": True})], [listener.fileno()])
    return names


def _name_server() -> socket.socket | None:
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        names.bind(("127.0.0.1", 53))
    except PermissionError:
        names.close()
        return None
    names.setblocking(False)
    return names


def supervise(line: socket.socket, names: socket.socket | None, program: Program) -> int:
    """Run the program once the wrapper says so, until it ends; 0 once that is told."""
    kernel.hide_memory()
    _say(line, {"ready": True})
    waker, woken = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(waker, False)
    signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    return _Supervisor(line, names, program, waker).run()


class _Supervisor:
    """Waits for everything at once."""

    def __init__(
        self, line: socket.socket, names: socket.socket | None, program: Program, waker: int
    ) -> None:
        self._line = line
        self._lines = wire.Lines(line)
        self._names = names
        self._program = program
        self._waker = waker
        self._told: set[str] = set()
        self._child = 0
        self._exit: int | None = None
        self._is_stopped = False

    def run(self) -> int:
        poll = select.poll()
        heard = {self._line.fileno(): self._obey, self._waker: self._reap}
        if self._names is not None:
            names = self._names
            heard[names.fileno()] = lambda: self._answer(names)
        for fd in heard:
            poll.register(fd, select.POLLIN)
        while self._exit is None:
            for fd, _ in poll.poll():
                heard[fd]()
        _say(self._line, {"exit": self._exit})
        return 0

    def _obey(self) -> None:
        """Do as the wrapper says. When it is gone, so are we."""
        try:
            messages = list(self._lines.read())
        except (OSError, ValueError):
            os._exit(1)
        if self._lines.is_closed:
            os._exit(1)
        for message in messages:
            if "go" in message:
                self._start()
            elif "signal" in message:
                self._signal(wire.number_of(message, "signal"))
            elif "continue" in message:
                self._continue(foreground=bool(message.get("foreground")))

    def _start(self) -> None:
        self._child = os.fork()
        if self._child == 0:
            _become(self._program)
        with suppress(OSError):  # it may have done so itself, and more
            os.setpgid(self._child, self._child)
        if self._program.is_confined:
            kernel.forgo_privileges()  # of ours: nothing is left to be made

    def _signal(self, number: int) -> None:
        if self._child:
            with suppress(OSError):
                os.kill(self._child, number)
                if self._is_stopped:  # else it would not hear of it
                    self._is_stopped = False
                    os.killpg(self._child, signal.SIGCONT)

    def _continue(self, *, foreground: bool) -> None:
        if foreground and self._program.terminal >= 0:
            take_terminal(self._program.terminal, self._child)
        self._is_stopped = False
        with suppress(OSError):
            os.killpg(self._child, signal.SIGCONT)

    def _reap(self) -> None:
        """Note how children ended; all orphans of the namespace are ours."""
        os.read(self._waker, 4096)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid != self._child:
                continue
            if os.WIFSTOPPED(status):
                self._is_stopped = True
                _say(self._line, {"stopped": os.WSTOPSIG(status)})
            else:
                code = os.waitstatus_to_exitcode(status)
                self._exit = 128 - code if code < 0 else code

    def _answer(self, names: socket.socket) -> None:
        """Say of a name that there is none."""
        with suppress(OSError):
            message, whence = names.recvfrom(dns.MAX_MESSAGE_BYTES)
            answer = dns.no_such_name(message)
            if not answer:
                return
            name = dns.question(message)
            if name not in self._told and len(self._told) < MAX_NAMES:
                self._told.add(name)
                _say(self._line, {"name": name})
            names.sendto(answer, whence)


def take_terminal(terminal: int, group: int) -> None:
    """Put a process group into the foreground of a terminal, from wherever we are."""
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    with suppress(OSError):
        os.tcsetpgrp(terminal, group)
    signal.signal(signal.SIGTTOU, before)


def _become(program: Program) -> None:
    """Turn into the program. Never returns."""
    try:
        os.setpgid(0, 0)
        if program.is_front:
            take_terminal(program.terminal, os.getpid())
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):  # which Python ignores
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, program.held)
        _close_others()
        if program.is_confined:
            kernel.forgo_privileges()
            kernel.restrict_calls(seccomp.program(kernel.machine()))
        os.execvpe(program.argv[0], list(program.argv), program.environ)
    except FileNotFoundError:
        _complain(f"there is no program {program.argv[0]!r} to be seen inside")
        os._exit(127)
    except OSError as exc:
        _complain(f"{program.argv[0]!r} cannot be executed: {exc.strerror or exc}")
        os._exit(126)
    finally:
        os._exit(125)


def _close_others() -> None:
    """Close every descriptor but the three that are the program's."""
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with suppress(OSError):  # the one with which the folder was read
                os.close(int(name))


def _complain(text: str) -> None:
    with suppress(OSError):
        os.write(2, f"modelmux: {text}\n".encode())


def _say(line: socket.socket, message: wire.Message) -> None:
    with suppress(OSError):  # the wrapper is gone, and so will we be
        line.sendall(wire.encoded(message))
