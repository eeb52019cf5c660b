"""Connections that are opened for real, on loopback and unix sockets."""

import asyncio
import errno
import os
import socket

import pytest

from modelmux.transport.connection import Connection
from modelmux.transport.dial import KEEPALIVE_IDLE_S, dial
from modelmux.transport.origin import parse
from modelmux.transport.tls import Tls
from tests.unit.transport.certificates import make_authority
from tests.unit.transport.loopback import LOOPS, Owner, begin, play, serving, settle, until


@pytest.fixture(params=LOOPS)
def loop(request):
    return LOOPS[request.param]


async def dialled(url: str, trust: Tls | None = None) -> tuple[Connection, Owner]:
    owner = Owner()
    loop = asyncio.get_running_loop()
    connection = await dial(parse(url), trust or Tls(), lambda: Connection(owner, url, loop))
    return connection, owner


async def ended(connection: Connection, owner: Owner) -> None:
    connection.retire()
    await until(lambda: owner.calls[-1] == "lost")


def test_a_tcp_connection_is_probed_when_it_is_silent_and_does_not_wait_to_send(loop):
    async def scene():
        async with serving() as server:
            connection, owner = await dialled(server.url)
            sock = connection._transport.get_extra_info("socket")
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == KEEPALIVE_IDLE_S
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            await ended(connection, owner)

    play(scene, loop)


@pytest.mark.parametrize("abstract", [False, True])
def test_unix_sockets_are_dialled_by_path_and_by_name(loop, tmp_path, abstract):
    path = f"@modelmux-test-{os.getpid()}" if abstract else str(tmp_path / "s.sock")

    async def scene():
        async with serving(unix_path=path) as server:
            connection, owner = await dialled(server.url)
            await server.accept()
            await ended(connection, owner)

    play(scene, loop)


def test_a_unix_socket_whose_queue_is_full_is_waited_for(loop, tmp_path):
    async def scene():
        path = str(tmp_path / "s.sock")
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
            listener.bind(path)
            listener.listen(0)
            first.connect(path)
            dialling = begin(dialled(f"unix:{path}"))
            await settle()
            assert not dialling.done()
            listener.accept()[0].close()
            connection, owner = await dialling
            await ended(connection, owner)

    play(scene, loop)


def test_giving_up_a_full_unix_socket_leaves_nothing_open(loop, tmp_path):
    async def scene():
        path = str(tmp_path / "s.sock")
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
            listener.bind(path)
            listener.listen(0)
            first.connect(path)
            dialling = begin(dialled(f"unix:{path}"))
            await asyncio.sleep(0)
            dialling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dialling

    play(scene, loop)


def test_what_does_not_resolve_and_what_is_not_there_are_errors_of_the_system(loop, tmp_path):
    async def scene():
        with pytest.raises(socket.gaierror):
            await dialled("http://nowhere.invalid")
        with pytest.raises(FileNotFoundError):
            await dialled(f"unix:{tmp_path}/none.sock")

    play(scene, loop)


def test_http_1_is_agreed_upon_although_the_server_likes_http_2_better(loop, tmp_path):
    authority = make_authority(tmp_path)

    async def scene():
        async with serving(tls=authority.server("127.0.0.1")) as server:
            connection, owner = await dialled(server.url, Tls(ca_file=str(authority.ca_file)))
            tls = connection._transport.get_extra_info("ssl_object")
            assert tls.selected_alpn_protocol() == "http/1.1"
            await ended(connection, owner)

    play(scene, loop)


def test_cancelling_a_tls_handshake_closes_what_was_opened(loop, tmp_path):
    async def scene():
        async with serving() as server:
            dialling = begin(dialled(server.url.replace("http", "https"), Tls(verify=False)))
            line = await server.accept()
            await line.reader.read(1)
            dialling.cancel()
            with pytest.raises(asyncio.CancelledError):
                await dialling
            await line.gone()

    play(scene, loop)


class Guest(socket.socket):
    """A vsock of a machine that has none: its far end is a unix socket."""

    def __init__(self, path: str, code: int) -> None:
        super().__init__(socket.AF_UNIX, socket.SOCK_STREAM)
        self._path = path
        self._code = code
        self.asked: object = None

    def connect_ex(self, address: object) -> int:
        self.asked = address
        self.connect(self._path)
        return self._code


@pytest.mark.parametrize("code", [0, errno.EINPROGRESS])
def test_a_vsock_is_dialled_by_number(loop, tmp_path, monkeypatch, code):
    path = str(tmp_path / "s.sock")

    async def scene():
        async with serving(unix_path=path) as server:
            guest = Guest(path, code)
            monkeypatch.setattr("modelmux.transport.dial.vsock", lambda: guest)
            connection, owner = await dialled("vsock:42:8000")
            assert guest.asked == (42, 8000)
            await server.accept()
            await ended(connection, owner)

    play(scene, loop)


def test_a_guest_that_is_not_there_is_told(loop, tmp_path, monkeypatch):
    path = str(tmp_path / "s.sock")

    async def scene():
        async with serving(unix_path=path) as server:
            guest = Guest(path, errno.ENODEV)
            monkeypatch.setattr("modelmux.transport.dial.vsock", lambda: guest)
            with pytest.raises(OSError, match="No such device"):
                await dialled("vsock:42:8000")
            assert guest.fileno() == -1
            await server.accept()

    play(scene, loop)


def test_a_system_without_vsock_says_so(loop, monkeypatch):
    monkeypatch.delattr(socket, "AF_VSOCK", raising=False)

    async def scene():
        with pytest.raises(OSError, match="this system has no vsock"):
            await dialled("vsock:2:80")

    play(scene, loop)
