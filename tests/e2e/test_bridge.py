"""`modelmux bridge` in front of a gateway: thousands of connections, and no memory for each."""

import os
import resource
import socket
import subprocess
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager

from tests.support import plain, sandbox
from tests.support.memory import resident_bytes

CONNECTIONS = 2000

SPARE_FDS = 200

BODY = b'{"model":"modelmux/echo","messages":[{"role":"user","content":"%b"}]}' % (b"x" * 500)
REQUEST = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"content-length: %d\r\n\r\n%b" % (len(BODY), BODY)
)

MB = 1024 * 1024


@contextmanager
def many_descriptors() -> Generator[int, None, None]:
    """As many as the system lets us have; how many connections that is enough for."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[1], before[1]))
    try:
        # The bridge has two for each.
        yield min(CONNECTIONS, (before[1] - SPARE_FDS) // 2)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def answer(sock: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        got += sock.recv(65_536)
    head, _, body = got.partition(b"\r\n\r\n")
    (length,) = (
        int(line.split(b":")[1])
        for line in head.lower().split(b"\r\n")
        if line.startswith(b"content-length")
    )
    while len(body) < length:
        body += sock.recv(65_536)
    return head.split(b" ", 2)[1]


def test_thousands_of_connections_take_next_to_nothing():
    with ExitStack() as stack:
        there = stack.enter_context(sandbox.place())
        count = stack.enter_context(many_descriptors())
        port = plain.free_port()
        to = f"unix:{there.folder}/g.sock"
        argv = [sys.executable, "-m", "modelmux", "bridge", "--listen", f"127.0.0.1:{port}"]
        bridge = stack.enter_context(
            subprocess.Popen([*argv, "--to", to], stderr=subprocess.PIPE, env=there.environ())
        )
        stack.callback(bridge.terminate)
        assert bridge.stderr is not None
        assert b" is unix:" in bridge.stderr.readline()
        bare = len(os.listdir(f"/proc/{bridge.pid}/fd"))  # noqa: PTH208 # as many as there are
        socks = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=40))
            for _ in range(count)
        ]

        def ask_all() -> None:
            for sock in socks:
                sock.sendall(REQUEST)
            assert {answer(sock) for sock in socks} == {b"200"}

        ask_all()
        after_one = resident_bytes(bridge.pid)
        ask_all()
        ask_all()
        assert resident_bytes(bridge.pid) - after_one < MB
        assert len(os.listdir(f"/proc/{bridge.pid}/fd")) == bare + 2 * count  # noqa: PTH208
