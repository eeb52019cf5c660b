"""Where callers come in: what a listener makes of them, and what the system says of them."""

import asyncio
import socket
import struct
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal

from msgspec import Struct

from modelmux.errors import LimitExceeded
from modelmux.target.call import Peer

SurfaceName = Literal["guest", "callers", "admin"]
"""Which doors there are. guest: those of models. callers: also those that watch the gateway. admin:
also those that control it."""

_CREDENTIALS = struct.Struct("iII")
"""`struct ucred` of Linux: pid, uid, gid."""

_NOBODY = 0xFFFF_FFFF
"""What the kernel says where it knows no user."""


class Identity(Struct, frozen=True):
    """What a listener makes of whoever comes through it."""

    surface: SurfaceName = "callers"
    key: str = ""
    """Calls count as this key's, and credentials that come are not looked at. Empty: callers say
    who they are, as everywhere."""
    models: tuple[str, ...] = ()
    """Names and globs that may be asked for, beside what the key allows; empty: all."""
    tags: Mapping[str, str] = {}
    """Labels of every call; they win over callers' own."""
    region: str = ""
    asks: bool = True
    """Whether callers need a key where there are any, if `key` does not stand for them."""

    @property
    def changes_callers(self) -> bool:
        """Whether a caller is somebody else here than at a listener that says nothing."""
        return bool(self.key or self.models or self.tags or not self.asks)


CALLERS = Identity()


class Entrance:
    """One listener, as its connections and requests know it.

    Its identity may be changed while it is open, and holds from the next request on.
    """

    __slots__ = (
        "_peer",
        "begun",
        "calls_left",
        "identity",
        "max_connections",
        "name",
        "transports",
    )

    def __init__(
        self,
        name: str,
        identity: Identity = CALLERS,
        *,
        budget_calls: int | None = None,
        peer: Peer | None = None,
    ) -> None:
        """Make one.

        Args:
            name: How it is called in records.
            identity: What it makes of callers.
            budget_calls: How many calls it lets in; `None`: any number.
            peer: Who everybody is that comes in; `None`: whom the system names.
        """
        self.name = name
        self._peer = peer
        self.begun = 0
        """Calls that have come in, those included that were not let in."""
        self.identity = identity
        self.calls_left = budget_calls
        self.transports: set[asyncio.BaseTransport] = set()
        """Connections that are open, where somebody may have to close them."""
        self.max_connections: int | None = None
        """How many that may be; `None`: any number. One that is too many is closed at once."""

    def enter(self, transport: asyncio.Transport) -> None:
        """A connection has come in."""
        self.transports.add(transport)
        if self.max_connections is not None and len(self.transports) > self.max_connections:
            transport.abort()

    def admit(self) -> None:
        """Count a call. Raises `LimitExceeded` where no more are let in."""
        self.begun += 1
        if self.calls_left is None:
            return
        if self.calls_left <= 0:
            raise LimitExceeded("all calls that this sandbox may make are used up")
        self.calls_left -= 1

    def peer(self, transport: asyncio.BaseTransport) -> Peer:
        """Who is at the other end of a connection that has come in here."""
        if self._peer is not None:
            return self._peer
        region = self.identity.region
        sock = transport.get_extra_info("socket")
        name = transport.get_extra_info("peername")
        if sock is None:
            return Peer(self.name, region)
        if sock.family in (socket.AF_INET, socket.AF_INET6):
            return Peer(self.name, region, str(name[0]) if name else "")
        if sock.family == socket.AF_UNIX:
            pid, uid, gid = credentials(sock)
            return Peer(self.name, region, uid=uid, gid=gid, pid=pid)
        with suppress(OSError, TypeError, IndexError):  # a guest that has left again
            # uvloop does not know the addresses of this family, and the socket does.
            return Peer(self.name, region, cid=int((name or sock.getpeername())[0]))
        return Peer(self.name, region)


OPEN = Entrance("")
"""Where a request is said to have come in of which nothing is known."""


def credentials(sock: socket.socket) -> tuple[int | None, int | None, int | None]:
    """Process, user and group that connected; `None` for what the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None, None, None
    try:
        told = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    except OSError:
        return None, None, None
    pid, uid, gid = _CREDENTIALS.unpack(told)
    # A process of a namespace that we cannot see into has no number here.
    return pid or None, None if uid == _NOBODY else uid, None if gid == _NOBODY else gid
