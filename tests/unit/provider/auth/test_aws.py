import asyncio

import pytest

from modelmux.errors import ConfigError
from modelmux.provider.auth.aws import AwsCredential, AwsSource, AwsStatic
from modelmux.provider.auth.refreshing import Token
from modelmux.provider.auth.sigv4 import AwsKeys

KEYS = AwsKeys("AKID", "secret")


def test_keys_of_the_configuration_are_there_at_once():
    credential = AwsStatic(KEYS)
    assert credential.block() == KEYS.block()
    assert asyncio.run(credential.refresh()) == KEYS.block()
    assert not credential.expire(KEYS.block())
    asyncio.run(credential.aclose())
    assert "secret" not in repr(credential)


@pytest.mark.parametrize("name", ["access_key_id", "secret_access_key", "session_token"])
def test_a_key_that_cannot_be_sent_is_refused_and_not_shown(name: str):
    said = {"access_key_id": "a", "secret_access_key": "b", name: "x y\n"}
    with pytest.raises(ConfigError, match=name) as caught:
        AwsStatic(AwsKeys(**said))
    assert "x y" not in caught.value.message


class Issuer:
    def check(self) -> tuple[str, ...]:
        return ()

    def fetch(self) -> Token:
        return Token(KEYS.block().decode(), 10_000.0)

    def close(self) -> None:
        pass


def test_keys_that_expire_are_fetched_when_they_are_needed():
    async def run() -> bytes:
        credential = AwsCredential("bedrock", Issuer(), clock=lambda: 0.0)
        assert credential.block() is None
        return await credential.refresh()

    assert asyncio.run(run()) == KEYS.block()


def test_nothing_is_looked_for_before_it_is_needed():
    assert repr(AwsCredential("b", AwsSource("us-east-1"))) == "AwsCredential('b')"
    assert AwsCredential("b", AwsSource("us-east-1")).check() == ()
