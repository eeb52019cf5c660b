import os
import socket
import tempfile
import threading
from collections.abc import Generator
from pathlib import Path

import pytest

from modelmux.config.paths import directories
from modelmux.isolate import gateway, wire
from modelmux.isolate.failure import Refused


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Generator[Path, None, None]:
    """A runtime folder with a short name."""
    with tempfile.TemporaryDirectory(prefix="mm-") as name:
        monkeypatch.setenv("XDG_RUNTIME_DIR", name)
        path = Path(name) / "modelmux"
        path.mkdir()
        yield path


def listening(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock


@pytest.mark.parametrize("environ", [{"XDG_RUNTIME_DIR": "{}"}, {"XDG_STATE_HOME": "{}"}, {}])
def test_the_folder_of_sockets_is_the_gateways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str]
):
    for name in ("XDG_RUNTIME_DIR", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in environ.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    where = directories(os.environ)
    assert gateway.runtime_folder() == str(where.runtime)
    assert str(where.sandbox_socket(7)).endswith("/sandbox-7.sock")


def test_the_gateway_that_runs_is_found_and_those_that_died_are_not(folder: Path):
    listening(folder / "sandbox-1.sock").close()
    with listening(folder / "sandbox-2.sock") as sock:
        with gateway.connect("", ""):
            sock.accept()[0].close()
        with gateway.connect(str(folder / "control-2.sock"), ""):
            sock.accept()[0].close()
        with pytest.raises(Refused, match=r"no gateway listens on .*control-1\.sock"):
            gateway.connect(str(folder / "control-1.sock"), "")


def test_of_several_one_has_to_be_chosen(folder: Path):
    one, two = listening(folder / "sandbox-1.sock"), listening(folder / "sandbox-2.sock")
    with one, two, pytest.raises(Refused, match="2 gateways are running") as caught:
        gateway.connect("", "")
    assert caught.value.hint == (
        f"choose one: --control {folder}/control-1.sock or --control {folder}/control-2.sock"
    )


def handed_over(*answers: bytes) -> tuple[wire.Message, list[wire.Message]]:
    """What a gateway gets that answers so, and what it says beside."""
    ours, theirs = socket.socketpair()
    got: list[bytes] = []

    def answer() -> None:
        data, fds, _, _ = socket.recv_fds(theirs, 4096, 1)
        got.append(data)
        for fd in fds:
            os.close(fd)
        for each in answers:
            theirs.sendall(each)
        theirs.close()

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        with gateway.Line(ours) as line, socket.socket() as listener:
            line.hand_over(gateway.request("n", "k", ("m",), {"a": "b"}), listener.fileno())
            return wire.decoded(got[0]), list(line.lines.feed(b""))
    finally:
        thread.join()


def test_a_sandbox_is_handed_over_with_what_it_is_to_be():
    asked, _ = handed_over(b'{"ok":true}\n')
    assert asked == {"name": "n", "key": "k", "models": ["m"], "tags": {"a": "b"}}


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        ([b'{"ok":false,"error":"there is no key","hint":"add it"}\n'], "there is no key"),
        ([b'{"ok":false}\n'], "no reason was told"),
        ([], "ended before it took the sandbox"),
        ([b"HTTP/1.1 400\n"], "cannot be talked to"),
    ],
)
def test_a_gateway_that_will_not_is_told(answers: list[bytes], words: str):
    with pytest.raises(Refused, match=words):
        handed_over(*answers)
