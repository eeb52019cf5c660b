"""How a target's certificate is checked."""

import functools
import os
import ssl
from pathlib import Path

from msgspec import Struct

from modelmux.errors import ConfigError


class Tls(Struct, frozen=True):
    """Whom to believe."""

    ca_file: str = ""
    """PEM file of the only authorities that count; empty: the system's."""
    verify: bool = True
    """Without it anybody may answer in the target's name."""


def context(tls: Tls) -> ssl.SSLContext:
    """A client context for HTTP/1.1; the same object for the same settings.

    A context with the system's authorities is about a megabyte and takes milliseconds to load,
    so origins share it. A `ca_file` that has changed is read again.

    Raises:
        ConfigError: `ca_file` cannot be read, or holds no certificate.
    """
    try:
        changed_ns = Path(tls.ca_file).stat().st_mtime_ns if tls.ca_file else 0
        return _context(tls, changed_ns)
    except ssl.SSLError as error:
        message = f"CA file {tls.ca_file!r} holds no certificate: {error.reason or error}"
        raise ConfigError(message, hint="expected PEM: -----BEGIN CERTIFICATE-----") from error
    except OSError as error:
        message = f"CA file {tls.ca_file!r} cannot be read: {os.strerror(error.errno or 0)}"
        raise ConfigError(message, hint="correct ca_file or the file's permissions") from error


@functools.lru_cache(maxsize=64)
def _context(tls: Tls, changed_ns: int) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=tls.ca_file or None)
    made.set_alpn_protocols(["http/1.1"])
    if not tls.verify:
        made.check_hostname = False
        made.verify_mode = ssl.CERT_NONE
    return made
