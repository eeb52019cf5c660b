"""One gateway for most tests here, with a stage behind each of its providers."""

from collections.abc import Generator, Iterator
from dataclasses import dataclass

import msgspec
import pytest

from tests.support import gateway, plain, stage
from tests.support.dialects import ANTHROPIC, OPENAI, Dialect
from tests.support.gateway import Gateway
from tests.support.stage import Stage

SERVER = """
[server]
log_format = "json"
enable_retries = false
"""

PROVIDER = """
[[providers]]
name = "{name}"
type = "{type}"
base_url = "{base_url}"
api_key = "sk-upstream-{name}-000"
"""

SPARES = 200
"""Providers of each kind for tests after which a key is benched."""


@dataclass(frozen=True)
class House:
    """A gateway and the upstreams behind it."""

    gateway: Gateway
    openai: Stage
    anthropic: Stage

    _spares: Iterator[int]

    @property
    def url(self) -> str:
        return self.gateway.base_url

    def behind(self, dialect: Dialect) -> Stage:
        """The upstream that speaks `dialect`."""
        return {OPENAI.name: self.openai, ANTHROPIC.name: self.anthropic}[dialect.name]

    def unused(self, dialect: Dialect) -> str:
        """A model that no test has asked for, of a provider that none has been refused by."""
        return f"{dialect.name}-{next(self._spares)}/spare"


@pytest.fixture(scope="session")
def running_house(tmp_path_factory: pytest.TempPathFactory) -> Generator[House, None, None]:
    """One house for all tests here; use `house`."""
    with stage.running() as openai, stage.running() as anthropic:
        config = SERVER
        for dialect, behind in ((OPENAI, openai), (ANTHROPIC, anthropic)):
            for name in [dialect.name, *(f"{dialect.name}-{n}" for n in range(SPARES))]:
                config += PROVIDER.format(name=name, type=dialect.name, base_url=behind.base_url)
                if name != dialect.name:
                    config += 'models = ["spare"]\n'
        with gateway.running(config, tmp_path_factory.mktemp("house")) as running:
            yield House(running, openai, anthropic, iter(range(SPARES)))
            assert left_behind(running) == []


def left_behind(running: Gateway) -> list[str]:
    """Metrics of calls and connections that a gateway still holds when nobody asks it any more."""
    held: list[str] = []
    for _ in range(50):  # a caller that has just left may not have been missed yet
        metrics = plain.get(running.base_url, "/metrics").body.decode().splitlines()
        levels = [line for line in metrics if "in_flight " in line or 'state="busy"' in line]
        held = [line for line in levels if line[0] != "#" and not line.endswith(" 0.0")]
        if not held:
            break
    return held


@pytest.fixture
def house(running_house: House) -> House:
    """The house, with nothing to be played on its stages."""
    running_house.openai.play()
    running_house.anthropic.play()
    return running_house


def logged(running: Gateway, call_id: str) -> dict[str, object]:
    """The log line of a caller's own call, once it is written."""
    running.wait_until_logged(f'"modelmux.id":"{call_id}"')
    lines = [line for line in running.log.splitlines() if line.startswith("{")]
    calls = [msgspec.json.decode(line) for line in lines if '"message":"call"' in line]
    (call,) = [call for call in calls if call["modelmux.id"] == call_id]
    return call
