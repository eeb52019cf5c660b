import asyncio
import os
import socket
from pathlib import Path

import msgspec
import pytest

from modelmux.config.schema import Config, Provider
from modelmux.config.worker import LENGTH_BYTES, Assignment, Channel, Given, _opened, _received
from modelmux.ingress.address import UnixAddress
from modelmux.ingress.entrance import Identity
from modelmux.ingress.listen import Access


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Paths of unix sockets are short, and pytest's folders are not."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_a_worker_is_to_do_comes_through_the_channel():
    provider = Provider(name="p", type="openai", api_key="sk-1", models=("m",))
    given = Given("unix:/a", Access(0o660), Identity(key="k", tags={"a": "b"}), (7, 8))
    sent = Assignment(Config(providers=(provider,)), (given,), 5, "/run/control.sock")
    said = msgspec.msgpack.encode(sent)
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.sendall(len(said).to_bytes(LENGTH_BYTES) + said)
        assert _received(theirs) == sent


def test_given_sockets_are_listeners_of_their_place(folder: Path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind("a")
    sock.listen()
    given = Given("unix:a", Access(0o660), Identity(key="k"))
    (opened,) = _opened(given, [sock.detach()])
    assert opened.place.address == UnixAddress("a")
    assert (opened.place.access.mode, opened.identity.key) == (0o660, "k")
    opened.listener.close()
    assert list(folder.iterdir()) == []


def test_the_channel_brings_descriptors_and_tells_of_its_end():
    async def run() -> None:
        ours, theirs = socket.socketpair()
        channel = Channel(theirs)
        reading, writing = os.pipe()
        socket.send_fds(ours, [b"F"], [reading, writing])
        channel.say(b"R")
        assert ours.recv(1) == b"R"
        channel.read()
        there = list(channel.fds)
        assert len(there) == 2
        assert not channel.ended.is_set()
        os.write(there[1], b"x")
        assert os.read(reading, 1) == b"x"
        ours.close()
        await channel.ended.wait()
        channel.say(b"nobody hears this")
        for fd in (reading, writing, *there):
            os.close(fd)
        theirs.close()

    asyncio.run(run())
