"""Credentials that never change: an API key, or none."""

from typing_extensions import override

from modelmux.errors import ConfigError
from modelmux.provider import headers
from modelmux.provider.catalog import AuthStyle


class StaticCredential:
    """A key of the configuration, in the header field where its provider looks for it."""

    def __init__(self, style: AuthStyle, secret: str) -> None:
        """Make the header field.

        Args:
            style: How the provider wants to be shown a key.
            secret: The key; white space around it, such as a file's last line break, does not
                count.

        Raises:
            ConfigError: The key is empty, or cannot stand in a header. It is not shown.
        """
        self._block = _block(style, secret.strip())

    @override
    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

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


class NoCredential(StaticCredential):
    """For a provider that asks for none."""

    def __init__(self) -> None:
        self._block = b""


def _block(style: AuthStyle, secret: str) -> bytes:
    if not secret:
        raise ConfigError("the API key is empty", hint="set api_key, or the variable it refers to")
    if not headers.is_value(secret) or " " in secret:
        raise ConfigError(
            f"the API key ({len(secret)} characters, not shown) holds a space, a control or a "
            "non-ASCII character",
            hint="copy it again; quotes and the word Bearer are not part of it",
        )
    match style:
        case "bearer" | "google" | "aws":
            return headers.field("authorization", f"Bearer {secret}")
        case "x-api-key" | "api-key" | "x-goog-api-key":
            return headers.field(style, secret)
        case "none":
            raise ConfigError("the provider takes no API key", hint="leave api_key out")
