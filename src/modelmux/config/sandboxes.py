"""Taking sandboxes that `modelmux isolate` makes, beside the listeners of the configuration."""

import os
import socket
from collections.abc import Sequence

from modelmux.config.gateway import Gateway
from modelmux.config.paths import directories, private_directory
from modelmux.errors import ConfigError
from modelmux.ingress import listen
from modelmux.ingress.address import UnixAddress
from modelmux.ingress.listen import Listener
from modelmux.ingress.sandbox import Sandboxes
from modelmux.ingress.server import Server


def open_listener(gateway: Gateway) -> list[Listener]:
    """Where sandboxes are handed over; none, with a warning, where there is no place for it."""
    if not hasattr(socket, "recv_fds"):
        return []
    folders = directories()
    try:
        private_directory(folders.runtime)
        return listen.open_one(UnixAddress(str(folders.sandbox_socket(os.getpid()))))
    except ConfigError as exc:
        message = f"no socket for sandboxes, so `modelmux isolate` starts others: {exc.message}"
        gateway.telemetry.log.event("warn", message)
        return []


async def take(gateway: Gateway, server: Server, listeners: Sequence[Listener]) -> None:
    """Take sandboxes for `server` once it is ready, until cancelled."""
    log = gateway.telemetry.log

    def has_key(name: str) -> bool:
        return gateway.current().keyring.has(name)

    def event(text: str) -> None:
        log.event("info", text)

    sandboxes = Sandboxes(server, gateway.telemetry.watchers, has_key=has_key, event=event)
    await server.wait_ready()
    for listener in listeners:  # there is one, or none
        await sandboxes.serve(listener.socket)
