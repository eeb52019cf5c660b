"""What an SDK is given instead of a base URL that is a socket's address."""

import os
from typing import TYPE_CHECKING

import httpx2

from modelmux.client.address import HOST, is_local, parse
from modelmux.client.transport import async_http_transport, http_transport

if TYPE_CHECKING:
    from collections.abc import MutableMapping

UNUSED_KEY = "unused"
"""What an SDK is given that wants a key where the gateway wants none."""


def fill(
    options: "MutableMapping[str, object]",
    *,
    variables: tuple[str, str],
    path: str,
    asynchronous: bool,
) -> None:
    """Put a client for the socket among `options`, if `base_url` is the address of one.

    Args:
        options: What the SDK's class is called with; changed.
        variables: Of the environment, in which the SDK looks for a base URL and for a key.
        path: What stands behind the host in the SDK's base URLs.
        asynchronous: The SDK's class is.

    Raises:
        ValueError: It begins like a socket's address and is none.
        TypeError: A client is given too, which would not reach the socket.
    """
    url_variable, key_variable = variables
    address = options.get("base_url") or os.environ.get(url_variable)
    if not isinstance(address, str) or not is_local(address):
        return
    if options.get("http_client") is not None:
        raise TypeError("expected a base_url or an http_client for the socket, got both")
    _, given_path = parse(address)
    options["base_url"] = HOST + (given_path or path)
    if asynchronous:
        transport = async_http_transport(address)
        # The SDKs' own limits: answers of models take their time.
        options["http_client"] = httpx2.AsyncClient(transport=transport, timeout=_TIMEOUT)
    else:
        options["http_client"] = httpx2.Client(transport=http_transport(address), timeout=_TIMEOUT)
    if options.get("api_key") is None and not os.environ.get(key_variable):
        options["api_key"] = UNUSED_KEY


_TIMEOUT = httpx2.Timeout(600.0, connect=5.0)
