"""Whose credentials a provider of the configuration is shown, and how: schema to objects."""

import os
from collections.abc import Callable, Mapping, Sequence

from modelmux.config.marks import names_credential
from modelmux.config.schema import Provider
from modelmux.errors import ConfigError
from modelmux.provider import headers
from modelmux.provider.auth.aws import AwsCredential, AwsSource, AwsStatic
from modelmux.provider.auth.base import Credential
from modelmux.provider.auth.entra import Entra, EntraCredential, from_environment
from modelmux.provider.auth.gcp import ApplicationDefault, KeyFile, KeyJson
from modelmux.provider.auth.sigv4 import AwsKeys, SigV4
from modelmux.provider.auth.static import NoCredential, StaticCredential
from modelmux.provider.catalog import ProviderRow
from modelmux.provider.model import Credentials


def credentials(provider: Provider, row: ProviderRow) -> Sequence[Credential]:
    """What a provider is shown, each in turn.

    Raises:
        ConfigError: It needs what is not there, or a key cannot be one.
    """
    if provider.keys:
        return [StaticCredential(row.auth, key) for key in provider.keys]
    if provider.auth == "passthrough":
        return [NoCredential()]
    if row.auth == "aws":
        return [_aws(provider)]
    in_headers = any(names_credential(name) for name in provider.headers)
    if row.auth == "api-key" and not in_headers:
        said = Entra(provider.tenant_id, provider.client_id, provider.client_secret)
        return [EntraCredential(provider.name, from_environment(said, os.environ))]
    if row.needs_key and not in_headers:
        raise ConfigError("expected an api_key, got none", hint="set api_key, or api_keys")
    return [NoCredential()]


def _aws(provider: Provider) -> Credential:
    if bool(provider.access_key_id) != bool(provider.secret_access_key):
        raise ConfigError(
            "expected access_key_id and secret_access_key, got one of them",
            hint="set both, or none to use what Amazon's own tools find",
        )
    keys = None
    if provider.access_key_id:
        keys = AwsKeys(
            provider.access_key_id.strip(),
            provider.secret_access_key.strip(),
            provider.session_token.strip(),
        )
        if not provider.role_arn:
            return AwsStatic(keys)
    return AwsCredential(provider.name, AwsSource(provider.region, keys, provider.role_arn))


def signer(provider: Provider, row: ProviderRow, unix_time: Callable[[], float]) -> SigV4 | None:
    """How requests to a provider are signed; `None`: they are not. Raises `ConfigError`."""
    if row.auth != "aws" or provider.keys or provider.auth == "passthrough":
        return None
    if not provider.region:
        raise ConfigError("region is not set", hint="such as us-east-1: signatures name it")
    return SigV4(provider.region, unix_time=unix_time)


def passthrough(row: ProviderRow) -> Credentials:
    """Takes the caller's key from where its SDK puts it to where the provider looks for it."""

    def taken(caller: Mapping[str, str]) -> bytes:
        authorization, key = caller.get("authorization", ""), caller.get("x-api-key", "")
        if row.auth in {"x-api-key", "api-key"}:
            # What comes as a bearer's stays one: Anthropic's OAuth tokens are no API keys.
            fields = {row.auth: key, "authorization": authorization}
        elif row.auth == "x-goog-api-key":
            google = caller.get("x-goog-api-key", "")
            fields = {"x-goog-api-key": google, "authorization": authorization}
        else:
            fields = {"authorization": authorization or (f"Bearer {key}" if key else "")}
        for name, value in fields.items():
            if value and headers.is_value(value):
                return headers.field(name, value)
        return b""

    return taken


def google_source(provider: Provider) -> KeyFile | KeyJson | ApplicationDefault:
    """Where Google's credentials come from."""
    if provider.service_account_json:
        return KeyJson(provider.service_account_json)
    if provider.service_account_file:
        return KeyFile(provider.service_account_file)
    return ApplicationDefault()
