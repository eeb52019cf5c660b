"""What every test has: a guarded network, reproducible examples, and emulators of the providers."""

import os
from collections.abc import Generator
from contextlib import ExitStack
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import aimock, llmock, network
from tests.support.aimock import Aimock
from tests.support.gateway import GatewayStarter
from tests.support.llmock import Llmock

# A slow example on a shared machine is no failure; pytest-timeout ends what hangs.
settings.register_profile("here", deadline=None)
# The same examples in every run: a red build is somebody's change, and comes again.
settings.register_profile("ci", deadline=None, derandomize=True, database=None)
settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_configure() -> None:
    """Guard the network before anything is imported that could use it."""
    network.guard()
    # Un-awaited coroutines say where they were made, and a loop says who blocked it.
    os.environ.setdefault("PYTHONASYNCIODEBUG", "1")
    # No test sees the machine's own keys and gateways.
    for name in [name for name in os.environ if name.endswith(("_API_KEY", "_BASE_URL"))]:
        del os.environ[name]


@pytest.fixture(scope="session")
def running_aimock(tmp_path_factory: pytest.TempPathFactory) -> Generator[Aimock, None, None]:
    """One aimock for all tests; use `aimock`."""
    with aimock.running(tmp_path_factory.mktemp("aimock")) as server:
        yield server


@pytest.fixture(name="aimock")
def aimock_fixture(running_aimock: Aimock) -> Aimock:
    """An aimock without fixtures, errors or journal: see `tests.support.aimock`."""
    running_aimock.reset()
    return running_aimock


@pytest.fixture(scope="session")
def running_llmock(tmp_path_factory: pytest.TempPathFactory) -> Generator[Llmock, None, None]:
    """One llmock for all tests; use `llmock`."""
    with llmock.running(tmp_path_factory.mktemp("llmock")) as server:
        yield server


@pytest.fixture(name="llmock")
def llmock_fixture(running_llmock: Llmock) -> Llmock:
    """An llmock without scenario or requests: see `tests.support.llmock`."""
    running_llmock.reset()
    return running_llmock


@pytest.fixture
def start_gateway(tmp_path: Path) -> Generator[GatewayStarter, None, None]:
    """Start `modelmux serve` with a config, as often as wanted; all are stopped at the end."""
    with ExitStack() as stack:
        yield GatewayStarter(tmp_path, stack)
