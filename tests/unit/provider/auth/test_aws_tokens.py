from datetime import UTC, datetime

import msgspec
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, ProfileNotFound

from modelmux.errors import CredentialRefused, Unreachable
from modelmux.provider.auth import aws_tokens
from modelmux.provider.auth.aws import AwsSource
from modelmux.provider.auth.aws_tokens import AwsIssuer
from modelmux.provider.auth.sigv4 import AwsKeys

EXPIRES = datetime(2030, 1, 1, tzinfo=UTC)


class Frozen:
    access_key, secret_key, token = "AKID", "secret", None


class Found:
    def get_frozen_credentials(self) -> Frozen:
        return Frozen()


class Session:
    """Botocore's session, as far as it is used."""

    def __init__(self, found: Found | None = None, error: Exception | None = None) -> None:
        self.found = found
        self.error = error
        self.asked: list[dict[str, object]] = []

    def get_credentials(self) -> Found | None:
        if self.error is not None:
            raise self.error
        return self.found

    def create_client(self, name: str, **options: object) -> "Session":
        self.asked.append({"name": name, **options})
        return self

    def assume_role(self, **said: object) -> dict[str, dict[str, object]]:
        if self.error is not None:
            raise self.error
        self.asked.append(said)
        return {
            "Credentials": {
                "AccessKeyId": "ROLE",
                "SecretAccessKey": "s",
                "SessionToken": "t",
                "Expiration": EXPIRES,
            }
        }


def keys(issuer: AwsIssuer) -> AwsKeys:
    return msgspec.json.decode(issuer.fetch().value, type=AwsKeys)


def test_what_amazons_library_finds_is_used():
    assert keys(AwsIssuer(AwsSource("us-east-1"), Session(Found()))) == AwsKeys("AKID", "secret")


def test_a_role_is_taken_on_with_the_keys_that_are_given():
    session = Session()
    source = AwsSource("us-east-1", AwsKeys("A", "B"), "arn:aws:iam::1:role/r")
    token = AwsIssuer(source, session).fetch()
    assert msgspec.json.decode(token.value, type=AwsKeys) == AwsKeys("ROLE", "s", "t")
    assert token.expires_at_s == EXPIRES.timestamp()
    assert session.asked[0]["aws_access_key_id"] == "A"
    assert session.asked[1]["RoleArn"] == "arn:aws:iam::1:role/r"


@pytest.mark.parametrize(
    ("session", "error", "words"),
    [
        (Session(), CredentialRefused, "no keys of Amazon's were found"),
        (Session(error=ProfileNotFound(profile="x")), CredentialRefused, "gave no keys"),
        (
            Session(error=ClientError({"Error": {"Code": "AccessDenied"}}, "AssumeRole")),
            CredentialRefused,
            "AccessDenied",
        ),
        (Session(error=EndpointConnectionError(endpoint_url="http://x")), Unreachable, "service"),
    ],
)
def test_every_failure_is_one_of_ours(session: Session, error: type[Exception], words: str):
    with pytest.raises(error, match=words):
        AwsIssuer(AwsSource("us-east-1"), session).fetch()


def test_an_issuer_is_made_without_asking_anybody():
    issuer = aws_tokens.issuer(AwsSource("us-east-1"))
    assert issuer.check() == ()
    issuer.close()
