"""Amazon's credentials: given in the configuration, or found where its own tools find them."""

import time
from collections.abc import Callable
from importlib import import_module
from typing import Final, Protocol, cast

from msgspec import Struct
from typing_extensions import override

from modelmux.errors import ConfigError
from modelmux.provider import headers
from modelmux.provider.auth.refreshing import Issuer, Refreshing, Token
from modelmux.provider.auth.sigv4 import AwsKeys

_LIBRARY: Final = "modelmux.provider.auth.aws_tokens"


class AwsSource(Struct, frozen=True):
    """Where keys come from."""

    region: str
    keys: AwsKeys | None = None
    """What to ask with; `None`: environment, files, container or machine, as botocore looks."""
    role_arn: str = ""
    """The role to take on."""


class AwsStatic:
    """Keys of the configuration that are used as they are."""

    def __init__(self, keys: AwsKeys) -> None:
        """Take `keys`. Raises `ConfigError`: they cannot stand in a header. Not shown."""
        for name in ("access_key_id", "secret_access_key", "session_token"):
            value: str = getattr(keys, name)
            if not headers.is_value(value) or " " in value:
                raise ConfigError(
                    f"{name} ({len(value)} characters, not shown) holds a space, a control or a "
                    "non-ASCII character",
                    hint="copy it again",
                )
        self._block = keys.block()

    @override
    def __repr__(self) -> str:
        return "AwsStatic(…)"

    @property
    def identity(self) -> object:
        return self._block

    def block(self) -> bytes:
        return self._block

    async def refresh(self) -> bytes:
        return self._block

    def expire(self, block: bytes) -> bool:
        return False

    async def aclose(self) -> None:
        """Nothing to give back."""


class AwsCredential(Refreshing):
    """Keys that expire: of a role, a container, a machine, a login. For one event loop."""

    def __init__(
        self,
        name: str,
        source: AwsSource | Issuer,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make a credential; nothing is read or fetched.

        Args:
            name: What messages call it.
            source: Where keys come from.
            clock: Unix time.
        """

        def issuer() -> Issuer:
            return _botocore(source) if isinstance(source, AwsSource) else source

        super().__init__(name, issuer, clock=clock)

    @override
    def _shown(self, token: Token) -> bytes:
        return token.value.encode()


class _Library(Protocol):
    """The part of `aws_tokens` that is used here."""

    def issuer(self, source: AwsSource) -> Issuer: ...


def _botocore(source: AwsSource) -> Issuer:
    """Keys by botocore, which is loaded here, because most gateways never need it."""
    try:
        library = import_module(_LIBRARY)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Amazon's credentials need a library that is not installed: {error.name}",
            hint="pip install 'modelmux[bedrock]', or set access_key_id and secret_access_key, "
            "or api_key",
        ) from error
    return cast("_Library", library).issuer(source)
