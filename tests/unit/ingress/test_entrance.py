import asyncio
import os
import socket

import pytest

from modelmux.errors import LimitExceeded
from modelmux.ingress.entrance import CALLERS, Entrance, Identity
from modelmux.target.call import Peer


class Line(asyncio.BaseTransport):
    """A transport of which the socket and the peer's name are known, or not."""

    def __init__(self, sock: object = None, peername: object = None) -> None:
        super().__init__({"socket": sock, "peername": peername})


class Guest:
    """A socket of a virtual machine's, as much of it as is looked at."""

    family = 40

    def __init__(self, name: object) -> None:
        self._name = name

    def getpeername(self) -> object:
        if isinstance(self._name, OSError):
            raise self._name
        return self._name


def test_a_listener_that_says_nothing_changes_nobody():
    assert not CALLERS.changes_callers
    assert not Identity("guest", region="eu").changes_callers


@pytest.mark.parametrize(
    "identity",
    [
        Identity(key="a"),
        Identity(models=("m",)),
        Identity(tags={"a": "b"}),
        Identity("admin", asks=False),
    ],
)
def test_a_listener_with_an_identity_changes_callers(identity: Identity):
    assert identity.changes_callers


def test_a_budget_lets_so_many_calls_in_and_no_more():
    entrance = Entrance("sandbox", budget_calls=2)
    entrance.admit()
    entrance.admit()
    with pytest.raises(LimitExceeded, match="used up"):
        entrance.admit()


def test_without_a_budget_any_number_of_calls_is_let_in():
    entrance = Entrance("sandbox")
    for _ in range(3):
        entrance.admit()
    assert entrance.calls_left is None


def test_the_kernel_says_who_connected_to_a_unix_socket():
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    with ours, theirs:
        peer = Entrance("unix:/s", Identity(region="eu")).peer(Line(ours))
    assert peer == Peer("unix:/s", "eu", uid=os.getuid(), gid=os.getgid(), pid=os.getpid())


def test_a_caller_on_tcp_has_an_address():
    with socket.socket() as sock:
        assert Entrance("t").peer(Line(sock, ("10.0.0.9", 1))) == Peer("t", host="10.0.0.9")
        assert Entrance("t").peer(Line(sock)) == Peer("t")


@pytest.mark.parametrize(("name", "cid"), [((3, 1024), 3), (None, None), (OSError(), None)])
def test_a_virtual_machine_has_a_number(name: object, cid: int | None):
    assert Entrance("v").peer(Line(Guest(name))) == Peer("v", cid=cid)


def test_of_a_connection_without_a_socket_nothing_is_known():
    assert Entrance("x").peer(Line()) == Peer("x")


class Connection(asyncio.Transport):
    """A transport that says whether it was cut."""

    def __init__(self) -> None:
        super().__init__()
        self.is_cut = False

    def abort(self) -> None:
        self.is_cut = True


def test_a_connection_too_many_is_cut():
    entrance = Entrance("sandbox")
    entrance.max_connections = 2
    lines = [Connection() for _ in range(3)]
    for line in lines:
        entrance.enter(line)
    assert [line.is_cut for line in lines] == [False, False, True]


def test_without_a_limit_everybody_is_let_in():
    entrance = Entrance("tcp")
    line = Connection()
    entrance.enter(line)
    assert entrance.transports == {line}
    assert not line.is_cut
