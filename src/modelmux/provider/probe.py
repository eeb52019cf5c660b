"""Asking a provider whether it would answer: is it there, and does it know our key?"""

from modelmux import __version__
from modelmux.errors import TargetError
from modelmux.provider.errors import error_from
from modelmux.provider.model import MAX_ERROR_BYTES, Host
from modelmux.transport.base import Timeouts

TIMEOUTS = Timeouts(connect_s=5.0, first_byte_s=10.0, idle_s=10.0)


async def probe(host: Host, *, lists_models: bool) -> TargetError | None:
    """Reach the provider and show it each of our keys; why it would not answer, if so.

    Args:
        host: The provider.
        lists_models: It has a list of models, which costs nothing to ask for. Without, getting
            a credential is all that is tried.
    """
    for key in host.ring.keys:
        try:
            block = key.credential.block() or await key.credential.refresh()
            if not lists_models:
                continue
            origin = host.endpoint.origin
            head = (
                f"GET {origin.path}/models HTTP/1.1\r\nhost: {origin.authority}\r\n"
                f"user-agent: modelmux/{__version__}\r\n"
            )
            response = await host.client.send(
                head.encode("ascii") + host.endpoint.fields + block, b"", TIMEOUTS
            )
            body = await response.read(MAX_ERROR_BYTES * 16)
        except TargetError as exc:
            return exc
        # 404 and 405: it is there, and has no list.
        if response.status >= 400 and response.status not in {404, 405}:
            wire = host.wires[0]
            error = error_from(
                response.status, response.headers, body, wire, unix_time=host.unix_time()
            )
            error.message = f"{key.name}: {error.message}"
            return error
    return None
