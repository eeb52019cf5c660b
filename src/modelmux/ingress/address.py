"""Addresses a gateway can listen on, from how they are written to what they are."""

import os
import re
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import assert_never

from msgspec import Struct
from typing_extensions import override

from modelmux.errors import ConfigError

FORMS = "HOST:PORT, :PORT, unix:PATH, unix:@NAME, vsock:CID:PORT, fd:N, fd:NAME"
ANY_CID = 0xFFFF_FFFF
"""Every context of the virtual machine sockets (`VMADDR_CID_ANY`)."""

MAX_UNIX_PATH_BYTES = 107
"""`sun_path` of Linux less its closing NUL; macOS has 4 bytes less and says so itself."""

_FD_NAME = re.compile(r"(?![0-9-]+$)[!-9;-~]{1,255}")
"""What `sd_listen_fds_with_names` allows: printable ASCII but the colon; a number is no name."""

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?\.?")


class TcpAddress(Struct, frozen=True):
    host: str
    """A name or an IP address without brackets; empty: every interface, IPv4 and IPv6."""
    port: int
    """0: the kernel chooses."""

    @override
    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixAddress(Struct, frozen=True):
    path: str
    """A file; or, with `abstract`, a name that is no file (Linux)."""
    abstract: bool = False

    @override
    def __str__(self) -> str:
        return f"unix:{'@' if self.abstract else ''}{self.path}"


class VsockAddress(Struct, frozen=True):
    cid: int
    """Context that may connect to us; `ANY_CID`: every one."""
    port: int

    @override
    def __str__(self) -> str:
        return f"vsock:{'any' if self.cid == ANY_CID else self.cid}:{self.port}"


class FdAddress(Struct, frozen=True):
    fd: int = -1
    """A listening socket that was opened for us."""
    name: str = ""
    """Instead of the number: the name under which the system's socket activation passes it, and
    perhaps others (`FileDescriptorName=` of systemd)."""

    @override
    def __str__(self) -> str:
        return f"fd:{self.name or self.fd}"


Address = TcpAddress | UnixAddress | VsockAddress | FdAddress


def parse_address(text: str) -> Address:
    """The address written as one of `FORMS`.

    Raises:
        ConfigError: It is none of them; the message quotes it.
    """
    kind, colon, rest = text.partition(":")
    if not colon:
        hint = f"write {':' + text!r} for all interfaces" if text.isdigit() else ""
        raise _wrong(text, f"expected one of {FORMS}", hint)
    match kind:
        case "unix":
            return _unix(text, rest)
        case "vsock":
            return _vsock(text, rest)
        case "fd":
            return _fd(text, rest)
        case _:
            return _tcp(text)


def is_exposed(address: Address) -> bool:
    """Whether others than this machine's users can reach it, as far as its text can tell.

    Of `fd:N` only the socket itself can tell: whoever opens it has to look.
    """
    match address:
        case TcpAddress(host=host):
            return not _is_loopback(host)
        case UnixAddress() | VsockAddress() | FdAddress():
            return False
        case _:
            assert_never(address)


def _is_loopback(host: str) -> bool:
    if host.rstrip(".").lower() == "localhost":
        return True
    try:
        ip = ip_address(host.partition("%")[0])
    except ValueError:
        return False
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped:
        return ip.ipv4_mapped.is_loopback
    return ip.is_loopback


def _tcp(text: str) -> TcpAddress:
    host, _, port_text = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        try:
            IPv6Address(host)
        except ValueError:
            raise _wrong(text, "expected an IPv6 address between the brackets") from None
    elif ":" in host:
        if "//" in host:
            raise _wrong(text, f"expected one of {FORMS}, not a URL")
        raise _wrong(text, "expected an IPv6 address in brackets", "write [::1]:3000")
    elif host and not _HOST.fullmatch(host):
        hint = "write :PORT for all interfaces" if host == "*" else ""
        raise _wrong(text, "expected a host name or an IP address before the port", hint)
    return TcpAddress(host, _number(text, port_text, "port", 65535))


def _unix(text: str, rest: str) -> UnixAddress:
    if "\0" in rest:
        raise _wrong(text, "expected a path without NUL")
    if rest.startswith("@"):
        address = UnixAddress(rest[1:], abstract=True)
    else:
        path = "/" + rest.lstrip("/") if rest.startswith("/") else rest  # unix:///run is /run
        address = UnixAddress(str(Path(path).expanduser()) if path.startswith("~") else path)
    if not address.path.strip("/"):
        raise _wrong(text, "expected a path after unix:")
    if len(os.fsencode(address.path)) > MAX_UNIX_PATH_BYTES:
        raise _wrong(text, f"expected a path of at most {MAX_UNIX_PATH_BYTES} bytes")
    return address


def _vsock(text: str, rest: str) -> VsockAddress:
    cid, colon, port = rest.partition(":")
    if not colon:
        raise _wrong(text, "expected vsock:CID:PORT", "CID is a number, or `any`")
    number = ANY_CID if cid == "any" else _number(text, cid, "CID", ANY_CID)
    return VsockAddress(number, _number(text, port, "port", 2**32 - 1))


def _fd(text: str, rest: str) -> FdAddress:
    if _FD_NAME.fullmatch(rest):
        return FdAddress(name=rest)
    return FdAddress(_number(text, rest, "file descriptor", 2**31 - 1))


def _number(text: str, digits: str, noun: str, largest: int) -> int:
    if not (digits.isascii() and digits.isdigit()) or int(digits[:20]) > largest:
        raise _wrong(text, f"expected a {noun} from 0 to {largest}, got {digits!r}")
    return int(digits)


def _wrong(text: str, expected: str, hint: str = "") -> ConfigError:
    return ConfigError(f"{text!r} is no address: {expected}", hint=hint)
