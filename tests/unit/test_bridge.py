import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import NamedTuple

import pytest

from modelmux import bridge
from modelmux.bridge import Bridge, Unix, Vsock, listen_address, target

MB = 1024 * 1024


class Served(NamedTuple):
    """A bridge under way, and the socket behind it."""

    bridge: Bridge
    behind: socket.socket
    port: int

    def dial(self) -> tuple[socket.socket, socket.socket]:
        """A connection, and what came of it behind the bridge."""
        near = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        far, _ = self.behind.accept()
        far.settimeout(20)
        return near, far


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Served, None, None]:
    monkeypatch.chdir(tmp_path)  # a short path
    with socket.socket(socket.AF_UNIX) as behind:
        behind.bind("s")
        behind.listen(1024)
        listener = bridge.open_listener("127.0.0.1", 0)
        port = listener.getsockname()[1]
        running = Bridge(listener, Unix("s"))
        thread = threading.Thread(target=running.run)
        thread.start()
        try:
            yield Served(running, behind, port)
        finally:
            running.stop()
            thread.join(20)
    assert not thread.is_alive()


def received(sock: socket.socket) -> bytes:
    """Everything up to the end."""
    found = b""
    while data := sock.recv(65_536):
        found += data
    return found


def test_bytes_go_both_ways(served: Served):
    near, far = served.dial()
    with near, far:
        near.sendall(b"asked")
        assert far.recv(16) == b"asked"
        far.sendall(b"answered")
        assert near.recv(16) == b"answered"


def test_an_end_in_one_direction_leaves_the_other_open(served: Served):
    near, far = served.dial()
    with near, far:
        near.sendall(b"all of it")
        near.shutdown(socket.SHUT_WR)
        assert received(far) == b"all of it"
        far.sendall(b"the answer")
        far.close()
        assert received(near) == b"the answer"


def test_nothing_is_lost_of_much_that_goes_both_ways(served: Served):
    near, far = served.dial()
    sent = os.urandom(8 * MB)
    found: dict[str, bytes] = {}

    def take(name: str, sock: socket.socket) -> None:
        found[name] = received(sock)

    def give(sock: socket.socket) -> None:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)

    with near, far:
        jobs: list[Callable[[], None]] = [
            lambda: take("near", near),
            lambda: take("far", far),
            lambda: give(near),
            lambda: give(far),
        ]
        threads = [threading.Thread(target=job) for job in jobs]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == {"near": sent, "far": sent}


def test_who_does_not_read_is_not_read_for(served: Served):
    near, far = served.dial()
    with near, far:
        near.settimeout(1)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 64 * MB:
                sent += near.send(b"x" * MB)
        assert sent < 16 * MB  # what the system holds on both ways, and little more


def test_a_client_that_vanishes_is_told_behind(served: Served):
    near, far = served.dial()
    with far:
        near.close()
        assert received(far) == b""


def test_where_nobody_listens_the_connection_ends(served: Served):
    served.behind.close()
    near = socket.create_connection(("127.0.0.1", served.port), timeout=20)
    with near, contextlib.suppress(ConnectionResetError):
        assert received(near) == b""


def test_hundreds_at_once_and_none_is_left(served: Served):
    bridge._allow_descriptors()
    pairs = [served.dial() for _ in range(300)]
    for at, (near, _) in enumerate(pairs):
        near.sendall(b"%d" % at)
    for at, (near, far) in enumerate(pairs):
        assert far.recv(16) == b"%d" % at
        near.close()
    for _, far in pairs:
        assert received(far) == b""
        far.close()
    near, far = served.dial()
    near.close()
    assert received(far) == b""
    far.close()
    assert served.bridge.connections <= 1


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("unix:/run/s", Unix("/run/s")),
        ("unix:@name", Unix("\0name")),
        ("vsock:2:3000", Vsock(2, 3000)),
        ("vsock:host:3000", Vsock(2, 3000)),
    ],
)
def test_where_to(text: str, found: object):
    assert target(text) == found


@pytest.mark.parametrize("text", ["unix:", "vsock:any:1", "vsock:2", "tcp:1.1.1.1:443", ""])
def test_nowhere_else(text: str):
    with pytest.raises(ValueError, match="expected unix:PATH"):
        target(text)


def test_only_the_loopback_is_listened_on():
    assert listen_address("127.0.0.1:80") == ("127.0.0.1", 80)
    assert listen_address("[::1]:80") == ("::1", 80)
    assert listen_address(":80") == ("127.0.0.1", 80)
    for text in ("0.0.0.0:80", "[::]:80", "10.0.0.1:80", "127.0.0.1:x", "127.0.0.1:65536", "80"):
        with pytest.raises(ValueError, match="expected a loopback address"):
            listen_address(text)


def alone(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """The file by itself, with an interpreter that knows nothing of modelmux."""
    copy = folder / "bridge.py"
    shutil.copyfile(bridge.__file__, copy)
    argv = [sys.executable, "-I", "-S", str(copy), *words]
    return subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)


def test_copied_alone_it_runs_a_command_and_ends_with_it(tmp_path: Path):
    ask = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1])));"
    ask += "print(s.recv(9).decode()); sys.exit(6)"
    with tempfile_socket() as (behind, path), socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()

        def greet() -> None:
            with behind.accept()[0] as far:
                far.sendall(b"hello")

        thread = threading.Thread(target=greet)
        thread.start()
        listen = f"127.0.0.1:{port}"
        command = [sys.executable, "-I", "-S", "-c", ask, str(port)]
        done = alone(tmp_path, "--listen", listen, "--to", f"unix:{path}", "--", *command)
        thread.join()
    assert (done.returncode, done.stdout) == (6, "hello\n"), done.stderr


@contextlib.contextmanager
def tempfile_socket() -> Generator[tuple[socket.socket, str], None, None]:
    with tempfile.TemporaryDirectory(prefix="mm-") as folder, socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"{folder}/s")
        sock.listen()
        yield sock, f"{folder}/s"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--listen", "0.0.0.0:1", "--to", "unix:/s"), 2, "expected a loopback address"),
        (("--listen", "127.0.0.1:0", "--to", "x"), 2, "expected unix:PATH"),
        (("--listen", "127.0.0.1:0", "--to", "unix:/s", "--", "/no/such"), 127, "cannot be"),
        ((), 2, "--listen"),
    ],
)
def test_what_cannot_be_is_told(tmp_path: Path, words: tuple[str, ...], code: int, told: str):
    done = alone(tmp_path, *words)
    assert done.returncode == code
    assert told in done.stderr
