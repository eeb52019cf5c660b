import asyncio
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

import msgspec
import pytest

from modelmux.config import upgrade as module
from modelmux.config.entrances import open_all, places
from modelmux.config.gateway import Gateway
from modelmux.config.listening import Listening
from modelmux.config.schema import Config, Server
from modelmux.config.upgrade import Handed, Handover, Ready, Successor, Upgrader
from modelmux.ingress.control import Upgraded
from tests.unit.config.gateways import Lines, loaded


@pytest.fixture(name="place")
def short_folder() -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="mm-") as name:
        yield Path(name)


class World:
    """A gateway that upgrades to whatever the test says is its command line."""

    def __init__(self, place: Path, environ: Mapping[str, str] | None) -> None:
        config = Config(server=Server(listen=(f"unix:{place}/a", f"unix:{place}/b")))
        self.lines = Lines()
        self.gateway = Gateway(loaded(config), output=self.lines)
        self.listening = Listening(open_all(places(config, {}, 0)))
        self.handed_over = 0
        self.upgrader = Upgrader(self.gateway, self.listening, self._hand_over, environ)

    def _hand_over(self) -> None:
        self.handed_over += 1

    def upgrade(self) -> Upgraded:
        async def run() -> Upgraded:
            async with self.gateway, asyncio.TaskGroup() as tasks:
                self.upgrader.start(tasks)
                told = await self.upgrader.upgrade()
                await self.upgrader.settled()
                return told

        told = asyncio.run(run())
        self.listening.close()
        return told


@pytest.fixture
def becomes(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a program the command line of this process."""

    def set_to(code: str) -> None:
        monkeypatch.setattr(sys, "orig_argv", [sys.executable, "-c", code])

    return set_to


ENVIRON = {"PATH": "/usr/bin:/bin"}
NONSENSE = """
import json, os, socket
channel = socket.socket(fileno=json.loads(os.environ["MODELMUX_HANDOVER"])["channel"])
channel.sendall(b"nonsense\\n")
channel.makefile().readline()
"""
TAKES_ONE = """
import json, os, socket
given = json.loads(os.environ["MODELMUX_HANDOVER"])
channel = socket.socket(fileno=given["channel"])
os.write(given["stderr"], b"")
address = given["listeners"][0]["address"]
channel.sendall(json.dumps({"pid": os.getpid(), "took": [address]}).encode() + b"\\n")
assert channel.makefile().readline() == "go\\n"
channel.sendall(b"done\\n")
"""


def test_a_new_process_takes_what_it_wants_and_the_old_one_lets_go(place: Path, becomes):
    becomes(TAKES_ONE)
    world = World(place, ENVIRON)
    told = world.upgrade()
    assert os.waitpid(told.pid, 0)[1] == 0  # it would outlive us, if we ended
    assert (told.upgraded, world.handed_over) == (True, 1)
    assert world.gateway.successor == told.pid != os.getpid()
    # The file of the listener that was taken stays; that of the other goes with its listener.
    assert [each.name for each in place.iterdir()] == ["a"]
    assert "a new process has taken over" in world.lines.text


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "import nothing_such_as_this",
            "ended with exit code 1: ModuleNotFoundError: No module named 'nothing_such_as_this'",
        ),
        (
            "import sys; sys.exit('modelmux: port: wrong\\n  hint: mend it')",
            "ended with exit code 1: port: wrong; hint: mend it",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "was ended by SIGKILL"),
        (
            NONSENSE,
            "said what was not expected: JSON is malformed",
        ),
    ],
    ids=["import error", "configuration", "crash", "nonsense"],
)
def test_one_that_does_not_get_so_far_changes_nothing(place: Path, becomes, code: str, said: str):
    becomes(code)
    world = World(place, ENVIRON)
    told = world.upgrade()
    assert not told.upgraded
    assert told.problems[0].message.startswith(f"the new process {said}")
    assert (world.handed_over, world.gateway.successor) == (0, 0)
    assert "not upgraded, this process goes on" in world.lines.text


def test_one_that_takes_too_long_is_ended(place: Path, becomes, monkeypatch):
    monkeypatch.setattr(module, "READY_S", 0.3)
    becomes("import signal; signal.pause()")
    world = World(place, ENVIRON)
    assert world.upgrade().problems[0].message == "the new process did not serve within 0.3 s"


def test_a_program_that_is_gone_is_told(place: Path, monkeypatch):
    monkeypatch.setattr(sys, "executable", str(place / "none"))
    world = World(place, ENVIRON)
    problem = world.upgrade().problems[0].message
    assert problem == "a new process cannot be started: No such file or directory"


def test_a_library_cannot_be_upgraded(place: Path):
    world = World(place, None)
    assert "`modelmux serve`" in world.upgrade().problems[0].message


def test_one_that_stops_cannot_be_upgraded(place: Path):
    world = World(place, ENVIRON)
    world.gateway.draining = True
    assert "is stopping" in world.upgrade().problems[0].message


def test_the_first_process_of_a_container_cannot_end(place: Path, monkeypatch):
    monkeypatch.setattr(os, "getpid", lambda: 1)
    world = World(place, ENVIRON)
    assert "the first of its container" in world.upgrade().problems[0].message


def test_before_it_serves_there_is_no_upgrade(place: Path):
    world = World(place, ENVIRON)
    assert not asyncio.run(world.upgrader.upgrade()).upgraded
    world.listening.close()


def test_sockets_of_systemd_go_on_to_the_next(place: Path, becomes):
    becomes("import os, sys; sys.exit(str(os.environ.get('LISTEN_PID')))")
    mine = World(place, {**ENVIRON, "LISTEN_PID": str(os.getpid())})
    assert str(os.getpid()) in mine.upgrade().problems[0].message
    others = World(place, {**ENVIRON, "LISTEN_PID": "1"})
    assert others.upgrade().problems[0].message.endswith(": None")


def test_the_new_side_says_what_it_took_and_opens_its_control_socket_after():
    ours, theirs = socket.socketpair()
    handover = Handover(1, theirs.detach(), 2, (Handed("unix:/a", (7,)), Handed("unix:/b", (8,))))
    successor = Successor.of(msgspec.json.encode(handover).decode())
    assert successor is not None
    assert successor.inherited == {"unix:/a": (7,), "unix:/b": (8,)}
    successor.taken = ["unix:/b"]
    opened: list[bytes] = []

    async def run() -> None:
        async def open_control() -> None:
            opened.append(b"go was said")

        async def old() -> None:
            reader, writer = await asyncio.open_connection(sock=ours)
            ready = msgspec.json.decode(await reader.readline(), type=Ready)
            assert ready == Ready(os.getpid(), ("unix:/b",))
            assert opened == []
            writer.write(b"go\n")
            assert await reader.readline() == b"done\n"
            writer.close()
            await writer.wait_closed()

        await asyncio.gather(successor.serves(open_control), old())

    asyncio.run(run())
    assert opened == [b"go was said"]


def test_who_is_given_nothing_takes_nobodys_place():
    assert Successor.of("") is None


def test_errors_go_to_the_log_of_the_old_process(tmp_path: Path, capfd):
    log = (tmp_path / "log").open("wb")
    fd = os.dup(log.fileno())
    kept = os.dup(2)
    try:
        Successor(Handover(1, -1, fd, ())).take_stderr()
        os.write(2, b"hello")
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        log.close()
    assert (tmp_path / "log").read_text() == "hello"
