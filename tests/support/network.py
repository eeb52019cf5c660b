"""Keeps tests on this machine: whoever reaches for another host gets `NetworkRefused`.

CPython's sockets are watched through audit events, which also see what a library does in C; uvloop
has sockets of its own, and is watched where it is asked for a connection. Programs that a test
starts are not covered: they get their addresses from us.
"""

import ipaddress
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar, cast

import uvloop

T = TypeVar("T")

LOOPBACK_NAMES = frozenset({None, "", "localhost"})

VSOCK_LOCAL_CID = 1


class NetworkRefused(AssertionError):
    """A test reached for the network. No OSError: what is tested must not take it for one."""


def check_host(host: object) -> None:
    """Let a name or address of this machine pass.

    Raises:
        socket.gaierror: A name below `.invalid`, which resolves nowhere (RFC 6761): tests of a
            failed resolution use it.
        NetworkRefused: Any other host.
    """
    name = host.decode("ascii", "replace") if isinstance(host, bytes) else host
    if name in LOOPBACK_NAMES or _is_loopback(str(name)):
        return
    if str(name).rstrip(".").endswith(".invalid"):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    raise NetworkRefused(f"expected a host on this machine, a test reached for {name!r}")


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def check_address(family: int, address: object) -> None:
    """Let an address of this machine pass: loopback, unix or a local vsock.

    Raises:
        NetworkRefused: Any other address.
    """
    if family == socket.AF_UNIX:
        return
    if isinstance(address, tuple):
        host = cast("tuple[object, ...]", address)[0]
        if family in {socket.AF_INET, socket.AF_INET6}:
            check_host(host)
            return
        if family == getattr(socket, "AF_VSOCK", None) and host == VSOCK_LOCAL_CID:
            return
    raise NetworkRefused(f"expected an address on this machine, a test reached for {address!r}")


def _audit(event: str, arguments: tuple[object, ...]) -> None:
    if event in {"socket.connect", "socket.sendto"}:
        line, address = arguments
        assert isinstance(line, socket.socket)
        check_address(line.family, address)
    elif event in {"socket.getaddrinfo", "socket.gethostbyname"}:
        check_host(arguments[0])


def _checked(method: Callable[..., Awaitable[T]], host_at: int) -> Callable[..., Awaitable[T]]:
    async def check_first(*args: object, **options: object) -> T:
        check_host(args[host_at] if len(args) > host_at else options.get("host"))
        return await method(*args, **options)

    return check_first


def guard() -> None:
    """From here on, and for the life of the process, refuse what leaves the machine."""
    sys.addaudithook(_audit)
    # Arguments: the loop, then (protocol_factory, host) here and (host) there.
    for name, host_at in (("create_connection", 2), ("getaddrinfo", 1)):
        setattr(uvloop.Loop, name, _checked(getattr(uvloop.Loop, name), host_at))
