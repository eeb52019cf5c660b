"""Google's token endpoint, and a service account's key for it."""

from base64 import urlsafe_b64decode
from collections.abc import Sequence
from functools import cache
from urllib.parse import parse_qs

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.support import http1
from tests.support.http1 import Request
from tests.support.stage import Stage
from tests.support.upstream import Part

ACCOUNT = "gateway@project-7.iam.gserviceaccount.com"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCE = "https://oauth2.googleapis.com/token"
SCOPE = "https://www.googleapis.com/auth/cloud-platform"


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def service_account(token_uri: str) -> bytes:
    """The JSON of a service account's key, as it is downloaded."""
    pem = _key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return msgspec.json.encode(
        {
            "type": "service_account",
            "project_id": "project-7",
            "private_key_id": "key-id-7",
            "private_key": pem.decode(),
            "client_email": ACCOUNT,
            "client_id": "117",
            "auth_uri": "https://accounts.google.com/o/oauth2/auth",
            "token_uri": token_uri,
        }
    )


class Claims(msgspec.Struct):
    """What a service account says of itself to get a token."""

    iss: str
    aud: str
    iat: int
    exp: int
    scope: str = ""


def claims(request: Request) -> Claims:
    """The claims of a request for a token. Fails if it is none, or not signed with the key."""
    fields = parse_qs(request.body.decode())
    assert fields["grant_type"] == [GRANT]
    signed, _, signature = fields["assertion"][0].encode().rpartition(b".")
    try:
        _key().public_key().verify(_decoded(signature), signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        raise AssertionError("the assertion is not signed with the account's key") from None
    return msgspec.json.decode(_decoded(signed.split(b".")[1]), type=Claims)


class TokenEndpoint:
    """Grants `ya29.token-1`, `ya29.token-2`, … to whoever shows a signed assertion.

    Args:
        stage: Where it plays.
        lifetime_s: How long each token says that it lives.
    """

    def __init__(self, stage: Stage, lifetime_s: int = 3600) -> None:
        self.stage = stage
        self._lifetime_s = lifetime_s
        stage.run(self._grant)

    @property
    def url(self) -> str:
        return f"{self.stage.base_url}/token"

    @property
    def granted(self) -> int:
        """How many tokens it has granted."""
        return len(self.stage.requests)

    def _grant(self, request: Request) -> Sequence[Part]:
        said = claims(request)
        assert (said.iss, said.aud, said.scope) == (ACCOUNT, AUDIENCE, SCOPE)
        assert 0 < said.exp - said.iat <= 3600
        token = {
            "access_token": f"ya29.token-{self.granted}-0123456789",
            "expires_in": self._lifetime_s,
            "token_type": "Bearer",
        }
        return [http1.answer(200, token)]


def _decoded(text: bytes) -> bytes:
    return urlsafe_b64decode(text + b"=" * (-len(text) % 4))
