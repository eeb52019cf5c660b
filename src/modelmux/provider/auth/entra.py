"""Microsoft Entra's access tokens for Azure: by a client's secret, a workload's, or a machine's.

Each way is one exchange: `request` says what to send, `token` reads what came. They do no I/O and
know no clock; `EntraIssuer` plays them over HTTP in a thread of its own.
"""

import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

import msgspec
from msgspec import Struct
from typing_extensions import override

from modelmux.errors import ConfigError, CredentialRefused, Unreachable
from modelmux.provider.auth.refreshing import Issuer, Refreshing, Token
from modelmux.provider.quoting import quoted

SCOPE: Final = "https://cognitiveservices.azure.com/.default"
"""For Azure OpenAI and Foundry. learn.microsoft.com/azure/foundry/openai/how-to/managed-identity,
read 2026-11-20"""
AUTHORITY: Final = "https://login.microsoftonline.com"
MACHINE: Final = "http://169.254.169.254/metadata/identity/oauth2/token"
"""Where a machine on Azure asks for its own.

learn.microsoft.com/entra/identity/managed-identities-azure-resources/how-to-use-vm-token, read
2026-11-20"""
TIMEOUT_S: Final = 10.0

_ASSERTION: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Entra(Struct, frozen=True):
    """Who asks. Without a tenant, the machine does."""

    tenant_id: str = ""
    client_id: str = ""
    client_secret: str = ""
    token_file: str = ""
    """Where a cluster keeps the workload's own token, which stands for a secret."""
    authority: str = AUTHORITY

    @override
    def __repr__(self) -> str:
        return f"Entra(tenant_id={self.tenant_id!r}, client_id={self.client_id!r}, …)"


def from_environment(said: Entra, environ: Mapping[str, str]) -> Entra:
    """`said`, and what it leaves out from the variables that Azure's own tools read."""
    if said.tenant_id and said.client_secret:
        return said
    return Entra(
        said.tenant_id or environ.get("AZURE_TENANT_ID", ""),
        said.client_id or environ.get("AZURE_CLIENT_ID", ""),
        said.client_secret or environ.get("AZURE_CLIENT_SECRET", ""),
        said.token_file or environ.get("AZURE_FEDERATED_TOKEN_FILE", ""),
        environ.get("AZURE_AUTHORITY_HOST", "").rstrip("/") or said.authority,
    )


class Exchange(Struct, frozen=True):
    """What to send for a token."""

    method: str
    url: str
    headers: Mapping[str, str] = {}
    body: bytes = b""


def exchange(who: Entra, assertion: str = "") -> Exchange:
    """What to send for a token.

    Args:
        who: Who asks.
        assertion: What `who.token_file` holds.
    """
    if not who.tenant_id:
        query = {"api-version": "2018-02-01", "resource": SCOPE.removesuffix("/.default")}
        if who.client_id:
            query["client_id"] = who.client_id
        return Exchange("GET", f"{MACHINE}?{urlencode(query)}", {"metadata": "true"})
    form = {"grant_type": "client_credentials", "client_id": who.client_id, "scope": SCOPE}
    if who.client_secret:
        form["client_secret"] = who.client_secret
    else:
        form |= {"client_assertion_type": _ASSERTION, "client_assertion": assertion}
    return Exchange(
        "POST",
        f"{who.authority}/{who.tenant_id}/oauth2/v2.0/token",
        {"content-type": "application/x-www-form-urlencoded"},
        urlencode(form).encode(),
    )


class _Answer(Struct):
    access_token: str = ""
    expires_in: int | str = 3600
    error: str = ""
    error_description: str = ""


_answer = msgspec.json.Decoder(_Answer)


def token(status: int, body: bytes, now: float) -> Token:
    """What came, as a token.

    Raises:
        CredentialRefused: It is a refusal.
        Unreachable: It is none of both: another try may do.
    """
    try:
        answer = _answer.decode(body)
        expires_in_s = float(answer.expires_in)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise Unreachable(f"Entra answered with status {status}, and no token") from None
    if answer.access_token and 200 <= status < 300:
        return Token(answer.access_token, now + expires_in_s)
    words = quoted(f"{answer.error}: {answer.error_description}", about_keys=True)
    if status >= 500 or status == 429:
        raise Unreachable(f"Entra answered with status {status}: {words}")
    raise CredentialRefused(f"Entra gave no token: {words}")


class EntraIssuer:
    """Tokens over HTTP. Blocks."""

    def __init__(self, who: Entra) -> None:
        self._who = who

    def check(self) -> tuple[str, ...]:
        """Nothing to warn of. Raises `ConfigError`: what is said is not enough to ask."""
        who = self._who
        if who.tenant_id and not (who.client_id and (who.client_secret or who.token_file)):
            raise ConfigError(
                "a tenant_id needs a client_id, and a client_secret or a workload's token file",
                hint="set api_key, or tenant_id, client_id and client_secret",
            )
        return ()

    def fetch(self) -> Token:
        """A new token. Raises as `Issuer.fetch` does, and `ConfigError`."""
        self.check()
        httpx2 = import_module("httpx2")
        said = exchange(self._who, self._assertion())
        try:
            answer = httpx2.request(
                said.method,
                said.url,
                headers=dict(said.headers),
                content=said.body,
                timeout=TIMEOUT_S,
                trust_env=bool(self._who.tenant_id),  # no proxy leads to a machine's own
            )
            return token(answer.status_code, answer.content, time.time())
        except httpx2.HTTPError as error:
            raise Unreachable(f"Entra's token service did not answer: {error}") from error

    def close(self) -> None:
        """Nothing to give back."""

    def _assertion(self) -> str:
        if self._who.client_secret or not self._who.token_file:
            return ""
        try:
            return Path(self._who.token_file).read_text("utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"the workload's token {self._who.token_file!r} cannot be read",
                hint="correct AZURE_FEDERATED_TOKEN_FILE",
            ) from error


class EntraCredential(Refreshing):
    """Access tokens for Azure, as header fields. For one event loop."""

    def __init__(
        self,
        name: str,
        source: Entra | Issuer,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Make a credential; nothing is read or fetched."""

        def issuer() -> Issuer:
            return EntraIssuer(source) if isinstance(source, Entra) else source

        super().__init__(name, issuer, clock=clock)
