"""Access tokens by google-auth, over the HTTP client that the rest of the program has.

Loaded only where Google credentials are used. Everything here blocks.
"""

import os
import stat
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol

import httpx2
import msgspec
from google.auth.exceptions import (
    DefaultCredentialsError,
    GoogleAuthError,
    RefreshError,
    TransportError,
)
from msgspec import Struct

from modelmux.errors import ConfigError, CredentialRefused, Unreachable
from modelmux.provider.auth.gcp import (
    ApplicationDefault,
    KeyFile,
    KeyJson,
    Source,
    Token,
    key_text,
    not_a_key,
)
from modelmux.provider.quoting import quoted

SCOPE: Final = "https://www.googleapis.com/auth/cloud-platform"
TIMEOUT_S: Final = 10.0
"""For one exchange with a token endpoint; google-auth tries three times."""
DEFAULT_LIFETIME_S: Final = 3600.0
"""Life of a token that does not say. Google's live an hour."""

METADATA_TIMEOUT_S: Final = 3.0
"""For the metadata server, which is next door where there is one."""

_DIRECT: Final = ("metadata.google.internal", "169.254.169.254")
"""Hosts of the metadata server, to which no proxy leads."""
_PEM: Final = "-----BEGIN"
_FLAVOUR: Final = {"metadata-flavor": "Google"}
_WAYS: Final = (
    "set service_account_file or GOOGLE_APPLICATION_CREDENTIALS, "
    "or run: gcloud auth application-default login"
)


class _Kind(Struct, frozen=True):
    """How credentials of one type are made."""

    module: str
    make: str
    needs: tuple[str, ...]


_KINDS: Final = {
    "service_account": _Kind(
        "google.oauth2.service_account",
        "from_service_account_info",
        ("project_id", "private_key_id", "private_key", "client_email", "token_uri"),
    ),
    "authorized_user": _Kind(
        "google.oauth2.credentials",
        "from_authorized_user_info",
        ("client_id", "client_secret", "refresh_token"),
    ),
}
"""By `type`. Others name programs and URLs to ask, so they are not taken from a configuration's
text; Google's library reads them where GOOGLE_APPLICATION_CREDENTIALS names the file."""


class _Typed(Struct):
    type: str = ""


class _Granted(Struct):
    """A token of the metadata server."""

    access_token: str
    expires_in: float


class _Credentials(Protocol):
    """The part of google-auth's credentials that is used here; the library is not typed."""

    token: str | None
    expiry: datetime | None

    def refresh(self, request: "_Request") -> None: ...


class GoogleIssuer:
    """Tokens for one source of credentials."""

    def __init__(self, source: Source, client: httpx2.Client | None = None) -> None:
        """Read nothing yet. `client`, where given, is closed with this."""
        self._source = source
        self._client = client
        self._request: _Request | None = None
        self._credentials: _Credentials | None = None
        self._lock = threading.Lock()

    def check(self) -> tuple[str, ...]:
        """Warnings about the credentials. Raises `ConfigError` if they are none.

        Application default credentials are not looked for: that may ask the network.
        """
        source = self._source
        if isinstance(source, ApplicationDefault):
            return ()
        _load(source)
        return tuple(_warnings(source))

    def fetch(self) -> Token:
        """A new token. Raises as `Issuer.fetch` does, and `ConfigError` for bad credentials."""
        with self._lock:
            try:
                return self._fetched()
            except TransportError as error:
                raise Unreachable(f"Google's token endpoint: {_quoted(str(error))}") from error
            except RefreshError as error:
                message = f"Google gave no token: {_quoted(_words(error))}"
                if getattr(error, "retryable", False):
                    raise Unreachable(message) from error
                raise CredentialRefused(message) from error
            except DefaultCredentialsError as error:
                raise CredentialRefused(
                    f"no Google credentials: {_quoted(_words(error))}: {_WAYS}"
                ) from error
            except GoogleAuthError as error:
                raise CredentialRefused(f"Google: {_quoted(_words(error))}") from error

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _fetched(self) -> Token:
        request = self._request
        if request is None:
            self._client = self._client or _client()
            request = self._request = _Request(self._client)
        if self._credentials is None:
            source = self._source
            if isinstance(source, ApplicationDefault):
                self._credentials = _default(request)
            else:
                self._credentials = _load(source)
        credentials = self._credentials
        credentials.refresh(request)
        if not credentials.token:
            raise CredentialRefused("Google gave no token, and no reason")
        return Token(credentials.token, _expires_at_s(credentials.expiry))


def issuer(source: Source) -> GoogleIssuer:
    """Tokens for `source`."""
    return GoogleIssuer(source)


class _Response:
    """An answer as google-auth reads it."""

    def __init__(self, status: int, headers: Mapping[str, str], data: bytes) -> None:
        self.status = status
        self.headers = headers
        self.data = data


class _Request:
    """The callable that google-auth makes its requests with."""

    def __init__(self, client: httpx2.Client) -> None:
        self._client = client

    def __call__(
        self,
        url: str,
        method: str = "GET",
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        **_options: object,
    ) -> _Response:
        """Exchange one request for its answer, whatever its status.

        Raises:
            TransportError: There was no answer.
        """
        try:
            answer = self._client.request(
                method, url, content=body, headers=headers, timeout=timeout or TIMEOUT_S
            )
        except (httpx2.HTTPError, RuntimeError) as error:
            # RuntimeError: the client was closed while this waited its turn.
            reason = str(error) or type(error).__name__
            # google-auth is not typed, and looks for its own exception here.
            raise TransportError(reason) from error  # type: ignore[no-untyped-call]
        return _Response(answer.status_code, answer.headers, answer.content)


def _client() -> httpx2.Client:
    return httpx2.Client(mounts={f"all://{host}": None for host in _DIRECT})


def _default(request: _Request) -> _Credentials:
    """What this machine has, in the order of every Google library.

    Not by `google.auth.default` alone: for the metadata server that needs `requests`, an HTTP
    client that nothing else here does (google-auth 2.62, read 2026-11-20).
    """
    if not os.environ.get("GOOGLE_APPLICATION_CREDENTIALS") and not _gcloud_login().is_file():
        return _Metadata()
    # Its functions are not typed: this says what comes back.
    found: tuple[_Credentials, str | None] = import_module("google.auth").default(
        scopes=[SCOPE], request=request
    )
    return found[0]


def _gcloud_login() -> Path:
    """Where `gcloud auth application-default login` writes."""
    folder = os.environ.get("CLOUDSDK_CONFIG")
    if not folder and os.name == "nt":
        folder = os.path.expandvars("%APPDATA%/gcloud")
    base = Path(folder) if folder else Path.home() / ".config" / "gcloud"
    return base / "application_default_credentials.json"


class _Metadata:
    """The service account that Google Cloud runs this machine as.

    https://cloud.google.com/compute/docs/access/authenticate-workloads, read 2026-11-20
    """

    def __init__(self) -> None:
        self.token: str | None = None
        self.expiry: datetime | None = None

    def refresh(self, request: _Request) -> None:
        host = os.environ.get("GCE_METADATA_HOST") or _DIRECT[0]
        url = f"http://{host}/computeMetadata/v1/instance/service-accounts/default/token"
        try:
            answer = request(url, headers=_FLAVOUR, timeout=METADATA_TIMEOUT_S)
        except TransportError as error:
            raise Unreachable(
                f"no Google credentials are set, and no metadata server answers "
                f"({_quoted(str(error))}): {_WAYS}"
            ) from error
        if answer.status != 200 or answer.headers.get("metadata-flavor") != "Google":
            raise CredentialRefused(
                f"no Google credentials are set, and the metadata server has none "
                f"(status {answer.status}): {_WAYS}"
            )
        try:
            granted = msgspec.json.decode(answer.data, type=_Granted)
        except msgspec.DecodeError as error:
            raise CredentialRefused("the metadata server's answer is no token") from error
        self.token = granted.access_token
        self.expiry = datetime.now(UTC) + timedelta(seconds=granted.expires_in)


def _load(source: KeyFile | KeyJson) -> _Credentials:
    """Credentials of a key. Raises `ConfigError`."""
    text = key_text(source)
    try:
        type_ = msgspec.json.decode(text, type=_Typed).type
        info = msgspec.json.decode(text, type=dict[str, object])
    except msgspec.DecodeError as error:
        raise not_a_key(source) from error
    kind = _KINDS.get(type_)
    if kind is None:
        raise ConfigError(
            f"expected Google credentials of type {' or '.join(map(repr, _KINDS))}, not {type_!r}",
            hint="for any other, set GOOGLE_APPLICATION_CREDENTIALS to the file",
        )
    _check_fields(info, kind, type_)
    try:
        made: _Credentials = getattr(import_module(kind.module).Credentials, kind.make)(
            info, scopes=[SCOPE]
        )
    except (ValueError, GoogleAuthError) as error:
        # Its message may quote the key.
        raise not_a_key(source, f"a usable {type_} key: its private_key is damaged") from error
    return made


def _check_fields(info: Mapping[str, object], kind: _Kind, type_: str) -> None:
    for name in kind.needs:
        value = info.get(name)
        if not isinstance(value, str) or not value:
            raise ConfigError(
                f"Google credentials of type {type_!r} have no {name}",
                hint="use the JSON as it was downloaded",
            )
    if not str(info.get("private_key", _PEM)).startswith(_PEM):
        raise ConfigError(
            "the private_key of the Google credentials is not PEM",
            hint="it begins with -----BEGIN PRIVATE KEY----- and has line breaks, as \\n in JSON",
        )


def _warnings(source: KeyFile | KeyJson) -> list[str]:
    found: list[str] = []
    if isinstance(source, KeyFile):
        mode = stat.S_IMODE(Path(source.path).stat().st_mode)
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            found.append(f"{source.path} can be read by others (mode {mode:04o}): chmod 600 it")
    account = msgspec.json.decode(key_text(source), type=dict[str, object]).get("client_email")
    if isinstance(account, str) and not account.endswith(".gserviceaccount.com"):
        found.append(f"client_email {account!r} is no service account's address")
    return found


def _expires_at_s(expiry: datetime | None) -> float:
    if expiry is None:
        return datetime.now(UTC).timestamp() + DEFAULT_LIFETIME_S
    # google-auth's times are UTC and do not say so.
    return expiry.replace(tzinfo=UTC).timestamp()


def _words(error: GoogleAuthError) -> str:
    """What the library says, without the response that it hangs behind it."""
    said = error.args[0] if error.args else ""
    return str(said) or type(error).__name__


def _quoted(text: str) -> str:
    return quoted(text, about_keys=True)
