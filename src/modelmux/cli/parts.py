"""The parts of the gateway that commands use, and the only place where they are imported."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from modelmux.config.asking import Asked
    from modelmux.config.discover import ProviderType
    from modelmux.config.load import Loaded
    from modelmux.target.explain import Explanation


class Price(Protocol):
    """US dollars per million tokens; `None`: not known."""

    @property
    def input(self) -> Decimal | None: ...
    @property
    def output(self) -> Decimal | None: ...
    @property
    def cache_read(self) -> Decimal | None: ...
    @property
    def cache_write(self) -> Decimal | None: ...


class ModelRow(Protocol):
    """A model that can be asked for."""

    @property
    def id(self) -> str: ...
    @property
    def targets(self) -> Sequence[str]: ...
    @property
    def context_tokens(self) -> int:
        """Longest prompt and answer together; 0: not known."""
        ...

    @property
    def price(self) -> Price | None: ...


class TargetStatus(Protocol):
    """Whether a target would answer."""

    @property
    def name(self) -> str: ...
    @property
    def ok(self) -> bool: ...
    @property
    def detail(self) -> str: ...
    @property
    def fix(self) -> str:
        """What to do about it; empty if it is ok."""
        ...


class Gateway(Protocol):
    """A gateway in this process, without a server. Used as a context manager, it is closed."""

    async def __aenter__(self) -> Self: ...
    async def __aexit__(self, *exc_info: object) -> None: ...

    def models(self) -> Sequence[ModelRow]:
        """What can be asked for, without asking any provider."""
        ...

    async def check(self) -> Sequence[TargetStatus]:
        """Ask every target whether it would answer."""
        ...

    def chat_stream(self, model: str, prompt: str) -> AsyncIterator[str]:
        """The answer's text as it comes. Raises `GatewayError`."""
        ...


def provider_types() -> Mapping[str, "ProviderType"]:
    """Every provider type of the catalogue."""
    from modelmux.config import library

    return library.provider_types()


def build(loaded: "Loaded") -> Gateway:
    """A gateway of the configuration; nothing is connected yet. Raises `ConfigError`."""
    from modelmux.config import gateway

    return gateway.Gateway(loaded)


def explain(loaded: "Loaded", asked: "Asked") -> "Explanation":
    """Whom a call would go to, and why. Raises `GatewayError`."""
    from modelmux.config.asking import explained

    return explained(asked, loaded)


def serve(
    loaded: "Loaded", load: "Callable[[], Loaded]", environ: Mapping[str, str], handover: str
) -> int:
    """Serve until told to stop; the exit code.

    Args:
        loaded: The configuration.
        load: Reads it anew.
        environ: What the process was started in.
        handover: What another process gave it, whose place it takes.

    Raises:
        ConfigError: It cannot be served.
    """
    from modelmux.config.serve import Origin, run

    return run(loaded, Origin(load, environ, handover))
