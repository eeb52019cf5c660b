"""Addresses that are no network's: sockets of this machine, and of the machine it runs on."""

from typing import NamedTuple
from urllib.parse import unquote

UNIX = "unix:"
VSOCK = "vsock:"

HOST = "http://modelmux"
"""What stands for a host in URLs that have none: HTTP needs that there is one."""


class Unix(NamedTuple):
    """A unix socket."""

    path: str
    """A path, or with a NUL in front the name of an abstract socket."""


class Vsock(NamedTuple):
    """A socket between a virtual machine and its host."""

    cid: int
    port: int


def is_local(address: str) -> bool:
    """Whether `address` is one of those that `parse` knows."""
    return address.startswith((UNIX, VSOCK))


def parse(address: str) -> tuple[Unix | Vsock, str]:
    """The socket of an address, and the path of a URL behind it, if there is one.

    `unix:/run/a.sock`, `unix:///run/a.sock`, `unix:@abstract`, `vsock:2:3000`; a path of URLs
    stands behind a second colon: `unix:/run/a.sock:/v1`.

    Raises:
        ValueError: It is no such address.
    """
    if address.startswith(UNIX):
        name, _, path = address.removeprefix(UNIX).partition(":/")
        name = "/" + name.lstrip("/") if name.startswith("//") else name
        if name.startswith("@") and len(name) > 1:
            return Unix("\0" + name[1:]), _path(path)
        if name.startswith(("/", ".")):
            return Unix(unquote(name)), _path(path)
    elif address.startswith(VSOCK):
        place, _, path = address.removeprefix(VSOCK).removeprefix("//").partition("/")
        cid, _, port = place.partition(":")
        if cid.isdecimal() and port.isdecimal():
            return Vsock(int(cid), int(port)), _path(path)
    raise ValueError(
        f"expected unix:/path/to/socket, unix:@name or vsock:CID:PORT, got {address!r}"
    )


def _path(path: str) -> str:
    return "/" + path.strip("/") if path else ""
