import os
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest

from modelmux.config.entrances import Opened, Place, identity, open_all, places
from modelmux.config.schema import Config, Listener, Server
from modelmux.errors import ConfigError
from modelmux.ingress.address import FdAddress, TcpAddress, UnixAddress
from modelmux.ingress.entrance import CALLERS, Identity
from modelmux.ingress.listen import Access

PASSED = {"LISTEN_PID": "7", "LISTEN_FDS": "2"}


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Paths of unix sockets are short, and pytest's folders are not."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def opened(wanted: Sequence[Place]) -> list[Opened]:
    found = open_all(wanted)
    for each in found:
        each.listener.close()
    return found


def test_a_plain_address_lets_callers_in_as_themselves():
    config = Config(server=Server(listen=("unix:/s",)))
    assert places(config, {}, 7) == [Place(UnixAddress("/s"))]


def test_a_listener_is_what_its_table_says():
    said = Listener(
        address="unix:/a",
        mode="0660",
        owner="root:root",
        key="team",
        models=("fast",),
        tags={"agent": "a"},
        region="eu",
    )
    (place,) = places(Config(listeners=(said,)), {}, 7)
    assert place.access == Access(0o660, "root:root")
    assert place.identity == Identity("guest", "team", ("fast",), {"agent": "a"}, "eu")
    assert identity(said) == place.identity


def test_sockets_that_were_passed_are_meant_where_nothing_is_said():
    found = places(Config(), PASSED, 7)
    assert found == [Place(FdAddress(3)), Place(FdAddress(4))]


@pytest.mark.parametrize(
    "config",
    [
        Config(server=Server(port=3000)),
        Config(server=Server(listen=("127.0.0.1:3000",))),
    ],
)
def test_who_says_where_to_listen_is_not_given_more(config: Config):
    assert places(config, PASSED, 7) == [Place(TcpAddress("127.0.0.1", 3000))]


def test_a_listener_of_an_admin_has_a_file():
    (each,) = opened([Place(UnixAddress("s"), identity=Identity("admin"))])
    assert each.identity.surface == "admin"


def test_where_no_file_says_who_may_come_in_there_is_no_admin():
    tcp = socket.create_server(("127.0.0.1", 0))
    place = Place(FdAddress(tcp.detach()), identity=Identity("admin"))
    with pytest.raises(ConfigError, match="with a file only"):
        open_all([place])


def test_one_that_fails_closes_those_before_it():
    with pytest.raises(ConfigError):
        open_all([Place(UnixAddress("s")), Place(UnixAddress("no/such/folder"))])
    assert not Path("s").exists()


def test_a_socket_is_as_open_as_it_is_to_be():
    found = open_all([Place(UnixAddress("s"), Access(0o660, f"{os.getuid()}:{os.getgid()}"))])
    status = Path("s").stat()
    found[0].listener.close()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (
        0o660,
        os.getuid(),
        os.getgid(),
    )
    assert found[0].identity == CALLERS


def test_sockets_that_were_handed_over_are_taken_and_others_closed(folder: Path):
    taken, unwanted = (socket.socket(socket.AF_UNIX) for _ in range(2))
    for sock, name in ((taken, "a"), (unwanted, "x")):
        sock.bind(name)
        sock.listen()
    fd, closed = taken.detach(), unwanted.detach()
    config = Config(server=Server(listen=("unix:a", "unix:b")))
    found = open_all(places(config, {}, 7), {"unix:a": [fd], "unix:x": [closed]})
    assert [each.listener.socket.fileno() == fd for each in found] == [True, False]
    with pytest.raises(OSError):
        os.fstat(closed)
    found[0].listener.release()
    for each in found:
        each.listener.close()
    assert sorted(each.name for each in folder.iterdir()) == ["a", "x"]


def test_a_socket_without_its_file_is_not_taken(folder: Path):
    gone = socket.socket(socket.AF_UNIX)
    gone.bind("a")
    gone.listen()
    (folder / "a").unlink()
    config = Config(server=Server(listen=("unix:a",)))
    with pytest.raises(ConfigError, match="cannot listen on unix:a"):
        open_all(places(config, {}, 7), {"unix:a": [gone.detach()]})
