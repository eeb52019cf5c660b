import asyncio

import pytest

from modelmux.errors import ConfigError, CredentialRefused, Unreachable
from modelmux.provider.auth.refreshing import (
    EXPIRED_BEFORE_S,
    STALE_BEFORE_S,
    Issuer,
    Refreshing,
    Token,
)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Counting:
    """Gives numbered tokens, each of which lives a thousand seconds."""

    def __init__(self, clock: Clock, error: Exception | None = None) -> None:
        self.clock, self.error, self.count, self.is_closed = clock, error, 0, False

    def check(self) -> tuple[str, ...]:
        return ("a warning",)

    def fetch(self) -> Token:
        if self.error is not None:
            raise self.error
        self.count += 1
        return Token(f"t{self.count}", self.clock.now + 1000)

    def close(self) -> None:
        self.is_closed = True


def made(error: Exception | None = None) -> tuple[Refreshing, Counting, Clock]:
    clock = Clock()
    issuer = Counting(clock, error)
    return Refreshing("p", lambda: issuer, clock=clock), issuer, clock


def test_callers_who_wait_share_one_fetch():
    async def run() -> list[bytes]:
        credential, issuer, _ = made()
        blocks = await asyncio.gather(*(credential.refresh() for _ in range(5)))
        assert issuer.count == 1
        return blocks

    assert asyncio.run(run()) == [b"authorization: Bearer t1\r\n"] * 5


def test_a_stale_token_is_good_while_the_next_is_fetched():
    async def run() -> None:
        credential, issuer, clock = made()
        await credential.refresh()
        clock.now = 1000 - STALE_BEFORE_S + 1
        assert credential.block() == b"authorization: Bearer t1\r\n"
        fetching = credential._fetching
        assert fetching is not None
        await fetching
        assert credential.block() == b"authorization: Bearer t2\r\n"
        assert issuer.count == 2

    asyncio.run(run())


def test_a_token_is_not_sent_in_its_last_seconds():
    async def run() -> None:
        credential, _, clock = made()
        await credential.refresh()
        clock.now = 1000 - EXPIRED_BEFORE_S
        assert credential.block() is None

    asyncio.run(run())


def test_a_token_that_was_refused_is_not_given_again():
    async def run() -> None:
        credential, _, _ = made()
        block = await credential.refresh()
        assert credential.expire(block)
        assert credential.block() is None
        assert await credential.refresh() == b"authorization: Bearer t2\r\n"

    asyncio.run(run())


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Unreachable("gone"), Unreachable),
        (CredentialRefused("no"), CredentialRefused),
        (ConfigError("bad", hint="mend it"), CredentialRefused),
    ],
)
def test_a_failure_names_the_provider(error: Exception, expected: type[Exception]):
    credential, _, _ = made(error)
    with pytest.raises(expected, match=r"^p: "):
        asyncio.run(credential.refresh())


def test_what_is_closed_gives_no_more():
    async def run() -> None:
        credential, issuer, _ = made()
        await credential.refresh()
        await credential.aclose()
        assert issuer.is_closed
        credential.expire(credential._block)
        with pytest.raises(Unreachable, match="were closed"):
            await credential.refresh()

    asyncio.run(run())


def test_an_issuer_is_made_when_it_is_first_needed():
    made_: list[Issuer] = []

    def make() -> Issuer:
        made_.append(Counting(Clock()))
        return made_[-1]

    credential = Refreshing("p", make)
    assert made_ == []
    assert credential.check() == ("a warning",)
    assert len(made_) == 1
