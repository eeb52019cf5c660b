"""Where a target lives: an origin, parsed from the URL in the configuration."""

import re
from typing import Final
from urllib.parse import SplitResult, urlsplit

from msgspec import Struct
from typing_extensions import override

from modelmux.errors import ConfigError

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_HINT: Final = "write http://HOST[:PORT], https://…, unix:/PATH, unix:@NAME or vsock:CID:PORT"
_VSOCK: Final = re.compile(r"([0-9]{1,10}):([0-9]{1,10})(?::(/[!-~]*))?")
_MOST: Final = 0xFFFF_FFFF - 1
"""The last of both kinds of numbers stands for any. vsock(7), read 2026-11-20."""

_SOCKET_PATH_BYTES: Final = 107
"""Linux: `sun_path` is 108 bytes, the last of a path being NUL. unix(7), read 2026-11-20."""


class Origin(Struct, frozen=True):
    """Scheme, host and port, or a unix socket, and the path that stands before every request's."""

    host: str
    """Name or address without brackets; `localhost` for a unix socket and a vsock."""
    port: int = 0
    """0 for a unix socket; of a vsock, its own kind of port."""
    is_tls: bool = False
    socket_path: str = ""
    """Path of a unix socket, `@NAME` for one in the abstract namespace; empty for TCP."""
    cid: int | None = None
    """The virtual machine of a vsock, 2 for the host; `None` for everything else."""
    path: str = ""
    """What the URL said after the host, without a slash at its end: `/v1`, or nothing."""

    @property
    def authority(self) -> str:
        """The value of the `host` header field."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        is_socket = self.socket_path or self.cid is not None
        if is_socket or self.port == _DEFAULT_PORTS["https" if self.is_tls else "http"]:
            return host
        return f"{host}:{self.port}"

    @override
    def __str__(self) -> str:
        """The origin as messages name it, without the path."""
        if self.socket_path:
            return f"unix:{self.socket_path}"
        if self.cid is not None:
            return f"vsock:{self.cid}:{self.port}"
        return f"{'https' if self.is_tls else 'http'}://{self.authority}"


def parse(url: str) -> Origin:
    """The origin of `http://…`, `https://…`, `unix:…` or `vsock:CID:PORT`.

    A path may follow, after a colon in the case of a socket, as nginx writes it:
    `unix:/run/llm.sock:/v1`, or `http://unix:/run/llm.sock:/v1`. A socket whose path holds
    `:/` cannot be named.

    Raises:
        ConfigError: It is none of these, or says what an origin cannot (a query, credentials).
    """
    for prefix in ("vsock:", "http://vsock:"):
        if url.startswith(prefix):
            return _vsock(url, url.removeprefix(prefix))
    for prefix in ("unix:", "http://unix:"):
        if url.startswith(prefix):
            return _unix(url, url.removeprefix(prefix))
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        # The error may quote what stands before an '@'.
        why = "" if "@" in url else f": {error}"
        raise ConfigError(f"{_shown(url)} is not a URL{why}", hint=_HINT) from None
    host = parts.hostname or ""
    _check(url, parts, host)
    return Origin(
        host=host,
        port=_DEFAULT_PORTS[parts.scheme] if port is None else port,
        is_tls=parts.scheme == "https",
        path=parts.path.rstrip("/"),
    )


def _check(url: str, parts: SplitResult, host: str) -> None:
    if parts.scheme not in _DEFAULT_PORTS:
        raise ConfigError(f"expected an http, https or unix URL, not {_shown(url)}", hint=_HINT)
    if "@" in parts.netloc:
        raise ConfigError(
            f"a URL must not hold credentials (host {host!r})",
            hint="take the part before '@' out and set api_key or headers",
        )
    if not host or any(c <= " " for c in url):
        raise ConfigError(f"{_shown(url)} names no host", hint=_HINT)
    if not host.isascii():
        raise ConfigError(f"host {host!r} is not ASCII", hint="write its xn--… form")
    try:
        host.encode("idna")
    except UnicodeError:
        text = f"host {host!r} has a part that is empty or longer than 63 characters"
        raise ConfigError(text, hint=_HINT) from None
    if parts.query or parts.fragment:
        raise ConfigError(
            f"the URL of {host!r} has a query or a fragment, which an origin cannot have",
            hint="end it after the path",
        )
    if parts.port == 0:
        raise ConfigError(f"port 0 of {host!r} cannot be connected to", hint=_HINT)


def _unix(url: str, rest: str) -> Origin:
    # http+unix URLs of other tools write three slashes: unix:///run/x.sock.
    if rest.startswith("//"):
        rest = "/" + rest.lstrip("/")
    socket_path, _, path = rest.partition(":/")
    if socket_path[:1] not in {"/", "@"} or len(socket_path) < 2 or "\0" in socket_path:
        raise ConfigError(f"{_shown(url)} names no absolute socket path", hint=_HINT)
    if len(socket_path.encode()) > _SOCKET_PATH_BYTES:
        raise ConfigError(
            f"socket path {socket_path!r} is longer than {_SOCKET_PATH_BYTES} bytes, "
            "the most the system takes",
            hint="use a shorter path, or a symbolic link to its directory",
        )
    return Origin(
        host="localhost", socket_path=socket_path, path=f"/{path}".rstrip("/") if path else ""
    )


def _vsock(url: str, rest: str) -> Origin:
    found = _VSOCK.fullmatch(rest)
    if not found or max(int(found[1]), int(found[2])) > _MOST:
        raise ConfigError(f"{_shown(url)} names no vsock", hint="write vsock:CID:PORT[:/PATH]")
    path = (found[3] or "").rstrip("/")
    return Origin(host="localhost", port=int(found[2]), cid=int(found[1]), path=path)


def _shown(url: str) -> str:
    """The URL for a message, without what could be a credential."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    _, at, host = authority.rpartition("@")
    shown = f"{scheme}{separator}{'…@' if at else ''}{host}{slash}{path.partition('?')[0]}"
    return repr(shown)
