"""The gateway as a library: what `import modelmux` offers."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

from modelmux.config.discover import ProviderType
from modelmux.config.gateway import Gateway
from modelmux.config.load import Loaded, Override, load, surroundings
from modelmux.ingress.asgi import Adapter
from modelmux.provider import catalog
from modelmux.target.call import Call
from modelmux.target.candidate import Candidate
from modelmux.target.strategy import Strategy

__all__ = ["Call", "Candidate", "Gateway", "Loaded", "Strategy", "create_app", "load_config"]

PROBE_TIMEOUT_S = 0.2
"""For a server on this machine, which answers in a fraction of it."""


def load_config(path: Path | str | None = None, overrides: Sequence[Override] = ()) -> Loaded:
    """The configuration that counts here, as the command line would have it.

    Args:
        path: A file to read instead of the user's and the project's.
        overrides: What wins over everything else.

    Raises:
        ConfigError: It cannot be used; `problems` has every mistake.
    """
    file = Path(path) if path is not None else None
    return load(provider_types(), surroundings(listens), path=file, overrides=overrides)


def create_app(config: Loaded | None = None) -> Adapter:
    """An ASGI application, which its server starts and stops by the lifespan protocol.

    Args:
        config: What it is to do; what `load_config` finds if not given.

    Raises:
        ConfigError: The configuration cannot be used.
    """
    return Gateway(config if config is not None else load_config()).app()


def provider_types() -> Mapping[str, ProviderType]:
    """Every provider type that a configuration can name, as far as loading needs to know.

    What speaks no wire is the gateway's own, such as its built-in model.
    """
    rows = catalog.load()
    return {
        type_: ProviderType(
            env=rows.provider(type_).env,
            base_url=rows.provider(type_).base_url,
            needs_key=rows.provider(type_).needs_key,
            discover=rows.provider(type_).discover,
        )
        for type_ in rows.types
        if rows.provider(type_).wires and not rows.provider(type_).part_of
    }


def listens(host: str, port: int) -> bool:
    """Whether something accepts connections there, asked quickly."""
    try:
        with socket.create_connection((host, port), timeout=PROBE_TIMEOUT_S):
            return True
    except OSError:
        return False
