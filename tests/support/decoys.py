"""Sockets of the machine's that nobody inside a sandbox may reach, and a program that tries."""

import os
import socket
from contextlib import ExitStack
from pathlib import Path

from tests.support.sandbox import Place


class Decoys:
    """Sockets of the machine's on which nobody is to be heard."""

    def __init__(self, stack: ExitStack, there: Place) -> None:
        self._socks: list[socket.socket] = []
        self.heard: list[str] = []
        self.places: dict[str, object] = {}
        stack.callback(self._close)
        for family, kind, at, name in (
            (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0), "tcp"),
            (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0), "udp"),
            (socket.AF_INET, socket.SOCK_STREAM, ("0.0.0.0", 0), "tcp on all"),
            (socket.AF_UNIX, socket.SOCK_STREAM, f"\0mm-decoy-{os.getpid()}", "abstract"),
            (socket.AF_UNIX, socket.SOCK_STREAM, f"/tmp/mm-{os.getpid()}.sock", "in /tmp"),
            (socket.AF_UNIX, socket.SOCK_STREAM, f"{there.runtime}/d.sock", "in the runtime"),
            (socket.AF_UNIX, socket.SOCK_STREAM, f"{there.home}/d.sock", "at home"),
            (socket.AF_UNIX, socket.SOCK_STREAM, f"{there.workdir}/d.sock", "in the project"),
            (socket.AF_UNIX, socket.SOCK_DGRAM, f"{there.workdir}/dgram.sock", "datagrams"),
        ):
            self._add(family, kind, at, name)
        if os.access("/run", os.W_OK):
            self._add(socket.AF_UNIX, socket.SOCK_STREAM, f"/run/mm-{os.getpid()}.sock", "in /run")
        if socket.has_ipv6:
            self._add(socket.AF_INET6, socket.SOCK_STREAM, ("::1", 0), "tcp6")

    def _add(self, family: int, kind: int, at: object, name: str) -> None:
        sock = socket.socket(family, kind)
        try:
            sock.bind(at)  # type: ignore[arg-type] # of its family
        except OSError:  # a system without IPv6
            sock.close()
            return
        if kind == socket.SOCK_STREAM:
            sock.listen()
        sock.setblocking(False)
        self._socks.append(sock)
        self.places[name] = (int(family), int(kind), sock.getsockname())

    def listen_once(self) -> None:
        """Note everybody who has come."""
        for sock in self._socks:
            for take in (sock.accept, lambda each=sock: each.recv(1)):
                try:
                    take()
                    self.heard.append(str(sock.getsockname()))
                except OSError:
                    continue

    def _close(self) -> None:
        for sock in self._socks:
            name = sock.getsockname()
            sock.close()
            if isinstance(name, str) and name:
                Path(name).unlink()


REACH = """
import os, socket, sys
decoys = eval(sys.argv[1])
reached = []
for name, (family, kind, at) in decoys.items():
    with socket.socket(family, kind) as sock:
        sock.settimeout(2)
        try:
            sock.connect(at)
            sock.send(b"x")
            if kind == socket.SOCK_STREAM:  # a datagram to a port of our own loopback is nobody's
                reached.append(name)
        except OSError:
            pass
for family, kind, protocol, at in (
    (socket.AF_INET, socket.SOCK_STREAM, 0, ("1.1.1.1", 443)),
    (socket.AF_INET, socket.SOCK_DGRAM, 0, ("8.8.8.8", 53)),
    (socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMP, ("1.1.1.1", 0)),
    (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP, ("1.1.1.1", 0)),
    (socket.AF_INET6, socket.SOCK_STREAM, 0, ("2606:4700:4700::1111", 443)),
    (40, socket.SOCK_STREAM, 0, (2, 1024)),
    (40, socket.SOCK_STREAM, 0, (1, 1024)),
    (17, socket.SOCK_RAW, 0, ("lo", 0)),
    (38, socket.SOCK_SEQPACKET, 0, ("hash", "sha256")),
    (29, socket.SOCK_RAW, 1, ("can0",)),
):
    try:
        with socket.socket(family, kind, protocol) as sock:
            sock.settimeout(2)
            sock.connect(at)
            sock.send(b"x" * 8)
            reached.append((family, at))
    except (OSError, ValueError, OverflowError):
        pass
for fd in range(3, 64):
    try:
        os.fstat(fd)
        reached.append(f"descriptor {fd}")
    except OSError:
        pass
print(reached)
"""
