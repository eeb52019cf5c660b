import base64
import time
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs

import httpx2
import msgspec
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from modelmux.errors import ConfigError, CredentialRefused, Unreachable
from modelmux.provider.auth.gcp import ApplicationDefault, KeyFile, KeyJson
from modelmux.provider.auth.google_tokens import SCOPE, GoogleIssuer, issuer
from tests.support import http1
from tests.support.http1 import Request
from tests.support.upstream import Upstream

ACCOUNT = "robot@p-1.iam.gserviceaccount.com"
TOKEN = {"access_token": "ya29.secret-token", "expires_in": 3600, "token_type": "Bearer"}
USER = {
    "type": "authorized_user",
    "client_id": "c",
    "client_secret": "s",
    "refresh_token": "1//r",
}

Key = dict[str, str]


@pytest.fixture(scope="module", name="private_key")
def make_private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture(name="key")
def make_key(private_key: rsa.RSAPrivateKey) -> Key:
    """What Google's console gives for download."""
    pem = private_key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return {
        "type": "service_account",
        "project_id": "p-1",
        "private_key_id": "k-1",
        "private_key": pem.decode(),
        "client_email": ACCOUNT,
        "client_id": "1",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth",
        "token_uri": "http://127.0.0.1:1/token",
    }


def text(key: Key, **changes: str) -> KeyJson:
    return KeyJson(msgspec.json.encode(key | changes).decode())


def answering(*answers: bytes) -> Upstream:
    left = list(answers)
    return Upstream(lambda _: [left.pop(0)])


@pytest.fixture(name="using")
def make_using(key: Key) -> Iterator[Callable[..., GoogleIssuer]]:
    """Issuers for the key at a token endpoint, closed in the end."""
    made: list[GoogleIssuer] = []

    def using(upstream: Upstream, **changes: str) -> GoogleIssuer:
        made.append(GoogleIssuer(text(key, token_uri=f"{upstream.base_url}/token", **changes)))
        return made[-1]

    yield using
    for each in made:
        each.close()


def claims(request: Request, key: rsa.RSAPrivateKey) -> dict[str, object]:
    """What the assertion says; fails if it is not signed with `key`."""
    form = parse_qs(request.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    signed, _, signature = form["assertion"][0].rpartition(".")
    key.public_key().verify(
        base64.urlsafe_b64decode(signature + "=="),
        signed.encode(),
        padding.PKCS1v15(),
        hashes.SHA256(),
    )
    head, payload = (
        msgspec.json.decode(base64.urlsafe_b64decode(part + "==")) for part in signed.split(".")
    )
    assert head == {"typ": "JWT", "alg": "RS256", "kid": "k-1"}
    return payload


def test_a_service_account_signs_for_itself(using, private_key):
    with answering(http1.answer(200, TOKEN)) as upstream:
        before = time.time()
        token = using(upstream).fetch()
    assert token.value == "ya29.secret-token"
    assert before + 3500 < token.expires_at_s < time.time() + 3700
    [request] = upstream.requests
    assert request.target == "/token"
    said = claims(request, private_key)
    assert said["iss"] == ACCOUNT
    assert said["scope"] == SCOPE
    assert said["aud"] == "https://oauth2.googleapis.com/token"
    assert said["exp"] - said["iat"] == 3600


def test_each_fetch_asks_again(using):
    second = TOKEN | {"access_token": "another", "expires_in": 30}
    with answering(http1.answer(200, TOKEN), http1.answer(200, second)) as upstream:
        made = using(upstream)
        assert made.fetch().value == "ya29.secret-token"
        token = made.fetch()
    assert token.value == "another"
    assert token.expires_at_s < time.time() + 60


def test_a_key_in_a_file_works_as_one_in_text(key, tmp_path):
    with answering(http1.answer(200, TOKEN)) as upstream:
        file = tmp_path / "key.json"
        file.write_bytes(msgspec.json.encode(key | {"token_uri": f"{upstream.base_url}/token"}))
        made = issuer(KeyFile(str(file)))
        assert made.fetch().value == "ya29.secret-token"
        made.close()


def test_a_token_without_an_end_is_taken_to_live_an_hour(using):
    with answering(http1.answer(200, {"access_token": "t"})) as upstream:
        token = using(upstream).fetch()
    assert time.time() + 3500 < token.expires_at_s < time.time() + 3700


def test_a_refusal_says_what_google_said_and_no_secret(using, key):
    said = {"error": "invalid_grant", "error_description": "Invalid JWT Signature."}
    with answering(http1.answer(400, said)) as upstream:
        made = using(upstream)
        with pytest.raises(CredentialRefused, match="invalid_grant: Invalid JWT Signature") as got:
            made.fetch()
    assert key["private_key"][40:60] not in str(got.value)


def test_a_page_of_html_is_quoted_in_part(using):
    page = b"<html>" + b"no entry " * 1000
    with answering(http1.answer(403, page)) as upstream:
        made = using(upstream)
        with pytest.raises(CredentialRefused) as got:
            made.fetch()
    assert len(got.value.message) < 1100


def test_an_endpoint_that_answers_without_a_token_is_refused(using):
    with answering(http1.answer(200, {"id_token": "x"})) as upstream:
        made = using(upstream)
        with pytest.raises(CredentialRefused):
            made.fetch()


def test_an_endpoint_that_nobody_serves_is_unreachable(key):
    made = GoogleIssuer(text(key))
    with pytest.raises(Unreachable, match="token endpoint"):
        made.fetch()
    made.close()


def test_a_closed_issuer_is_unreachable(using):
    with answering(http1.answer(200, TOKEN)) as upstream:
        made = using(upstream)
        made.fetch()
        made.close()
        with pytest.raises(Unreachable):
            made.fetch()


def test_a_redirect_is_not_followed(using):
    moved = http1.answer(307, b"", ("location", "https://evil.example/"))
    with answering(moved) as upstream:
        made = using(upstream)
        with pytest.raises(CredentialRefused):
            made.fetch()
    assert len(upstream.requests) == 1


def test_a_users_own_login_is_refreshed():
    seen: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json=TOKEN)

    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    made = GoogleIssuer(text(USER), client)
    assert made.check() == ()
    assert made.fetch().value == "ya29.secret-token"
    made.close()
    # Google's library asks nobody else, whatever the file says.
    assert str(seen[0].url) == "https://oauth2.googleapis.com/token"
    form = parse_qs(seen[0].content.decode())
    assert form["refresh_token"] == ["1//r"]
    assert form["grant_type"] == ["refresh_token"]


# Credentials that are none.


@pytest.mark.parametrize(
    "missing", ["project_id", "private_key_id", "private_key", "client_email", "token_uri"]
)
def test_a_key_without_a_field_that_it_needs_names_the_field(key, missing):
    for changed in (text(key, **{missing: ""}), text({k: key[k] for k in key if k != missing})):
        with pytest.raises(ConfigError, match=f"no {missing}"):
            GoogleIssuer(changed).check()


def test_a_private_key_that_is_not_pem_is_refused_and_not_shown(key):
    with pytest.raises(ConfigError, match="not PEM") as got:
        GoogleIssuer(text(key, private_key="hush")).check()
    assert "hush" not in got.value.message


def test_a_damaged_private_key_is_refused_and_not_shown(key):
    damaged = "-----BEGIN PRIVATE KEY-----\nhush\n-----END PRIVATE KEY-----\n"
    with pytest.raises(ConfigError, match="damaged") as got:
        GoogleIssuer(text(key, private_key=damaged)).check()
    assert "hush" not in got.value.message


@pytest.mark.parametrize("kind", ["", "external_account", "magic"])
def test_credentials_of_another_kind_are_refused_with_a_way_out(key, kind):
    with pytest.raises(ConfigError) as got:
        GoogleIssuer(text(key, type=kind)).check()
    assert "GOOGLE_APPLICATION_CREDENTIALS" in got.value.hint


@pytest.mark.parametrize("said", ["", "[]", "nonsense", '{"type": 1}'])
def test_text_that_is_no_key_is_refused(said):
    with pytest.raises(ConfigError, match="not a JSON object"):
        GoogleIssuer(KeyJson(said)).check()


def test_a_key_that_others_can_read_is_a_warning(key, tmp_path):
    file = tmp_path / "key.json"
    file.write_bytes(msgspec.json.encode(key))
    file.chmod(0o644)
    assert GoogleIssuer(KeyFile(str(file))).check() == (
        f"{file} can be read by others (mode 0644): chmod 600 it",
    )
    file.chmod(0o600)
    assert GoogleIssuer(KeyFile(str(file))).check() == ()


def test_an_address_that_is_no_service_accounts_is_a_warning(key):
    [warning] = GoogleIssuer(text(key, client_email="me@example.com")).check()
    assert "me@example.com" in warning


# Application default credentials.


def test_the_file_that_the_environment_names_is_used(key, tmp_path, monkeypatch):
    with answering(http1.answer(200, TOKEN)) as upstream:
        file = tmp_path / "key.json"
        file.write_bytes(msgspec.json.encode(key | {"token_uri": f"{upstream.base_url}/token"}))
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
        made = GoogleIssuer(ApplicationDefault())
        assert made.check() == ()
        assert made.fetch().value == "ya29.secret-token"
        made.close()


def test_a_file_that_the_environment_names_and_is_not_there_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "missing.json"))
    made = GoogleIssuer(ApplicationDefault())
    with pytest.raises(CredentialRefused, match=r"missing\.json was not found.*set service_acc"):
        made.fetch()
    made.close()


def test_gclouds_login_is_used(tmp_path, monkeypatch):
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    # Or Google's library runs gcloud to ask it.
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p-1")
    login = USER | {"quota_project_id": "p-1"}
    (tmp_path / "application_default_credentials.json").write_bytes(msgspec.json.encode(login))
    client = httpx2.Client(
        transport=httpx2.MockTransport(lambda _: httpx2.Response(200, json=TOKEN))
    )
    made = GoogleIssuer(ApplicationDefault(), client)
    assert made.fetch().value == "ya29.secret-token"
    made.close()


@pytest.fixture(name="bare_machine")
def make_bare_machine(tmp_path, monkeypatch) -> pytest.MonkeyPatch:
    """Neither a file nor a login."""
    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS", raising=False)
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    return monkeypatch


def test_the_metadata_server_is_asked_where_there_is_nothing_else(bare_machine):
    flavour = ("metadata-flavor", "Google")
    with answering(http1.answer(200, TOKEN, flavour)) as upstream:
        bare_machine.setenv("GCE_METADATA_HOST", f"127.0.0.1:{upstream.port}")
        made = GoogleIssuer(ApplicationDefault())
        token = made.fetch()
        made.close()
    assert token.value == "ya29.secret-token"
    assert time.time() + 3500 < token.expires_at_s < time.time() + 3700
    [request] = upstream.requests
    assert request.target == "/computeMetadata/v1/instance/service-accounts/default/token"
    assert request.header("metadata-flavor") == "Google"


@pytest.mark.parametrize(
    "answer",
    [
        http1.answer(404, b"no service account", ("metadata-flavor", "Google")),
        http1.answer(200, TOKEN),
        http1.answer(200, b"<html>", ("metadata-flavor", "Google")),
    ],
)
def test_a_metadata_server_without_a_token_is_a_refusal(bare_machine, answer):
    with answering(answer) as upstream:
        bare_machine.setenv("GCE_METADATA_HOST", f"127.0.0.1:{upstream.port}")
        made = GoogleIssuer(ApplicationDefault())
        with pytest.raises(CredentialRefused, match="metadata server"):
            made.fetch()
        made.close()


def test_a_machine_without_credentials_is_told_how_to_get_some(bare_machine):
    bare_machine.setenv("GCE_METADATA_HOST", "127.0.0.1:1")
    made = GoogleIssuer(ApplicationDefault())
    with pytest.raises(Unreachable, match="gcloud auth application-default login"):
        made.fetch()
    made.close()
