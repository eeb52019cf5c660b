"""The gateway in front of emulators and stages of both kinds, and the official SDKs in front of it.

Every test here is run in each way a client can be used (`sdk`), and most with a target of each kind
(`upstream`): the caller's own kind, where bytes pass through, and the other, where all is
translated.
"""

import itertools
from collections.abc import Generator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass

import anthropic
import openai
import pytest

from tests.support import gateway, stage
from tests.support.aimock import Aimock
from tests.support.dialects import ANTHROPIC, DIALECTS, OPENAI, Dialect
from tests.support.gateway import Gateway
from tests.support.sdks import WAYS, Clients, Sdk
from tests.support.stage import Stage

ALL, FEW = "sk-caller-everything-1", "sk-caller-few-models-2"

SERVER = f"""
[server]
log_format = "json"
enable_retries = false

[[keys]]
name = "all"
secret = "{ALL}"

[[keys]]
name = "few"
secret = "{FEW}"
models = ["openai-mock/*"]
"""

PROVIDER = """
[[providers]]
name = "{name}"
type = "{type}"
base_url = "{base_url}"
api_key = "sk-upstream-{name}-0"
models = ["{model}", "unused-*"]
"""


MOCKED = {"gemini": "gemini-2.5-flash", "ollama": "llama3.2"}
"""Further types of providers that the emulator plays, with a model of each."""


@dataclass(frozen=True)
class Behind:
    """The gateway, and what is behind it."""

    gateway: Gateway
    openai: Stage
    anthropic: Stage
    mocked: Mapping[str, str]
    """The models that the emulator plays, by the type of their provider."""
    _numbers: "itertools.count[int]"

    def stage(self, dialect: Dialect) -> Stage:
        """The scripted upstream that speaks `dialect`."""
        return {OPENAI.name: self.openai, ANTHROPIC.name: self.anthropic}[dialect.name]

    def unused(self, dialect: Dialect) -> str:
        """A model of that upstream which no test has asked for, so that no key rests for it."""
        return f"{dialect.name}-played/unused-{next(self._numbers)}"


def mocked(dialect: Dialect) -> str:
    """The model that the emulator plays in that dialect."""
    return f"{dialect.name}-mock/{dialect.model}"


def played(dialect: Dialect) -> str:
    """The model that a stage plays in that dialect."""
    return f"{dialect.name}-played/{dialect.model}"


@pytest.fixture(scope="session")
def running_behind(
    tmp_path_factory: pytest.TempPathFactory, running_aimock: Aimock
) -> Generator[Behind, None, None]:
    """One gateway for all tests here; use `behind`."""
    with ExitStack() as stack:
        stages = {each.name: stack.enter_context(stage.running()) for each in DIALECTS}
        config = SERVER
        for each in DIALECTS:
            places = {"mock": running_aimock.base_url, "played": stages[each.name].base_url}
            for suffix, base_url in places.items():
                name = f"{each.name}-{suffix}"
                config += PROVIDER.format(
                    name=name, type=each.name, base_url=base_url, model=each.model
                )
        mocked_models = {each.name: mocked(each) for each in DIALECTS}
        for type_, model in MOCKED.items():
            config += PROVIDER.format(
                name=f"{type_}-mock", type=type_, base_url=running_aimock.base_url, model=model
            )
            mocked_models[type_] = f"{type_}-mock/{model}"
        running = gateway.running(config, tmp_path_factory.mktemp("sdk"))
        yield Behind(
            stack.enter_context(running),
            **stages,
            mocked=mocked_models,
            _numbers=itertools.count(),
        )


@pytest.fixture
def behind(running_behind: Behind) -> Behind:
    """Nothing is to be played on the stages."""
    running_behind.openai.play()
    running_behind.anthropic.play()
    return running_behind


@pytest.fixture(scope="session")
def clients(running_behind: Behind) -> Generator[Clients, None, None]:
    with closing(Clients(running_behind.gateway, ALL)) as made:
        yield made


@pytest.fixture(params=WAYS, ids=str)
def openai_sdk(request: pytest.FixtureRequest, clients: Clients) -> Sdk[openai.OpenAI]:
    return clients.of_openai(request.param)


@pytest.fixture(params=WAYS, ids=str)
def anthropic_sdk(request: pytest.FixtureRequest, clients: Clients) -> Sdk[anthropic.Anthropic]:
    return clients.of_anthropic(request.param)


@pytest.fixture(params=DIALECTS, ids=lambda dialect: f"from-{dialect}")
def upstream(request: pytest.FixtureRequest) -> Dialect:
    """What the target speaks."""
    return request.param
