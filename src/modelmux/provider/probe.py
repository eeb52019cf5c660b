"""Asking a provider whether it would answer: is it there, and does it know our key?"""

from modelmux.errors import TargetError
from modelmux.provider.errors import error_from
from modelmux.provider.model import Host
from modelmux.transport.base import Timeouts

TIMEOUTS = Timeouts(connect_s=5.0, first_byte_s=10.0, idle_s=10.0)

MAX_LIST_BYTES = 16 * 1024 * 1024
"""Largest list of models that is read: those of providers with hundreds have about one."""


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
            head = f"GET {origin.path}/models HTTP/1.1\r\nhost: {origin.authority}\r\n"
            response = await host.client.send(
                head.encode("ascii") + host.endpoint.fields + block, b"", TIMEOUTS
            )
            try:
                body = await response.read(MAX_LIST_BYTES)
            finally:
                await response.aclose()
        except TargetError as exc:
            return exc
        if not _answers(host, response.status):
            wire = host.wires[0]
            error = error_from(
                response.status, response.headers, body, wire, unix_time=host.unix_time()
            )
            error.message = f"{key.name}: {error.message}"
            return error
    return None


def _answers(host: Host, status: int) -> bool:
    """Whether a provider that says `status` of its list would answer a call."""
    if status in {404, 405}:
        return True  # it is there, and has no list
    if status in {401, 403} and host.passthrough is not None:
        return True  # it is there, and waits for the caller's own credentials
    return 200 <= status < 300
