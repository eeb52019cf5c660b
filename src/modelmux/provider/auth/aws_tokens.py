"""Amazon's keys by botocore, which knows every place where they may be.

Loaded only where keys are not in the configuration. Everything here blocks.
"""

import threading
import time
from datetime import datetime
from importlib import import_module
from typing import Final, Protocol, cast

from modelmux.errors import CredentialRefused, Unreachable
from modelmux.provider.auth.aws import AwsSource
from modelmux.provider.auth.refreshing import Token
from modelmux.provider.auth.sigv4 import AwsKeys
from modelmux.provider.quoting import quoted

ASK_AGAIN_S: Final = 600.0
"""How long keys are kept before botocore is asked again; it renews them ten minutes and more
before they expire."""
SESSION_NAME: Final = "modelmux"
"""What a role's session is called in Amazon's logs."""

_WAYS: Final = "set access_key_id and secret_access_key, AWS_PROFILE, or give the machine a role"


class _Frozen(Protocol):
    access_key: str
    secret_key: str
    token: str | None


class _Credentials(Protocol):
    def get_frozen_credentials(self) -> _Frozen: ...


class _Client(Protocol):
    def assume_role(self, **said: object) -> "dict[str, dict[str, object]]": ...


class _Session(Protocol):
    """The part of botocore's session that is used here; the library is not typed."""

    def get_credentials(self) -> _Credentials | None: ...
    def create_client(self, name: str, **options: object) -> _Client: ...


class AwsIssuer:
    """Keys for one source."""

    def __init__(self, source: AwsSource, session: _Session | None = None) -> None:
        self._source = source
        self._session = session
        self._lock = threading.Lock()

    def check(self) -> tuple[str, ...]:
        """Nothing: looking for keys may ask the network."""
        return ()

    def fetch(self) -> Token:
        """Keys that are good now.

        Raises:
            CredentialRefused: There are none, or the role was refused.
            Unreachable: Whoever gives them did not answer.
        """
        botocore = import_module("botocore.exceptions")
        with self._lock:
            try:
                return self._fetched()
            except (botocore.EndpointConnectionError, botocore.HTTPClientError) as error:
                raise Unreachable(f"Amazon's token service: {_quoted(error)}") from error
            except (botocore.BotoCoreError, botocore.ClientError) as error:
                raise CredentialRefused(f"Amazon gave no keys: {_quoted(error)}") from error

    def close(self) -> None:
        """Nothing to give back."""

    def _fetched(self) -> Token:
        if self._session is None:
            session = import_module("botocore.session").Session()
            self._session = cast("_Session", session)
        source = self._source
        if source.role_arn:
            return self._of_role(self._session)
        found = self._session.get_credentials()
        if found is None:
            raise CredentialRefused(f"no keys of Amazon's were found: {_WAYS}")
        frozen = found.get_frozen_credentials()
        keys = AwsKeys(frozen.access_key, frozen.secret_key, frozen.token or "")
        return Token(keys.block().decode(), time.time() + ASK_AGAIN_S)

    def _of_role(self, session: _Session) -> Token:
        source = self._source
        given: dict[str, object] = {}
        if source.keys is not None:
            given = {
                "aws_access_key_id": source.keys.access_key_id,
                "aws_secret_access_key": source.keys.secret_access_key,
                "aws_session_token": source.keys.session_token or None,
            }
        client = session.create_client("sts", region_name=source.region, **given)
        answer = client.assume_role(RoleArn=source.role_arn, RoleSessionName=SESSION_NAME)
        got = answer["Credentials"]
        keys = AwsKeys(
            str(got["AccessKeyId"]), str(got["SecretAccessKey"]), str(got["SessionToken"])
        )
        expires = got["Expiration"]
        expires_at_s = (
            expires.timestamp() if isinstance(expires, datetime) else time.time() + ASK_AGAIN_S
        )
        return Token(keys.block().decode(), expires_at_s)


def issuer(source: AwsSource) -> AwsIssuer:
    """Keys for `source`; botocore is loaded with the first."""
    import_module("botocore.session")
    return AwsIssuer(source)


def _quoted(error: Exception) -> str:
    return quoted(str(error), about_keys=True)
