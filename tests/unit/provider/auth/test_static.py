import asyncio

import pytest

from modelmux.errors import ConfigError
from modelmux.provider.auth.static import NoCredential, StaticCredential


@pytest.mark.parametrize(
    ("style", "block"),
    [
        ("bearer", b"authorization: Bearer sk-1\r\n"),
        ("google", b"authorization: Bearer sk-1\r\n"),
        ("x-api-key", b"x-api-key: sk-1\r\n"),
        ("x-goog-api-key", b"x-goog-api-key: sk-1\r\n"),
    ],
)
def test_each_style_has_its_header_field(style, block):
    credential = StaticCredential(style, " sk-1\n")
    assert credential.block() == block
    assert asyncio.run(credential.refresh()) == block


def test_a_key_cannot_be_got_anew():
    credential = StaticCredential("bearer", "sk-1")
    assert not credential.expire(credential.block())
    asyncio.run(credential.aclose())
    assert credential.block()


def test_no_credential_sends_nothing():
    assert NoCredential().block() == b""
    assert asyncio.run(NoCredential().refresh()) == b""


@pytest.mark.parametrize(
    "secret", ["", " \n", "a b", "sk-\r\nx: y", "sk-“1”", "Bearer sk-1", "sk-\x00"]
)
def test_what_cannot_be_a_key_is_refused_and_not_shown(secret):
    with pytest.raises(ConfigError) as caught:
        StaticCredential("bearer", secret)
    assert secret.strip() == "" or secret.strip() not in caught.value.message


def test_a_provider_that_takes_no_key_is_given_none():
    with pytest.raises(ConfigError, match="takes no API key"):
        StaticCredential("none", "sk-1")


def test_a_credential_does_not_show_what_it_is():
    assert "sk-1" not in repr(StaticCredential("bearer", "sk-1"))
