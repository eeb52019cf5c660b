"""Opening a connection to an origin: addresses, sockets, TLS."""

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable
from typing import Final

from modelmux.transport import tls
from modelmux.transport.connection import Connection
from modelmux.transport.origin import Origin
from modelmux.transport.tls import Tls

KEEPALIVE_IDLE_S: Final = 60
"""Silence after which the system probes a connection. Models may think for minutes, and address
translators forget what is silent for longer, many after 350 s."""
BACKLOG_RETRY_S: Final = 0.02
"""How soon to try again when a unix socket's queue of connections to be accepted is full."""
_KEEPALIVE_IDLE: Final = getattr(socket, "TCP_KEEPIDLE", getattr(socket, "TCP_KEEPALIVE", None))


async def dial(origin: Origin, trust: Tls, make: Callable[[], Connection]) -> Connection:
    """A connection whose transport is open, TLS included.

    Cancelling closes what was opened so far.

    Raises:
        OSError: Resolving, connecting or the handshake failed.
        ConfigError: The CA file cannot be used.
    """
    loop = asyncio.get_running_loop()
    if origin.socket_path:
        return await _dial_unix(loop, origin.socket_path, make)
    if origin.cid is not None:
        return await _dial_vsock(loop, origin.cid, origin.port, make)
    context: ssl.SSLContext | None = tls.context(trust) if origin.is_tls else None
    transport, connection = await loop.create_connection(
        make,
        origin.host,
        origin.port,
        ssl=context,
        server_hostname=origin.host if context else None,
    )
    _keep_alive(transport)
    return connection


async def _dial_unix(
    loop: asyncio.AbstractEventLoop, path: str, make: Callable[[], Connection]
) -> Connection:
    # uvloop takes a path only, and libuv ends it at the NUL that an abstract name begins with.
    address = f"\0{path[1:]}" if path.startswith("@") else path
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await _connect_unix(sock, address)
    except (OSError, asyncio.CancelledError):
        sock.close()
        raise
    _, connection = await loop.create_unix_connection(make, sock=sock)
    return connection


async def _dial_vsock(
    loop: asyncio.AbstractEventLoop, cid: int, port: int, make: Callable[[], Connection]
) -> Connection:
    sock = vsock()
    try:
        sock.setblocking(False)
        # Not by the loop: uvloop looks every address up that is not a path.
        code = sock.connect_ex((cid, port))
        if code == errno.EINPROGRESS:
            await _writable(loop, sock)
            code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
    except (OSError, asyncio.CancelledError):
        sock.close()
        raise
    _, connection = await loop.create_connection(make, sock=sock)
    return connection


def vsock() -> socket.socket:
    """A socket to virtual machines. Raises `OSError` where there are none."""
    if not hasattr(socket, "AF_VSOCK"):
        raise OSError(errno.EAFNOSUPPORT, "this system has no vsock")
    return socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)


async def _writable(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    ready = asyncio.Event()
    loop.add_writer(sock.fileno(), ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_writer(sock.fileno())


async def _connect_unix(sock: socket.socket, address: str) -> None:
    """Connect, waiting while the queue of connections to be accepted is full.

    A unix socket is never "connecting": it is connected, refused, or to be tried again, and then
    nothing tells when. `loop.sock_connect` takes that for a connection under way.
    """
    while True:
        try:
            return sock.connect(address)
        except BlockingIOError:
            await asyncio.sleep(BACKLOG_RETRY_S)


def _keep_alive(transport: asyncio.Transport) -> None:
    sock = transport.get_extra_info("socket")
    if sock is not None and not transport.is_closing():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if _KEEPALIVE_IDLE is not None:
            sock.setsockopt(socket.IPPROTO_TCP, _KEEPALIVE_IDLE, KEEPALIVE_IDLE_S)
