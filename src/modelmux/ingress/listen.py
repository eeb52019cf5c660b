"""Opening the sockets on which a gateway listens."""

import errno
import os
import socket
import stat
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import assert_never

from msgspec import Struct

from modelmux.errors import ConfigError
from modelmux.ingress import activation
from modelmux.ingress.address import (
    Address,
    FdAddress,
    TcpAddress,
    UnixAddress,
    VsockAddress,
)

if sys.platform != "win32":
    import grp
    import pwd

SOCKET_MODE = 0o600
"""Who can open the file can spend the keys behind it: its owner only, unless told otherwise."""

_PROBE_TIMEOUT_S = 1.0

_NOT_HERE = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})


class Access(Struct, frozen=True):
    """Who may open a unix socket's file."""

    mode: int = SOCKET_MODE
    owner: str = ""
    """USER, USER:GROUP or :GROUP, by name or number; empty: who runs this."""


OWNERS_ONLY = Access()


class Listener:
    """One open socket, and what must be undone when it closes."""

    def __init__(self, address: Address, sock: socket.socket) -> None:
        """Take over `sock`, which listens on `address`."""
        self.address = address
        self.socket = sock
        self._file: _File | None = None
        if isinstance(address, UnixAddress) and not address.abstract:
            self._file = _File(address.path)

    @property
    def name(self) -> str:
        """The address as it was written, with the port the kernel chose if it was to."""
        if isinstance(self.address, TcpAddress) and self.address.port == 0:
            return str(TcpAddress(self.address.host, self.socket.getsockname()[1]))
        return str(self.address)

    @property
    def is_file(self) -> bool:
        """A file stands for it, whose mode says who may connect."""
        if self.socket.family != getattr(socket, "AF_UNIX", None):
            return False
        name = self.socket.getsockname()
        return isinstance(name, str) and bool(name)  # an abstract name comes as bytes

    @property
    def is_exposed(self) -> bool:
        """Others than this machine's users can reach it."""
        if self.socket.family not in (socket.AF_INET, socket.AF_INET6):
            return False
        host = str(self.socket.getsockname()[0]).partition("%")[0]
        return not ip_address(host).is_loopback

    def release(self) -> None:
        """Leave the socket's file to whoever goes on with it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def forget(self) -> None:
        """Remove the socket's file if it is still ours; whoever has the socket closes it."""
        if self._file is not None:
            self._file.remove()
            self._file = None

    def close(self) -> None:
        """Stop listening, and remove the socket's file if it is still ours."""
        self.socket.close()
        self.forget()


class _File:
    """A socket's file, for as long as it is the one that was there."""

    def __init__(self, path: str) -> None:
        self._path = path
        # A number alone does not tell whose it is: once our file is gone and our socket closed,
        # the next gateway's may get the same. An open descriptor keeps it from being given away.
        self._fd = os.open(path, os.O_PATH) if hasattr(os, "O_PATH") else -1
        self._identity = _identity(path)

    def remove(self) -> None:
        """Remove it, if it is still ours."""
        with suppress(OSError):  # one that stays is no harm: the next gateway replaces it
            if _identity(self._path) == self._identity:
                Path(self._path).unlink()
        self.close()

    def close(self) -> None:
        """Leave it where it is."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _identity(path: str) -> tuple[int, int]:
    found = Path(path).stat(follow_symlinks=False)
    return found.st_dev, found.st_ino


def open_all(addresses: Sequence[Address]) -> list[Listener]:
    """A listener for each address; those that are open are closed again if one fails.

    Raises:
        ConfigError: An address cannot be had; the message says why and what to do.
    """
    listeners: list[Listener] = []
    try:
        for address in addresses:
            listeners += open_one(address)
    except ConfigError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def open_one(address: Address, access: Access = OWNERS_ONLY) -> list[Listener]:
    """The listeners for one address: a name may stand for several. Raises `ConfigError`."""
    try:
        match address:
            case TcpAddress():
                return [Listener(address, sock) for sock in _tcp(address)]
            case UnixAddress():
                return [Listener(address, _unix(address, access))]
            case VsockAddress():
                return [Listener(address, _vsock(address))]
            case FdAddress():
                return [Listener(address, _inherited(each)) for each in _numbered(address)]
            case _:
                assert_never(address)
    except OSError as exc:
        raise _failed(address, exc) from None


def inherit(address: Address, fd: int) -> Listener:
    """The listener for a socket that is open already, by another process's doing.

    Raises:
        ConfigError: It is no socket, or its file is gone.
    """
    os.set_inheritable(fd, False)
    sock = socket.socket(fileno=fd)
    try:
        return Listener(address, sock)
    except OSError as exc:
        sock.close()
        raise _failed(address, exc) from None


def _tcp(address: TcpAddress) -> list[socket.socket]:
    if not address.host:
        return [
            socket.create_server(
                ("", address.port),
                family=socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET,
                dualstack_ipv6=socket.has_dualstack_ipv6(),
            )
        ]
    found = socket.getaddrinfo(
        address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    return _each(dict.fromkeys((family, where) for family, *_, where in found))


def _each(places: Iterable[tuple[int, tuple[str | bytes | int, ...]]]) -> list[socket.socket]:
    """A socket for each of the addresses that a name stands for and this machine has.

    `localhost` stands for `::1` also where there is no IPv6, as in most containers.
    """
    sockets: list[socket.socket] = []
    missing: OSError | None = None
    try:
        for family, where in places:
            try:
                sockets.append(socket.create_server(where, family=family))
            except OSError as exc:
                if exc.errno not in _NOT_HERE:
                    raise
                missing = exc
        if missing is not None and not sockets:
            raise missing
    except OSError:
        for sock in sockets:
            sock.close()
        raise
    return sockets


def _unix(address: UnixAddress, access: Access) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if address.abstract:
            sock.bind("\0" + address.path)
        else:
            _clear(address.path)
            mask = os.umask(0o777 & ~SOCKET_MODE)  # never open wider, not even for a moment
            try:
                sock.bind(address.path)
            finally:
                os.umask(mask)
            _admit(address, access)
        sock.listen()  # nobody gets in before this
    except BaseException:
        sock.close()
        raise
    return sock


def _admit(address: UnixAddress, access: Access) -> None:
    """Give the file to whom it is to belong, and then open it as wide as it is to be."""
    path = Path(address.path)
    if access.owner:
        uid, gid = _owner(address, access.owner)
        try:
            os.chown(path, uid, gid, follow_symlinks=False)
        except PermissionError:
            path.unlink()
            raise ConfigError(
                f"{address}: its file cannot be given to {access.owner!r}",
                hint="only root gives files to other users, and members theirs to their groups",
            ) from None
    if access.mode != SOCKET_MODE:
        path.chmod(access.mode)


def _owner(address: UnixAddress, owner: str) -> tuple[int, int]:
    """Numbers of user and group; -1: as it is."""
    user, _, group = owner.partition(":")
    uid = gid = -1
    try:
        if user:
            uid = int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
        if group:
            gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    except KeyError:
        Path(address.path).unlink()
        raise ConfigError(
            f"{address}: expected a user or USER:GROUP of this machine, got {owner!r}",
            hint="`getent passwd` and `getent group` list them",
        ) from None
    return uid, gid


def _clear(path: str) -> None:
    """Remove the socket file of a gateway that is gone. Raises `ConfigError` for any other file."""
    try:
        kind = Path(path).stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(kind):
        raise ConfigError(
            f"unix:{path}: expected a free path or an old socket, found another file",
            hint="choose another path, or remove the file if it is not needed",
        )
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_TIMEOUT_S)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            Path(path).unlink(missing_ok=True)
            return
        except (TimeoutError, BlockingIOError):
            pass  # somebody listens and is busy
    raise ConfigError(
        f"unix:{path}: another process listens there",
        hint="stop it (`modelmux stop`), or choose another path",
    )


def _vsock(address: VsockAddress) -> socket.socket:
    if not hasattr(socket, "AF_VSOCK"):
        raise ConfigError(f"{address}: this system has no vsock", hint="listen on a unix socket")
    sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    try:
        sock.bind((address.cid, address.port))
        sock.listen()
    except BaseException:
        sock.close()
        raise
    return sock


def _numbered(address: FdAddress) -> list[FdAddress]:
    """The descriptors that an address stands for, by number."""
    if not address.name:
        return [address]
    passed = activation.descriptors(os.environ, os.getpid())
    found = [FdAddress(fd) for name, fd in passed if name == address.name]
    if not found:
        names = ", ".join(sorted({name for name, _ in passed if name})) or "none with a name"
        raise ConfigError(
            f"{address}: no socket of that name was passed to this process; there are: {names}",
            hint="`FileDescriptorName=` of the .socket unit gives it one",
        )
    return found


def _inherited(address: FdAddress) -> socket.socket:
    # The descriptor itself and no copy: while it is open, callers are let in whom nobody answers.
    sock = socket.socket(fileno=address.fd)
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        sock.detach()
        raise ConfigError(
            f"{address}: expected a listening socket, got one that does not listen",
            hint="the process that starts modelmux has to call listen() on it",
        )
    return sock


def _failed(address: Address, exc: OSError) -> ConfigError:
    hints = {
        errno.EADDRINUSE: "stop what listens there (`modelmux stop`?), or choose another port",
        errno.EACCES: "choose a port above 1023 or a folder you may write to",
        errno.EADDRNOTAVAIL: "choose an address of this machine, such as 127.0.0.1",
        errno.ENOENT: "make the folder first",
        errno.EBADF: "the process that starts modelmux has to pass the descriptor on",
    }
    reason = exc.strerror or str(exc)
    if exc.errno == errno.EADDRINUSE:
        reason = "the address is in use"
    return ConfigError(f"cannot listen on {address}: {reason}", hint=hints.get(exc.errno or 0, ""))
