import asyncio
import logging
import subprocess
import sys
import threading

import pytest

from modelmux.errors import ConfigError, CredentialRefused, Unreachable
from modelmux.provider.auth import gcp
from modelmux.provider.auth.gcp import (
    EXPIRED_BEFORE_S,
    RETRY_BEHIND_S,
    STALE_BEFORE_S,
    GoogleCredential,
    KeyFile,
    KeyJson,
    Token,
)

HOUR_S = 3600.0


class Clock:
    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def __call__(self) -> float:
        return self.now


class FakeIssuer:
    """Tokens `t1`, `t2`, …, each living an hour, or what `outcomes` say."""

    def __init__(self, clock: Clock, *outcomes: Exception | float) -> None:
        self.clock = clock
        self.outcomes = list(outcomes)
        self.fetches = 0
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()
        self.is_closed = False

    def check(self) -> tuple[str, ...]:
        return ("a warning",)

    def fetch(self) -> Token:
        self.fetches += 1
        number = self.fetches
        self.threads.add(threading.get_ident())
        assert self.gate.wait(10)
        outcome = self.outcomes.pop(0) if self.outcomes else HOUR_S
        if isinstance(outcome, Exception):
            raise outcome
        return Token(f"t{number}", self.clock.now + outcome)

    def close(self) -> None:
        self.is_closed = True


def make(*outcomes: Exception | float) -> tuple[GoogleCredential, FakeIssuer, Clock]:
    clock = Clock()
    issuer = FakeIssuer(clock, *outcomes)
    return GoogleCredential("vertex#1", issuer, clock=clock), issuer, clock


def bearer(token: str) -> bytes:
    return f"authorization: Bearer {token}\r\n".encode()


async def behind(credential: GoogleCredential) -> None:
    """Wait for the fetch that goes on behind, if one does."""
    if credential._fetching is not None:
        await asyncio.wait([credential._fetching])
    # Its callbacks have been scheduled before this one.
    await asyncio.get_running_loop().run_in_executor(None, int)


def test_nothing_is_fetched_before_it_is_needed():
    credential, issuer, _ = make()
    assert credential.block() is None
    assert issuer.fetches == 0


def test_a_token_is_fetched_once_and_kept_while_it_is_fresh():
    async def scenario() -> None:
        credential, issuer, clock = make()
        assert await credential.refresh() == bearer("t1")
        clock.now += HOUR_S - STALE_BEFORE_S - 1
        assert credential.block() == bearer("t1")
        assert await credential.refresh() == bearer("t1")
        assert issuer.fetches == 1

    asyncio.run(scenario())


def test_a_fetch_does_not_block_the_loop():
    async def scenario() -> None:
        credential, issuer, _ = make()
        await credential.refresh()
        assert threading.get_ident() not in issuer.threads

    asyncio.run(scenario())


def test_a_stale_token_serves_while_another_is_fetched_behind_it():
    async def scenario() -> None:
        credential, issuer, clock = make()
        await credential.refresh()
        clock.now += HOUR_S - STALE_BEFORE_S
        issuer.gate.clear()
        assert credential.block() == bearer("t1")
        assert credential.block() == bearer("t1")
        assert await credential.refresh() == bearer("t1")
        issuer.gate.set()
        await behind(credential)
        assert credential.block() == bearer("t2")
        assert issuer.fetches == 2

    asyncio.run(scenario())


def test_a_token_is_not_sent_in_the_last_moments_of_its_life():
    async def scenario() -> None:
        credential, issuer, clock = make()
        await credential.refresh()
        clock.now += HOUR_S - EXPIRED_BEFORE_S
        assert credential.block() is None
        assert await credential.refresh() == bearer("t2")
        assert issuer.fetches == 2

    asyncio.run(scenario())


def test_a_hundred_callers_share_one_fetch():
    async def scenario() -> None:
        credential, issuer, _ = make()
        issuer.gate.clear()
        callers = [asyncio.ensure_future(credential.refresh()) for _ in range(100)]
        while not issuer.fetches:
            await asyncio.get_running_loop().run_in_executor(None, int)
        issuer.gate.set()
        assert set(await asyncio.gather(*callers)) == {bearer("t1")}
        assert issuer.fetches == 1

    asyncio.run(scenario())


def test_whoever_is_cancelled_leaves_the_fetch_to_the_others():
    async def scenario() -> None:
        credential, issuer, _ = make()
        issuer.gate.clear()
        gone, staying = (asyncio.ensure_future(credential.refresh()) for _ in range(2))
        while not issuer.fetches:
            await asyncio.get_running_loop().run_in_executor(None, int)
        gone.cancel()
        issuer.gate.set()
        assert await staying == bearer("t1")
        assert gone.cancelled()
        assert issuer.fetches == 1

    asyncio.run(scenario())


def test_a_failed_fetch_is_everybodys_failure_and_the_next_call_tries_again():
    async def scenario() -> None:
        credential, _, _ = make(CredentialRefused("invalid_grant"))
        outcomes = await asyncio.gather(
            *(credential.refresh() for _ in range(3)), return_exceptions=True
        )
        assert [str(each) for each in outcomes] == ["vertex#1: invalid_grant"] * 3
        # Each has its own, because layers note in it what they tried.
        assert len({id(each) for each in outcomes}) == 3
        assert await credential.refresh() == bearer("t2")

    asyncio.run(scenario())


def test_a_failure_while_the_token_is_good_is_only_a_warning(caplog):
    async def scenario() -> None:
        credential, issuer, clock = make(HOUR_S, Unreachable("no route"), HOUR_S)
        await credential.refresh()
        clock.now += HOUR_S - STALE_BEFORE_S
        with caplog.at_level(logging.WARNING):
            assert credential.block() == bearer("t1")
            await behind(credential)
        assert "vertex#1: no route" in caplog.text
        assert f"good for {STALE_BEFORE_S - EXPIRED_BEFORE_S:.0f} s more" in caplog.text
        # Not again at once.
        assert credential.block() == bearer("t1")
        assert issuer.fetches == 2
        clock.now += RETRY_BEHIND_S
        assert credential.block() == bearer("t1")
        await behind(credential)
        assert credential.block() == bearer("t3")

    asyncio.run(scenario())


def test_a_token_with_a_short_life_is_not_fetched_again_by_every_call():
    async def scenario() -> None:
        credential, issuer, _ = make(60.0)
        await credential.refresh()
        for _ in range(5):
            assert credential.block() == bearer("t1")
            await behind(credential)
        assert issuer.fetches == 1

    asyncio.run(scenario())


def test_a_refused_token_is_not_given_again():
    async def scenario() -> None:
        credential, issuer, _ = make()
        old = await credential.refresh()
        assert credential.expire(old)
        assert credential.block() is None
        assert await credential.refresh() == bearer("t2")
        assert issuer.fetches == 2

    asyncio.run(scenario())


def test_word_that_an_older_token_was_refused_does_not_cost_the_new_one():
    async def scenario() -> None:
        credential, issuer, _ = make()
        old = await credential.refresh()
        credential.expire(old)
        await credential.refresh()
        assert credential.expire(old)
        assert credential.block() == bearer("t2")
        assert issuer.fetches == 2

    asyncio.run(scenario())


def test_a_bad_configuration_that_shows_while_serving_is_a_refused_credential():
    async def scenario() -> None:
        credential, _, _ = make(ConfigError("the file is gone", hint="put it back"))
        with pytest.raises(CredentialRefused, match=r"the file is gone \(put it back\)"):
            await credential.refresh()

    asyncio.run(scenario())


def test_a_token_that_cannot_stand_in_a_header_is_refused_and_not_shown():
    async def scenario() -> None:
        credential, issuer, _ = make()
        issuer.fetch = lambda: Token("evil\r\nx: y", 2e9)  # type: ignore[method-assign]
        with pytest.raises(CredentialRefused) as caught:
            await credential.refresh()
        assert "evil" not in caught.value.message

    asyncio.run(scenario())


def test_closing_closes_the_issuer_and_ends_fetching():
    async def scenario() -> None:
        credential, issuer, clock = make()
        await credential.refresh()
        await credential.aclose()
        assert issuer.is_closed
        clock.now += HOUR_S - STALE_BEFORE_S
        assert credential.block() == bearer("t1")
        credential.expire(bearer("t1"))
        with pytest.raises(Unreachable, match="closed"):
            await credential.refresh()

    asyncio.run(scenario())


def test_checking_asks_the_issuer():
    assert make()[0].check() == ("a warning",)


def test_nothing_shows_a_secret():
    credential, _, _ = make()
    for shown in (credential, KeyJson('{"private_key": "hush"}'), Token("hush", 0)):
        assert "hush" not in repr(shown)
    assert repr(credential) == "GoogleCredential('vertex#1')"


# Keys.


def test_a_key_says_which_project_it_belongs_to(tmp_path):
    text = '{"type": "service_account", "project_id": "p-1"}'
    file = tmp_path / "key.json"
    file.write_text(text)
    assert gcp.project_id(KeyJson(text)) == "p-1"
    assert gcp.project_id(KeyFile(str(file))) == "p-1"
    assert gcp.project_id(KeyJson("{}")) == ""


@pytest.mark.parametrize("text", ["", "[]", "nonsense", '{"project_id": 1}'])
def test_what_is_no_key_is_refused_and_not_shown(text):
    with pytest.raises(ConfigError) as caught:
        gcp.project_id(KeyJson(text))
    assert "nonsense" not in caught.value.message


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"missing\.json"):
        gcp.project_id(KeyFile(str(tmp_path / "missing.json")))
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not text"):
        gcp.project_id(KeyFile(str(tmp_path / "binary")))


def python(program: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    return done.stdout


def test_without_googles_library_the_error_says_how_to_get_it():
    program = """
import sys
sys.modules["google.auth"] = None
from modelmux.errors import ConfigError
from modelmux.provider.auth.gcp import ApplicationDefault, GoogleCredential
try:
    GoogleCredential("x", ApplicationDefault()).check()
except ConfigError as error:
    print(error.hint)
"""
    assert python(program).strip() == "pip install 'modelmux[vertex]'"


def test_the_library_is_loaded_only_when_it_is_needed():
    program = """
import sys
from modelmux.provider.auth.gcp import ApplicationDefault, GoogleCredential
GoogleCredential("x", ApplicationDefault())
print([name for name in ("google.auth", "httpx2", "cryptography") if name in sys.modules])
"""
    assert python(program).strip() == "[]"
