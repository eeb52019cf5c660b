"""Transports for httpx2, and for httpx, to addresses that are no network's."""

from importlib import import_module
from typing import TYPE_CHECKING, Literal, overload

from modelmux.client.address import Unix, parse
from modelmux.client.vsock import AsyncBackend, Backend

if TYPE_CHECKING:
    import httpx
    import httpx2

Library = Literal["httpx2", "httpx"]


@overload
def http_transport(address: str, library: Literal["httpx2"] = ...) -> "httpx2.HTTPTransport": ...
@overload
def http_transport(address: str, library: Literal["httpx"]) -> "httpx.HTTPTransport": ...
def http_transport(
    address: str, library: Library = "httpx2"
) -> "httpx2.HTTPTransport | httpx.HTTPTransport":
    """A transport for a client of that library, whatever host its URLs have.

    Args:
        address: `unix:/path/to/socket`, `unix:@name`, or `vsock:CID:PORT`.
        library: Whose client it is for; it must be installed.

    Raises:
        ValueError: It is no such address.
        ImportError: The library is not installed.
    """
    place, _ = parse(address)
    made: httpx2.HTTPTransport | httpx.HTTPTransport
    if isinstance(place, Unix):
        made = import_module(library).HTTPTransport(uds=place.path)
        return made
    made = import_module(library).HTTPTransport()
    core = import_module(library.replace("httpx", "httpcore"))
    # Its pool is the one thing that a transport cannot be given.
    made._pool = core.ConnectionPool(network_backend=Backend(*place, core))
    return made


@overload
def async_http_transport(
    address: str, library: Literal["httpx2"] = ...
) -> "httpx2.AsyncHTTPTransport": ...
@overload
def async_http_transport(address: str, library: Literal["httpx"]) -> "httpx.AsyncHTTPTransport": ...
def async_http_transport(
    address: str, library: Library = "httpx2"
) -> "httpx2.AsyncHTTPTransport | httpx.AsyncHTTPTransport":
    """The same for asynchronous clients. Raises as `http_transport` does."""
    place, _ = parse(address)
    made: httpx2.AsyncHTTPTransport | httpx.AsyncHTTPTransport
    if isinstance(place, Unix):
        made = import_module(library).AsyncHTTPTransport(uds=place.path)
        return made
    made = import_module(library).AsyncHTTPTransport()
    core = import_module(library.replace("httpx", "httpcore"))
    made._pool = core.AsyncConnectionPool(network_backend=AsyncBackend(*place, core))
    return made
