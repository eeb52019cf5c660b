"""Google access tokens: where they come from, and what is known of their keys."""

import os
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, cast

import msgspec
from msgspec import Struct
from typing_extensions import override

from modelmux.errors import ConfigError
from modelmux.provider.auth.refreshing import (
    EXPIRED_BEFORE_S,
    RETRY_BEHIND_S,
    STALE_BEFORE_S,
    Issuer,
    Refreshing,
    Token,
)

__all__ = [
    "EXPIRED_BEFORE_S",
    "RETRY_BEHIND_S",
    "STALE_BEFORE_S",
    "ApplicationDefault",
    "GoogleCredential",
    "Issuer",
    "KeyFile",
    "KeyJson",
    "Source",
    "Token",
    "key_text",
    "not_a_key",
    "project_id",
]

_LIBRARY: Final = "modelmux.provider.auth.google_tokens"


class KeyFile(Struct, frozen=True):
    """Credentials in a file: a service account's key, or what gcloud writes."""

    path: str


class KeyJson(Struct, frozen=True):
    """The same, as text."""

    text: str

    @override
    def __repr__(self) -> str:
        return "KeyJson(…)"


class ApplicationDefault(Struct, frozen=True):
    """Whatever this machine has.

    GOOGLE_APPLICATION_CREDENTIALS, gcloud's login, or Google Cloud's metadata server.
    """


Source = KeyFile | KeyJson | ApplicationDefault


class GoogleCredential(Refreshing):
    """Access tokens for Google Cloud, as header fields. For one event loop."""

    def __init__(
        self,
        name: str,
        source: Source | Issuer,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make a credential; nothing is read or fetched.

        Args:
            name: What messages call it.
            source: Where tokens come from.
            clock: Unix time.
        """

        def issuer() -> Issuer:
            if isinstance(source, KeyFile | KeyJson | ApplicationDefault):
                return _google(source)
            return source

        super().__init__(name, issuer, clock=clock)


class _Library(Protocol):
    """The part of `google_tokens` that is used here."""

    def issuer(self, source: Source) -> Issuer: ...


def _google(source: Source) -> Issuer:
    """Tokens by Google's library, which is loaded here, because most gateways never need it."""
    try:
        library = import_module(_LIBRARY)
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"Google credentials need a library that is not installed: {error.name}",
            hint="pip install 'modelmux[vertex]'",
        ) from error
    return cast("_Library", library).issuer(source)


class _Named(Struct):
    project_id: str = ""


def project_id(source: KeyFile | KeyJson) -> str:
    """The project that a service account's key belongs to; empty where it does not say.

    Raises:
        ConfigError: The file cannot be read, or is not a JSON object.
    """
    try:
        return msgspec.json.decode(key_text(source), type=_Named).project_id
    except msgspec.DecodeError as error:
        raise not_a_key(source) from error


def key_text(source: KeyFile | KeyJson) -> str:
    """What the key says. Raises `ConfigError` if its file cannot be read."""
    if isinstance(source, KeyJson):
        return source.text
    try:
        return Path(source.path).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "it is not text"
        raise ConfigError(
            f"the Google credentials file {source.path!r} cannot be read: {why}",
            hint="correct service_account_file, or the file's permissions",
        ) from error


def not_a_key(source: KeyFile | KeyJson, what: str = "a JSON object") -> ConfigError:
    """The error for credentials that are not `what`."""
    where = f"file {source.path!r}" if isinstance(source, KeyFile) else "text (not shown)"
    return ConfigError(
        f"the Google credentials {where} is not {what}",
        hint="expected the JSON of a service account's key, or what gcloud writes",
    )
