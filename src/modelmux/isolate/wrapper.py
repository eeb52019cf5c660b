"""The process outside: makes the sandbox, hands it to the gateway, waits, and tells how it was."""

import os
import select
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from typing import IO, Final

from modelmux.isolate import gateway, inside, kernel, plan, wire
from modelmux.isolate.failure import CANNOT, Refused
from modelmux.isolate.options import Options
from modelmux.isolate.summary import Summary

FORWARDED: Final = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
"""Signals to us that are meant for the program."""

SETUP_S: Final = 30.0
"""Longest wait for a sandbox to be made: on a quiet machine it takes 20 ms."""

DONE_S: Final = 5.0
"""Longest wait for the gateway to tell of the last calls."""

SYSCTLS: Final = "/proc/sys"

Start = Callable[[socket.socket, inside.Program, plan.Plan], int]
"""Starts the first process of a sandbox; its process id."""


def run(options: Options, environ: Mapping[str, str]) -> int:
    """Run a program isolated; its exit code, or `CANNOT` if it was not run."""
    try:
        return _run(options, environ)
    except Refused as exc:
        sys.stderr.write(f"modelmux: {exc.message}\n")
        if exc.hint:
            sys.stderr.write(f"  hint: {exc.hint}\n")
        return CANNOT


def _run(options: Options, environ: Mapping[str, str]) -> int:
    plan.check_system()
    with ExitStack() as stack:
        log: IO[bytes] | None = None
        if options.log:
            log = _opened(options.log)
            stack.callback(log.close)
        wanted = plan.make(options, environ)
        line = stack.enter_context(gateway.connect(options.control, options.config))
        summary = Summary(log)
        run_ = _Run(line, summary, *terminal())
        code = run_.run(options, wanted, _starter(options))
        summary.end(code)
    if not options.quiet:
        for text in summary.lines():
            sys.stderr.write(f"modelmux: {text}\n")
    return code


def _starter(options: Options) -> Start:
    if options.backend == "userns":
        return start
    # Few use them, and their modules need not be read for the others.
    if options.backend == "bwrap":
        from modelmux.isolate import bwrap  # noqa: PLC0415

        return bwrap.start
    from modelmux.isolate import docker  # noqa: PLC0415

    return docker.Docker(options.image).start


def start(line: socket.socket, program: inside.Program, wanted: plan.Plan) -> int:
    """Fork the first process of a sandbox of our own making. Raises `Refused`."""
    uid, gid = os.geteuid(), os.getegid()
    try:
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWPID)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{uid} {uid} 1")
        _write("/proc/self/gid_map", f"{gid} {gid} 1")
    except OSError as exc:
        raise Refused(
            f"user namespaces cannot be had: {exc.strerror or exc}", hint=remedy()
        ) from None
    pid = os.fork()
    if pid == 0:
        inside.run(line, program, wanted.view)
    return pid


def remedy() -> str:
    """What an administrator has to change, as far as the system tells."""
    found: list[str] = []
    for name, closed in (
        ("kernel.unprivileged_userns_clone", "0"),
        ("user.max_user_namespaces", "0"),
        ("kernel.apparmor_restrict_unprivileged_userns", "1"),
    ):
        try:
            with open(f"{SYSCTLS}/{name.replace('.', '/')}", encoding="ascii") as file:
                if file.read().strip() == closed:
                    found.append(name)
        except OSError:
            continue
    if "kernel.apparmor_restrict_unprivileged_userns" in found:
        return (
            "sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile "
            "that allows `userns` for this Python; or --backend bwrap, if bwrap has one"
        )
    if "user.max_user_namespaces" in found:
        return "sudo sysctl user.max_user_namespaces=10000"
    if found:
        return f"sudo sysctl {found[0]}=1"
    return (
        "allow user namespaces (in a container: its seccomp profile forbids them), "
        "or use --backend bwrap or docker"
    )


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _opened(path: str) -> IO[bytes]:
    try:
        return open(path, "ab", opener=_private)  # the run's
    except OSError as exc:
        raise Refused(f"--log: {path!r} cannot be written: {exc.strerror}") from None


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def terminal() -> tuple[int, bool]:
    """The descriptor of our terminal, or -1; and whether we are in its foreground."""
    for fd in (0, 1, 2):
        try:
            if os.isatty(fd):
                return fd, os.tcgetpgrp(fd) == os.getpgrp()
        except OSError:  # it is no terminal of our session
            continue
    return -1, False


class _Run:
    """One run, from here on."""

    def __init__(self, line: gateway.Line, summary: Summary, terminal: int, is_front: bool) -> None:
        self._gateway = line
        self._summary = summary
        self._terminal = terminal
        self._is_given = is_front
        """The program has the foreground of the terminal, which was ours."""
        self._is_over = False
        self._is_done = False
        self._exit: int | None = None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self._inside = ours
        self._theirs = theirs
        self._lines = wire.Lines(ours)

    def run(self, options: Options, wanted: plan.Plan, start_: Start) -> int:
        """Run the program; its exit code. Raises `Refused`."""
        before = _block()  # none is lost until we can pass them on
        program = inside.Program(
            wanted.argv, wanted.environ, self._terminal, before, self._is_given
        )
        pid = 0
        try:
            pid = start_(self._theirs, program, wanted)
            self._theirs.close()
            listener = self._listener()
            name = f"isolate-{os.getpid()}"
            request = gateway.request(name, options.key, options.models, options.labels)
            if options.budget_calls is not None:
                request["budget_calls"] = options.budget_calls
            try:
                self._gateway.hand_over(request, listener)
            finally:
                os.close(listener)
            self._wait_ready()
            return self._watch(before)
        finally:
            self._inside.close()
            self._theirs.close()
            if pid:
                if self._exit is None:  # else it ends by itself, and takes all others along
                    with suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
                with suppress(OSError):
                    os.waitpid(pid, 0)
            if self._is_given:
                inside.take_terminal(self._terminal, os.getpgrp())
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def _listener(self) -> int:
        """The listening socket of the sandbox, as a descriptor of ours. Raises `Refused`."""
        self._inside.settimeout(SETUP_S)
        try:
            data, fds, _, _ = socket.recv_fds(self._inside, wire.READ_BYTES, 1)
        except OSError as exc:
            raise Refused(f"the sandbox cannot be made: {exc}") from None
        for message in self._lines.feed(data):
            self._take(message)
        if not fds:
            raise Refused("the sandbox ended before it was made")
        return fds[0]

    def _wait_ready(self) -> None:
        is_ready = False
        while not is_ready:
            try:
                messages = list(self._lines.read())
            except (OSError, ValueError) as exc:
                raise Refused(f"the sandbox cannot be made: {exc}") from None
            if self._lines.is_closed:
                raise Refused("the sandbox ended before it was made")
            for message in messages:
                is_ready = is_ready or "ready" in message
                self._take(message)
        self._inside.settimeout(None)

    def _watch(self, before: set[signal.Signals]) -> int:
        """Wait for the end, and pass on what comes meanwhile."""
        waker, woken = os.pipe()
        os.set_blocking(woken, False)
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(woken, warn_on_full_buffer=False)
        handlers = {
            number: signal.signal(number, _noted)
            for number in FORWARDED
            if signal.getsignal(number) is not signal.SIG_IGN  # as `nohup` has it
        }
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        try:
            self._say({"go": True})
            self._loop(waker)
            code = self._exit
            if code is None:
                raise Refused("the sandbox ended without a word", hint="was it out of memory?")
            self._finish()
            return code
        finally:
            signal.set_wakeup_fd(-1)
            for number, handler in handlers.items():
                signal.signal(number, handler)
            os.close(waker)
            os.close(woken)

    def _loop(self, waker: int) -> None:
        poll = select.poll()
        line = self._gateway.socket.fileno()
        fds: dict[int, Callable[[], None]] = {
            self._inside.fileno(): self._hear,
            waker: lambda: self._forward(waker),
            line: self._told,
        }
        for fd in fds:
            poll.register(fd, select.POLLIN)
        while self._exit is None and not self._lines.is_closed:
            for fd, _ in poll.poll():
                fds[fd]()
            if self._is_over and line in fds:
                poll.unregister(line)
                del fds[line]

    def _hear(self) -> None:
        """Take what the sandbox says."""
        with suppress(OSError):
            for message in self._lines.read():
                self._take(message)

    def _take(self, message: wire.Message) -> None:
        if "refused" in message:
            hint = wire.text_of(message, "hint")
            raise Refused(wire.text_of(message, "refused"), hint=hint)
        if name := wire.text_of(message, "name"):
            self._summary.name(name)
        elif "stopped" in message:
            self._stop()
        elif "exit" in message:
            self._exit = wire.number_of(message, "exit")

    def _told(self) -> None:
        """Take what the gateway says. When it is gone, the program goes on without."""
        lines = self._gateway.lines
        try:
            for message in lines.read():
                self._is_done = self._summary.told(message) or self._is_done
        except (OSError, ValueError):
            lines.is_closed = True
        if lines.is_closed:
            self._is_over = True
            if not self._is_done:
                sys.stderr.write("modelmux: the gateway has ended; the program has no models now\n")

    def _forward(self, waker: int) -> None:
        for number in os.read(waker, 4096):
            if number in FORWARDED:
                self._say({"signal": number})

    def _stop(self) -> None:
        """The program was stopped from its terminal: stop, too, until somebody continues us."""
        if self._terminal < 0:
            return
        if self._is_given:
            inside.take_terminal(self._terminal, os.getpgrp())
        os.killpg(0, signal.SIGTSTP)  # all of the job; the shell takes over, and comes back here
        self._is_given = False
        with suppress(OSError):
            self._is_given = os.tcgetpgrp(self._terminal) == os.getpgrp()
        self._say({"continue": True, "foreground": self._is_given})

    def _finish(self) -> None:
        """Let the gateway tell the rest."""
        line = self._gateway
        with suppress(OSError, ValueError):
            line.socket.shutdown(socket.SHUT_WR)
            line.socket.settimeout(DONE_S)
            while not (self._is_done or self._is_over or line.lines.is_closed):
                for message in line.lines.read():
                    self._is_done = self._summary.told(message) or self._is_done

    def _say(self, message: wire.Message) -> None:
        with suppress(OSError):  # it has ended, and that is noticed elsewhere
            self._inside.sendall(wire.encoded(message))


def _block() -> set[signal.Signals]:
    """Hold signals that are to be passed on; those that were held before."""
    return {signal.Signals(each) for each in signal.pthread_sigmask(signal.SIG_BLOCK, FORWARDED)}


def _noted(_number: int, _frame: object) -> None:
    """Take a signal; its number is in the pipe that was set to be woken by."""


def main(options: Options) -> int:
    """`run` with the environment of this process."""
    return run(options, os.environ)


__all__: Sequence[str] = ["main", "run", "start"]
