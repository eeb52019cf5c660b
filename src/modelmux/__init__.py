"""One front door for models, tools and agents.

As a library:

- `load_config(path=None)`: the configuration, as the command line would have it
- `create_app(config=None)`: an ASGI application
- `Gateway(config)`: a gateway in this process, without a server

For strategies of your own: `Strategy`, `Candidate`, `Call`.

They are imported when they are first asked for, so that `modelmux --help` is not kept waiting.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from modelmux.config.library import (
        Call,
        Candidate,
        Gateway,
        Loaded,
        Strategy,
        create_app,
        load_config,
    )

__all__ = [
    "Call",
    "Candidate",
    "Gateway",
    "Loaded",
    "Strategy",
    "__version__",
    "create_app",
    "load_config",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module("modelmux.config.library"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
