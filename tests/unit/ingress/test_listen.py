import os
import socket
import stat
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from modelmux.errors import ConfigError
from modelmux.ingress import activation
from modelmux.ingress.address import (
    ANY_CID,
    Address,
    FdAddress,
    TcpAddress,
    UnixAddress,
    VsockAddress,
)
from modelmux.ingress.listen import Access, Listener, open_all, open_one
from tests.support import plain

HERE = "127.0.0.1"

Open = Callable[..., list[Listener]]


@pytest.fixture(name="listen")
def opener() -> Generator[Open]:
    """Opens addresses; all are closed at the end, and nothing may be left open."""
    with ExitStack() as stack:

        def listen(*addresses: Address) -> list[Listener]:
            listeners = open_all(addresses)
            for listener in listeners:
                stack.callback(listener.close)
            return listeners

        yield listen


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose sockets can be named by short paths: they are below the working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refusal(*addresses: Address) -> str:
    """What is said of addresses that cannot be had, with the hint behind it."""
    with pytest.raises(ConfigError) as caught:
        open_all(addresses)
    return f"{caught.value.message} | {caught.value.hint}"


@contextmanager
def bound(path: str | None = None) -> Iterator[socket.socket]:
    """A socket of somebody else's that listens."""
    with socket.socket(socket.AF_UNIX if path else socket.AF_INET) as other:
        other.bind(path or (HERE, 0))
        other.listen()
        yield other


def reaches(listener: Listener, address: object, family: int = socket.AF_INET) -> bool:
    """Whether a client at `address` comes out at `listener`."""
    with socket.socket(family) as client:
        client.settimeout(5)
        client.connect(address)
        accepted, _ = listener.socket.accept()
        accepted.close()
        return True


# TCP


def test_a_port_is_listened_on(listen: Open):
    port = plain.free_port()
    (listener,) = listen(TcpAddress(HERE, port))
    assert reaches(listener, (HERE, port))
    assert listener.name == f"{HERE}:{port}"
    assert not listener.is_exposed


def test_a_port_of_the_kernels_choice_is_told(listen: Open):
    (listener,) = listen(TcpAddress(HERE, 0))
    port = listener.socket.getsockname()[1]
    assert port != 0
    assert listener.name == f"{HERE}:{port}"


def test_every_interface_is_listened_on_for_ipv4_and_ipv6(listen: Open):
    (listener,) = listen(TcpAddress("", 0))
    port = listener.socket.getsockname()[1]
    assert reaches(listener, (HERE, port))
    assert reaches(listener, ("::1", port), socket.AF_INET6)
    assert listener.is_exposed
    assert listener.name == f":{port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1"])
def test_loopback_is_not_exposed(listen: Open, host: str):
    (listener,) = listen(TcpAddress(host, 0))
    assert not listener.is_exposed


def test_a_name_is_listened_on_at_every_address_it_stands_for(listen: Open):
    port = plain.free_port()
    listeners = listen(TcpAddress("localhost", port))
    wanted = {found[4][0] for found in socket.getaddrinfo("localhost", port)}
    assert {listener.socket.getsockname()[0] for listener in listeners} == wanted
    assert not any(listener.is_exposed for listener in listeners)
    assert {listener.name for listener in listeners} == {f"localhost:{port}"}


Resolve = Callable[..., list[tuple[object, ...]]]


def resolving(*addresses: tuple[int, str]) -> Resolve:
    """A resolver for which every name stands for `addresses`."""

    def getaddrinfo(_host: str, port: int, **_hints: object) -> list[tuple[object, ...]]:
        return [
            (family, socket.SOCK_STREAM, 6, "", (host, port, 0, 0)[: 4 if ":" in host else 2])
            for family, host in addresses
        ]

    return getaddrinfo


NOT_OURS = (socket.AF_INET6, "2001:db8::1")
"""An address for documentation, which no machine has."""


@pytest.mark.parametrize("place", [(socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")])
def test_an_address_that_stands_for_all_is_exposed(
    listen: Open, monkeypatch: pytest.MonkeyPatch, place: tuple[int, str]
):
    monkeypatch.setattr(socket, "getaddrinfo", resolving(place))
    (listener,) = listen(TcpAddress(place[1], 0))
    assert listener.is_exposed


def test_an_address_of_a_name_that_the_machine_does_not_have_is_left_out(
    listen: Open, monkeypatch: pytest.MonkeyPatch
):
    """As `::1` of `localhost` in a container without IPv6."""
    monkeypatch.setattr(socket, "getaddrinfo", resolving(NOT_OURS, (socket.AF_INET, HERE)))
    (listener,) = listen(TcpAddress("localhost", 0))
    assert listener.socket.getsockname()[0] == HERE


def test_a_name_that_stands_for_one_address_twice_is_listened_on_once(
    listen: Open, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(socket, "getaddrinfo", resolving(*[(socket.AF_INET, HERE)] * 2))
    assert len(listen(TcpAddress("localhost", 0))) == 1


def test_a_name_without_any_address_of_the_machines_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(socket, "getaddrinfo", resolving(NOT_OURS))
    said = refusal(TcpAddress("elsewhere", 80))
    assert said.startswith("cannot listen on elsewhere:80: ")
    assert "choose an address of this machine" in said


def test_a_name_of_which_one_address_is_taken_is_refused_as_a_whole(
    monkeypatch: pytest.MonkeyPatch,
):
    with bound() as other:
        port = other.getsockname()[1]
        places = ((socket.AF_INET, "127.0.0.2"), (socket.AF_INET, HERE))
        monkeypatch.setattr(socket, "getaddrinfo", resolving(*places))
        assert "in use" in refusal(TcpAddress("localhost", port))
    with socket.socket() as free:
        free.bind(("127.0.0.2", port))  # what was open already is closed again


def test_a_port_in_use_is_told_with_what_to_do():
    with bound() as other:
        port = other.getsockname()[1]
        assert refusal(TcpAddress(HERE, port)) == (
            f"cannot listen on {HERE}:{port}: the address is in use | "
            "stop what listens there (`modelmux stop`?), or choose another port"
        )


def test_a_name_that_resolves_nowhere_is_refused():
    said = refusal(TcpAddress("nowhere.invalid", 80))
    assert said.startswith("cannot listen on nowhere.invalid:80: ")


def test_all_are_closed_again_when_one_cannot_be_had(folder: Path):
    port = plain.free_port()
    with bound() as other:
        taken = TcpAddress(HERE, other.getsockname()[1])
        refusal(TcpAddress(HERE, port), UnixAddress("s"), taken)
    assert not (folder / "s").exists()
    with socket.socket() as free:
        free.bind((HERE, port))


# Unix sockets


def test_a_unix_socket_is_listened_on_and_open_to_its_owner_only(listen: Open, folder: Path):
    before = os.umask(0)  # the loosest there is
    try:
        (listener,) = listen(UnixAddress("s"))
    finally:
        assert os.umask(before) == 0
    mode = (folder / "s").stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert reaches(listener, "s", socket.AF_UNIX)
    assert listener.name == "unix:s"
    assert not listener.is_exposed


def test_the_file_goes_when_the_listener_closes(folder: Path):
    (listener,) = open_one(UnixAddress("s"))
    listener.close()
    assert not (folder / "s").exists()
    listener.close()  # and again is no harm


def test_a_file_that_is_gone_already_is_no_trouble(folder: Path):
    (listener,) = open_one(UnixAddress("s"))
    (folder / "s").unlink()
    listener.close()


def test_the_socket_of_a_gateway_that_is_gone_is_replaced(listen: Open, folder: Path):
    with bound("s"):
        pass
    assert (folder / "s").exists()
    (listener,) = listen(UnixAddress("s"))
    assert reaches(listener, "s", socket.AF_UNIX)


def test_a_socket_that_somebody_listens_on_is_left_alone(folder: Path):
    with bound("s") as other:
        assert refusal(UnixAddress("s")) == (
            "unix:s: another process listens there | "
            "stop it (`modelmux stop`), or choose another path"
        )
        with socket.socket(socket.AF_UNIX) as client:
            client.connect("s")
        other.accept()[0].close()


def test_a_socket_whose_owner_is_too_busy_to_accept_is_left_alone(folder: Path):
    with bound("s") as other:
        other.listen(0)
        with ExitStack() as stack:
            for _ in range(3):  # more than wait for being accepted
                client = stack.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect_ex("s")
            assert "another process listens there" in refusal(UnixAddress("s"))
    assert (folder / "s").exists()


def test_a_file_that_is_no_socket_is_left_alone(folder: Path):
    (folder / "s").write_text("precious")
    assert refusal(UnixAddress("s")) == (
        "unix:s: expected a free path or an old socket, found another file | "
        "choose another path, or remove the file if it is not needed"
    )
    assert (folder / "s").read_text() == "precious"


def test_a_folder_that_is_missing_is_told_with_what_to_do(folder: Path):
    said = refusal(UnixAddress("none/s"))
    assert said == "cannot listen on unix:none/s: No such file or directory | make the folder first"


def test_the_socket_of_the_next_gateway_is_not_taken_away(folder: Path):
    """It may start while this one still drains, and get the number of the file that was ours."""
    (first,) = open_one(UnixAddress("s"))
    first.socket.close()  # as the server does when it begins to stop
    (second,) = open_one(UnixAddress("s"))
    first.close()
    assert reaches(second, "s", socket.AF_UNIX)
    second.close()
    assert not (folder / "s").exists()


def test_a_file_that_took_the_sockets_place_is_left_alone(folder: Path):
    (listener,) = open_one(UnixAddress("s"))
    (folder / "s").unlink()
    (folder / "s").write_text("precious")
    listener.close()
    assert (folder / "s").read_text() == "precious"


def test_an_abstract_name_is_listened_on_without_a_file(listen: Open, folder: Path):
    name = f"modelmux-test-{os.getpid()}"
    (listener,) = listen(UnixAddress(name, abstract=True))
    assert reaches(listener, f"\0{name}", socket.AF_UNIX)
    assert listener.name == f"unix:@{name}"
    assert list(folder.iterdir()) == []
    assert "in use" in refusal(UnixAddress(name, abstract=True))


# Descriptors and vsock


def test_a_listening_socket_that_was_handed_over_is_taken(listen: Open):
    handed = socket.create_server((HERE, 0))
    port = handed.getsockname()[1]
    fd = handed.detach()
    (listener,) = listen(FdAddress(fd))
    assert listener.name == f"fd:{fd}"
    assert reaches(listener, (HERE, port))
    assert not listener.is_exposed


def test_a_socket_that_was_handed_over_closes_with_its_listener():
    handed = socket.create_server((HERE, 0))
    port = handed.getsockname()[1]
    (listener,) = open_one(FdAddress(handed.detach()))
    listener.close()
    with socket.socket() as client, pytest.raises(ConnectionRefusedError):
        client.connect((HERE, port))


def test_a_socket_that_was_handed_over_tells_whom_it_is_open_to(listen: Open):
    handed = socket.create_server(("", 0))
    (listener,) = listen(FdAddress(handed.detach()))
    assert listener.is_exposed


def test_the_file_of_a_socket_that_was_handed_over_is_its_makers(folder: Path):
    with bound("s") as handed:
        (listener,) = open_one(FdAddress(handed.detach()))
        assert not listener.is_exposed
        listener.close()
    assert (folder / "s").exists()


def test_a_socket_that_does_not_listen_is_refused_and_left_open():
    with socket.socket() as handed:
        said = refusal(FdAddress(handed.fileno()))
        assert "expected a listening socket" in said
        assert "has to call listen()" in said
        handed.getsockname()


def test_what_is_no_socket_is_refused_and_left_open(folder: Path):
    with (folder / "file").open("w") as handed:
        before = len(os.listdir("/dev/fd"))  # noqa: PTH208
        assert refusal(FdAddress(handed.fileno())).startswith(
            f"cannot listen on fd:{handed.fileno()}: "
        )
        assert len(os.listdir("/dev/fd")) == before  # noqa: PTH208
        handed.write("still open")


def test_a_descriptor_that_is_not_open_is_told_with_what_to_do():
    fd = os.open("/dev/null", os.O_RDONLY)
    os.close(fd)
    said = refusal(FdAddress(fd))
    assert said.startswith(f"cannot listen on fd:{fd}: ")
    assert "has to pass the descriptor on" in said


def test_vsock_is_listened_on_or_refused_in_words():
    """Whether there is any depends on the machine."""
    address = VsockAddress(ANY_CID, 50_123)
    try:
        (listener,) = open_one(address)
    except ConfigError as exc:
        assert "vsock:any:50123" in exc.message
    else:
        assert listener.name == "vsock:any:50123"
        assert not listener.is_exposed
        listener.close()


def test_a_system_without_vsock_is_told_what_else_there_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delattr(socket, "AF_VSOCK", raising=False)
    assert refusal(VsockAddress(ANY_CID, 1)) == (
        "vsock:any:1: this system has no vsock | listen on a unix socket"
    )


def test_a_socket_may_be_opened_wider_and_given_away(folder: Path):
    access = Access(0o666, f":{os.getgid()}")
    (listener,) = open_one(UnixAddress("s"), access)
    mode = (folder / "s").stat().st_mode & 0o777
    listener.close()
    assert mode == 0o666


@pytest.mark.parametrize("owner", ["no-such-user", ":no-such-group"])
def test_an_owner_that_is_nobody_leaves_no_socket(folder: Path, owner: str):
    with pytest.raises(ConfigError, match="expected a user or USER:GROUP of this machine"):
        open_one(UnixAddress("s"), Access(owner=owner))
    assert not (folder / "s").exists()


def test_a_socket_that_cannot_be_given_away_is_not_left(
    folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def refused(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "chown", refused)  # root may give away what it likes
    with pytest.raises(ConfigError, match="cannot be given to '0'"):
        open_one(UnixAddress("s"), Access(owner="0"))
    assert not (folder / "s").exists()


def test_only_a_path_is_a_file(folder: Path):
    with bound("s") as unix, socket.create_server((HERE, 0)) as tcp:
        assert (folder / "s").exists()
        assert Listener(FdAddress(unix.fileno()), unix).is_file
        assert not Listener(FdAddress(tcp.fileno()), tcp).is_file
    with socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind(f"\0mm-{os.getpid()}")
        assert not Listener(FdAddress(abstract.fileno()), abstract).is_file


def test_sockets_that_were_passed_are_found_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch):
    with bound("s") as handed:
        assert (folder / "s").exists()
        passed = [("web", 99), ("agents", handed.detach())]
        monkeypatch.setattr(activation, "descriptors", lambda *_: passed)
        (listener,) = open_one(FdAddress(name="agents"))
        listener.close()
        with pytest.raises(ConfigError, match="there are: agents, web"):
            open_one(FdAddress(name="agent"))
