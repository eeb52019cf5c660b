import asyncio
from collections.abc import Mapping, Sequence

import pytest

from modelmux.errors import (
    CredentialRefused,
    Interrupted,
    ProtocolViolation,
    TargetError,
    Unreachable,
)
from modelmux.provider import catalog
from modelmux.provider.auth.base import Credential
from modelmux.provider.auth.static import StaticCredential
from modelmux.provider.body import BodyEdits
from modelmux.provider.endpoint import Endpoint
from modelmux.provider.forward import Forward
from modelmux.provider.keys import KeyRing
from modelmux.provider.model import Credentials, Host
from modelmux.provider.probe import TIMEOUTS, probe
from modelmux.transport.base import Timeouts
from modelmux.transport.fake import Exchange, FakeClient
from modelmux.wire.registry import BY_NAME
from tests.support.targets import FakeClock, admission

LIST = Exchange(200, body=[b'{"object":"list","data":[]}'])


class Provider:
    """A provider that is asked, and what it was asked."""

    def __init__(
        self,
        *exchanges: Exchange,
        type_: str = "openai",
        keys: Sequence[Credential] = (StaticCredential("bearer", "sk-1"),),
        passthrough: Credentials | None = None,
    ) -> None:
        row = catalog.load().provider(type_)
        self.client = FakeClient(exchanges)
        self.host = Host(
            name="prov",
            wires=tuple(BY_NAME[wire.wire] for wire in row.wires),
            endpoint=Endpoint(row, base_url="http://prov.invalid/base"),
            client=self.client,
            admission=admission(KeyRing("prov", keys), FakeClock()),
            forward=Forward(row),
            edits=BodyEdits(row),
            timeouts=Timeouts(),
            now=lambda: 0.0,
            unix_time=lambda: 1_795_000_000.0,
            passthrough=passthrough,
        )

    def probe(self, *, lists_models: bool = True) -> TargetError | None:
        return asyncio.run(probe(self.host, lists_models=lists_models))

    @property
    def heads(self) -> list[str]:
        return [request.head.decode() for request in self.client.requests]


def two_keys() -> list[Credential]:
    return [StaticCredential("bearer", "sk-1"), StaticCredential("bearer", "sk-2")]


def nothing(_headers: Mapping[str, str]) -> bytes:
    return b""


def test_a_provider_that_shows_its_list_would_answer():
    provider = Provider(LIST)
    assert provider.probe() is None
    (head,) = provider.heads
    assert head.startswith("GET /base/v1/models HTTP/1.1\r\nhost: prov.invalid\r\n")
    assert head.count("user-agent:") == 1
    assert head.endswith("authorization: Bearer sk-1\r\n")
    assert provider.client.requests[0].body == b""
    assert provider.client.requests[0].timeouts == TIMEOUTS


def test_every_key_is_shown():
    provider = Provider(LIST, LIST, keys=two_keys())
    assert provider.probe() is None
    assert ["sk-1" in head for head in provider.heads] == [True, False]


def test_a_refused_key_is_called_by_its_name():
    error = Exchange(401, body=[b'{"error":{"message":"bad key","type":"t"}}'])
    found = Provider(LIST, error, keys=two_keys()).probe()
    assert isinstance(found, CredentialRefused)
    assert found.message.startswith("prov#2: ")
    assert "bad key" in found.message
    assert "sk-2" not in found.message


@pytest.mark.parametrize("status", [404, 405])
def test_a_provider_without_a_list_is_there_all_the_same(status: int):
    assert Provider(Exchange(status)).probe() is None


@pytest.mark.parametrize("status", [301, 307, 308])
def test_a_provider_that_sends_elsewhere_would_not_answer(status: int):
    found = Provider(Exchange(status, [(b"location", b"https://prov.invalid/")])).probe()
    assert isinstance(found, ProtocolViolation)
    assert "base_url" in found.message


@pytest.mark.parametrize("status", [400, 402, 429, 500, 503])
def test_any_other_answer_is_why_it_would_not(status: int):
    assert Provider(Exchange(status)).probe() is not None


def test_a_provider_that_is_not_there_is_told_as_such():
    found = Provider(Exchange(before=[Unreachable("refused")])).probe()
    assert isinstance(found, Unreachable)


def test_a_list_that_breaks_off_is_why_it_would_not_answer():
    provider = Provider(Exchange(200, body=[b"[", Interrupted("cut")]))
    assert isinstance(provider.probe(), Interrupted)
    assert provider.client.responses[0].is_closed


@pytest.mark.parametrize("status", [401, 403])
def test_a_provider_that_waits_for_the_callers_credentials_would_answer(status: int):
    assert Provider(Exchange(status), passthrough=nothing).probe() is None
    assert Provider(Exchange(status)).probe() is not None


def test_without_a_list_only_the_credential_is_got():
    class Refused(StaticCredential):
        def block(self) -> bytes | None:  # type: ignore[override]
            return None

        async def refresh(self) -> bytes:
            raise CredentialRefused("the issuer refused")

    provider = Provider(keys=two_keys())
    assert provider.probe(lists_models=False) is None
    assert provider.heads == []
    refused = Provider(keys=[Refused("bearer", "x")])
    assert isinstance(refused.probe(lists_models=False), CredentialRefused)
    assert isinstance(refused.probe(), CredentialRefused)
