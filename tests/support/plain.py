"""The smallest HTTP client: one request, one answer, over TCP or a unix socket.

It shares no code with what is tested, and sends nothing it was not given.
"""

import http.client
import socket
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        """The body, decoded."""
        return msgspec.json.decode(self.body)


def connection(address: str, timeout_s: float = TIMEOUT_S) -> http.client.HTTPConnection:
    """A connection to `unix:PATH` or `http://HOST:PORT`; the caller must close it.

    Raises:
        OSError: Nobody listens on the unix socket. TCP is connected by the first request.
    """
    scheme, _, rest = address.partition(":")
    if scheme != "unix":
        return http.client.HTTPConnection(rest.strip("/"), timeout=timeout_s)
    line = http.client.HTTPConnection("localhost", timeout=timeout_s)
    # A connection that has a socket does not connect by itself.
    line.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.sock.settimeout(timeout_s)
    try:
        line.sock.connect(rest)
    except OSError:
        line.close()
        raise
    return line


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens now."""
    with socket.socket() as line:
        line.bind(("127.0.0.1", 0))
        port: int = line.getsockname()[1]
        return port


def request(
    address: str,
    method: str,
    path: str,
    body: object = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> Answer:
    """Send one request and read the whole answer.

    Args:
        address: `unix:PATH` or `http://HOST:PORT`.
        body: Bytes are sent as they are; anything else as JSON.
    """
    sent = dict(headers or {})
    if body is not None and not isinstance(body, bytes):
        body = msgspec.json.encode(body)
        sent.setdefault("content-type", "application/json")
    line = connection(address, timeout_s)
    try:
        line.request(method, path, body, sent)
        response = line.getresponse()
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, names, response.read())
    finally:
        line.close()


def get(address: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
    """`request` with GET."""
    return request(address, "GET", path, headers=headers)


def post(
    address: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
) -> Answer:
    """`request` with POST."""
    return request(address, "POST", path, body, headers)
