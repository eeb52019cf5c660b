import asyncio
from pathlib import Path
from urllib.parse import parse_qs

import msgspec
import pytest

from modelmux.errors import ConfigError, CredentialRefused, Unreachable
from modelmux.provider.auth import entra
from modelmux.provider.auth.entra import Entra, EntraCredential, EntraIssuer
from modelmux.provider.auth.refreshing import Token

SECRET = Entra("tenant", "client", "s3cret")


def test_a_secret_is_shown_to_the_tenants_endpoint():
    said = entra.exchange(SECRET)
    assert said.method == "POST"
    assert said.url == "https://login.microsoftonline.com/tenant/oauth2/v2.0/token"
    form = parse_qs(said.body.decode())
    assert form["client_secret"] == ["s3cret"]
    assert form["scope"] == ["https://cognitiveservices.azure.com/.default"]


def test_a_workload_shows_its_clusters_token():
    said = entra.exchange(Entra("tenant", "client", token_file="f"), "jwt")
    form = parse_qs(said.body.decode())
    assert form["client_assertion"] == ["jwt"]
    assert "client_secret" not in form


def test_a_machine_asks_next_door():
    said = entra.exchange(Entra(client_id="mine"))
    assert (said.method, said.headers) == ("GET", {"metadata": "true"})
    assert said.url.startswith(entra.MACHINE)
    assert "client_id=mine" in said.url


def test_the_environment_says_what_the_configuration_does_not():
    environ = {
        "AZURE_TENANT_ID": "t",
        "AZURE_CLIENT_ID": "c",
        "AZURE_FEDERATED_TOKEN_FILE": "f",
        "AZURE_AUTHORITY_HOST": "https://login.example/",
    }
    assert entra.from_environment(Entra(), environ) == Entra(
        "t", "c", "", "f", "https://login.example"
    )
    assert entra.from_environment(SECRET, environ) is SECRET


def answer(**fields: object) -> bytes:
    return msgspec.json.encode(fields)


@pytest.mark.parametrize("expires", [60, "60"])
def test_an_answer_is_a_token_with_its_life(expires: object):
    body = answer(access_token="tok", expires_in=expires)
    assert entra.token(200, body, 1000.0) == Token("tok", 1060.0)


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (400, answer(error="invalid_client", error_description="no"), CredentialRefused),
        (401, answer(error="unauthorized_client"), CredentialRefused),
        (503, answer(error="temporarily_unavailable"), Unreachable),
        (429, answer(error="slow_down"), Unreachable),
        (200, b"<html>", Unreachable),
        (200, answer(access_token="t", expires_in="soon"), Unreachable),
    ],
)
def test_every_other_answer_is_a_failure(status: int, body: bytes, error: type[Exception]):
    with pytest.raises(error):
        entra.token(status, body, 0.0)


@pytest.mark.parametrize("who", [Entra("t"), Entra("t", "c")])
def test_half_of_a_credential_is_none(who: Entra):
    with pytest.raises(ConfigError, match="needs a client_id"):
        EntraIssuer(who).check()


def test_a_workloads_token_that_cannot_be_read_is_told(tmp_path: Path):
    who = Entra("t", "c", token_file=str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match="cannot be read"):
        EntraIssuer(who).fetch()


def test_nothing_of_the_secret_is_shown():
    assert "s3cret" not in repr(SECRET)
    assert repr(EntraCredential("azure", SECRET)) == "EntraCredential('azure')"
    EntraIssuer(SECRET).close()


class Issuer:
    def check(self) -> tuple[str, ...]:
        return ()

    def fetch(self) -> Token:
        return Token("tok", 10_000.0)

    def close(self) -> None:
        pass


def test_a_token_is_a_bearers():
    async def run() -> bytes:
        return await EntraCredential("azure", Issuer(), clock=lambda: 0.0).refresh()

    assert asyncio.run(run()) == b"authorization: Bearer tok\r\n"
