#!/usr/bin/env python3
"""A loopback port that is a unix socket or a vsock: for programs that can dial neither.

    python3 bridge.py --listen 127.0.0.1:3000 --to unix:/run/modelmux/agent.sock
    python3 bridge.py --listen 127.0.0.1:3000 --to vsock:2:3000 [-- COMMAND …]

It runs inside of a virtual machine or a container, as `modelmux bridge` or copied alone: it needs
Python 3.8 or newer and nothing else. With a command, that is run once the port is open, its exit
code is ours, and the port is closed with it.

Each side's end is passed on by itself, so that a request whose sender has finished gets its answer.
What one side sends is read no faster than the other takes it, and nothing else is kept: at most
`BUFFER_BYTES` a direction.
"""

import argparse
import contextlib
import errno
import re
import resource
import selectors
import signal
import socket
import subprocess
import sys
import time
from typing import Dict, Final, List, NamedTuple, Optional, Sequence, Tuple, Union  # noqa: UP035

BUFFER_BYTES: Final = 65_536
"""Most that is held of one direction of a connection."""

BACKLOG: Final = 1024

DIAL_RETRY_S: Final = 0.02
"""How soon to dial again where the other side's queue is full: a unix socket does not wait."""

DIAL_GIVE_UP_S: Final = 10.0

SPARE_FDS: Final = 32
"""Descriptors that are not for connections."""

PAUSE_S: Final = 0.05
"""How long nobody is let in when descriptors have run out."""

USAGE: Final = 2


class Unix(NamedTuple):
    """A socket with a path, or with an abstract name that begins with NUL."""

    path: str


class Vsock(NamedTuple):
    """A socket of a virtual machine or its host."""

    cid: int
    port: int


Target = Union[Unix, Vsock]  # noqa: UP007 # of 3.8


def target(text: str) -> Target:
    """What is written after `--to`. Raises `ValueError`."""
    if text.startswith("unix:") and len(text) > len("unix:"):
        path = text[len("unix:") :]
        return Unix("\0" + path[1:] if path.startswith("@") else path)
    found = re.fullmatch(r"vsock:(\d{1,10}|host|any):(\d{1,10})", text)
    if found:
        cid = {"host": 2}.get(found[1], found[1])
        if cid != "any":
            return Vsock(int(cid), int(found[2]))
    raise ValueError(f"expected unix:PATH, unix:@NAME or vsock:CID:PORT, got {text!r}")


def listen_address(text: str) -> Tuple[str, int]:  # noqa: UP006 # of 3.8
    """What is written after `--listen`. Raises `ValueError`."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if (
        ":" not in text
        or not (port.isascii() and port.isdigit() and int(port) < 65_536)
        or not _is_loopback(host)
    ):
        raise ValueError(f"expected a loopback address such as 127.0.0.1:3000, got {text!r}")
    return host or "127.0.0.1", int(port)


def _is_loopback(host: str) -> bool:
    """Others must not be let through: whoever reaches the port has what is behind it."""
    return host in ("", "localhost", "::1") or bool(re.fullmatch(r"127(\.\d{1,3}){3}", host))


class Side:
    """One end of a pair: its socket, and what waits to be sent to it."""

    __slots__ = ("events", "fd", "has_ended", "other", "pair", "sock", "unsent", "was_told")

    def __init__(self, sock: socket.socket, pair: "Pair") -> None:
        self.sock = sock
        self.fd = sock.fileno()
        self.pair = pair
        self.other: Side = self
        self.unsent = b""
        self.has_ended = False
        """It sends no more."""
        self.was_told = False
        """It has been told that the other sends no more."""
        self.events = 0


class Pair:
    """A connection that came in, and the one that was made for it."""

    __slots__ = ("dialled", "ends")

    def __init__(self, near: socket.socket, far: socket.socket, *, dialled: bool) -> None:
        self.ends = (Side(near, self), Side(far, self))
        self.ends[0].other, self.ends[1].other = self.ends[1], self.ends[0]
        self.dialled = dialled
        """The connection that was made is there."""


class Waiting(NamedTuple):
    """A connection for which the other side's queue is full."""

    near: socket.socket
    give_up: float


class Bridge:
    """Passes connections on. One thread, whatever their number."""

    def __init__(self, listener: socket.socket, to: Target) -> None:
        """Serve `listener`, which is closed in the end; nothing happens before `run`."""
        self._listener = listener
        self._to = to
        self._selector = selectors.DefaultSelector()
        self._pairs: Dict[int, Pair] = {}  # noqa: UP006 # of 3.8
        self._waiting: List[Waiting] = []  # noqa: UP006 # of 3.8
        self._resume_at = 0.0
        self._is_stopped = False
        self._woken, self._waker = socket.socketpair()
        for sock in (listener, self._woken, self._waker):
            sock.setblocking(False)
        self._selector.register(listener, selectors.EVENT_READ, None)
        self._selector.register(self._woken, selectors.EVENT_READ, None)

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._pairs)

    def stop(self) -> None:
        """End `run`, from whatever thread or signal handler."""
        self._is_stopped = True
        with contextlib.suppress(OSError):
            self._waker.send(b"x")

    def run(self) -> None:
        """Pass on until stopped; then everything is closed."""
        try:
            while not self._is_stopped:
                for key, events in self._selector.select(self._timeout()):
                    if key.data is None:
                        self._let_in(key.fileobj)
                    else:
                        self._move(key.data, events)
                self._later()
        finally:
            for pair in list(self._pairs.values()):
                self._close(pair)
            for waiting in self._waiting:
                waiting.near.close()
            self._selector.close()
            for sock in (self._listener, self._woken, self._waker):
                sock.close()

    def _timeout(self) -> Optional[float]:  # noqa: UP045 # of 3.8
        if self._waiting:
            return DIAL_RETRY_S
        return PAUSE_S if self._resume_at else None

    def _later(self) -> None:
        """Do what had to wait."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            self._dial(each)
        if self._resume_at and time.monotonic() >= self._resume_at:
            self._resume_at = 0.0
            self._selector.register(self._listener, selectors.EVENT_READ, None)

    def _let_in(self, sock: object) -> None:
        if sock is not self._listener:
            return  # woken up, to see that we are stopped
        for _ in range(BACKLOG):
            try:
                near, _ = self._listener.accept()
            except BlockingIOError:
                return
            except OSError:  # no more descriptors: those that wait are let in when there are
                self._selector.unregister(self._listener)
                self._resume_at = time.monotonic() + PAUSE_S
                return
            near.setblocking(False)
            self._dial(Waiting(near, time.monotonic() + DIAL_GIVE_UP_S))

    def _dial(self, waiting: Waiting) -> None:
        """Make the connection for one that came in; it is closed if that cannot be."""
        near = waiting.near
        try:
            far = _socket(self._to)
        except OSError:  # no more descriptors, or no vsock
            near.close()
            return
        code = far.connect_ex(_place(self._to))
        if code == errno.EAGAIN and time.monotonic() < waiting.give_up:
            far.close()
            self._waiting.append(waiting)
            return
        if code not in (0, errno.EINPROGRESS):
            far.close()
            near.close()
            return
        pair = Pair(near, far, dialled=code == 0)
        self._pairs[near.fileno()] = pair
        for side in pair.ends:
            self._watch(side)

    def _watch(self, side: Side) -> None:
        """Wait for what can be done with one end, and for nothing else."""
        events = 0
        if not side.pair.dialled:
            events = selectors.EVENT_WRITE if side is side.pair.ends[1] else 0
        elif not side.has_ended and len(side.other.unsent) < BUFFER_BYTES:
            events |= selectors.EVENT_READ
        if side.unsent:
            events |= selectors.EVENT_WRITE
        if events == side.events:
            return
        if not side.events:
            self._selector.register(side.fd, events, side)
        elif events:
            self._selector.modify(side.fd, events, side)
        else:
            self._selector.unregister(side.fd)
        side.events = events

    def _move(self, side: Side, events: int) -> None:
        if side.pair.ends[0].fd not in self._pairs:
            return  # closed by what came before in the same round
        try:
            if not side.pair.dialled:
                side.pair.dialled = _is_made(side.sock)
            elif events & selectors.EVENT_READ and not side.has_ended:
                data = side.sock.recv(BUFFER_BYTES - len(side.other.unsent))
                side.has_ended = not data
                side.other.unsent += data
                self._send(side.other)
            if events & selectors.EVENT_WRITE:
                self._send(side)
        except BlockingIOError:
            pass
        except OSError:  # it is gone: nothing can come from there or go there
            self._close(side.pair)
            return
        if all(each.was_told for each in side.pair.ends):
            self._close(side.pair)
            return
        self._watch(side)
        self._watch(side.other)

    def _send(self, side: Side) -> None:
        """Send what waits, and when all of it is sent, its end."""
        if side.unsent:
            with contextlib.suppress(BlockingIOError):
                sent = side.sock.send(side.unsent)
                side.unsent = side.unsent[sent:]
        if side.other.has_ended and not side.unsent and not side.was_told:
            side.was_told = True
            with contextlib.suppress(OSError):
                side.sock.shutdown(socket.SHUT_WR)

    def _close(self, pair: Pair) -> None:
        if self._pairs.pop(pair.ends[0].fd, None) is None:
            return
        for side in pair.ends:
            if side.events:
                self._selector.unregister(side.fd)
                side.events = 0
            side.sock.close()


def _socket(to: Target) -> socket.socket:
    family = socket.AF_UNIX if isinstance(to, Unix) else socket.AF_VSOCK
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    return sock


def _place(to: Target) -> Union[str, Tuple[int, int]]:  # noqa: UP006, UP007 # of 3.8
    return to.path if isinstance(to, Unix) else (to.cid, to.port)


def _is_made(sock: socket.socket) -> bool:
    """True: a connection that was being made is there. Raises `OSError` if it cannot be had."""
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        raise OSError(code, "")
    return True


def open_listener(host: str, port: int) -> socket.socket:
    """A listening socket of the loopback. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def run(listen: str, to: str, command: Sequence[str] = ()) -> int:
    """Pass on until a signal comes, or the command ends; the exit code."""
    try:
        where, goal = listen_address(listen), target(to)
    except ValueError as exc:
        return _complain(str(exc), USAGE)
    _allow_descriptors()
    try:
        listener = open_listener(*where)
    except OSError as exc:
        return _complain(f"cannot listen on {listen}: {exc.strerror}")
    bridge = Bridge(listener, goal)
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    if not command:
        before = {each: signal.signal(each, lambda _number, _: bridge.stop()) for each in numbers}
        host, port = listener.getsockname()[:2]
        sys.stderr.write(f"modelmux bridge: {host}:{port} is {to}\n")
        bridge.run()
        for each, handler in before.items():
            signal.signal(each, handler)
        return 0
    return _with_command(bridge, command, numbers)


def _with_command(bridge: Bridge, command: Sequence[str], numbers: Sequence[signal.Signals]) -> int:
    try:
        child = subprocess.Popen(list(command))  # noqa: S603 # it is what was asked for
    except OSError as exc:
        return _complain(f"{command[0]!r} cannot be executed: {exc.strerror}", 127)
    for each in numbers:
        signal.signal(each, lambda number, _: child.send_signal(number))

    def ended(_number: int, _frame: object) -> None:
        if child.poll() is not None:
            bridge.stop()

    signal.signal(signal.SIGCHLD, ended)
    if child.poll() is None:
        bridge.run()
    code = child.wait()
    return 128 - code if code < 0 else code


def _allow_descriptors() -> None:
    """Have as many descriptors as the system lets us: each connection takes two."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _complain(text: str, code: int = 1) -> int:
    sys.stderr.write(f"modelmux: {text}\n")
    return code


def main(arguments: Sequence[str]) -> int:
    """The program by itself."""
    parser = argparse.ArgumentParser(
        prog="bridge.py", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--listen", required=True, metavar="127.0.0.1:PORT")
    parser.add_argument("--to", required=True, metavar="unix:PATH|vsock:CID:PORT")
    parser.add_argument("command", nargs="*", help="run it, and end with it")
    said = parser.parse_args(list(arguments))
    return run(said.listen, said.to, said.command)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
