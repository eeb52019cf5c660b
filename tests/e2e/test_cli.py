"""The commands that look at a running gateway, as its user types them."""

import subprocess
import sys
import tempfile
from collections.abc import Generator
from pathlib import Path

import msgspec
import pytest

from tests.support import http1, plain, stage
from tests.support.dialects import OPENAI, TEXT
from tests.support.gateway import Gateway, GatewayStarter
from tests.support.stage import Stage

SECRET = "sk-upstream-sentinel-7"


@pytest.fixture
def upstream() -> Generator[Stage, None, None]:
    with stage.running() as running:
        yield running


@pytest.fixture
def runtime() -> Generator[Path, None, None]:
    """Where the control socket is: a folder whose name is short enough for one."""
    with tempfile.TemporaryDirectory(prefix="modelmux-") as folder:
        yield Path(folder)


@pytest.fixture
def running(start_gateway: GatewayStarter, upstream: Stage, runtime: Path) -> Gateway:
    return start_gateway(
        f"""
[[providers]]
name = "p"
type = "openai"
base_url = "{upstream.base_url}"
api_key = "{SECRET}"
models = ["m"]
""",
        environ={"XDG_RUNTIME_DIR": str(runtime)},
    )


def modelmux(runtime: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a command as the user to whom that folder belongs."""
    return subprocess.run(
        [sys.executable, "-m", "modelmux", *arguments],
        cwd=runtime,
        env={"PATH": "/usr/bin:/bin", "HOME": str(runtime), "XDG_RUNTIME_DIR": str(runtime)},
        capture_output=True,
        text=True,
        timeout=20,
        stdin=subprocess.DEVNULL,
        check=False,
    )


def test_its_state_is_told(running: Gateway, runtime: Path):
    done = modelmux(runtime, "status", "--json")
    assert done.returncode == 0, done.stderr
    status = msgspec.json.decode(done.stdout)
    assert status["pid"] == running.pid
    assert f"unix:{running.socket_path}" in status["listen"]
    assert status["in_flight"] == 0
    assert [provider["name"] for provider in status["providers"]] == ["p"]
    assert SECRET not in done.stdout


def test_its_log_can_be_read(running: Gateway, runtime: Path):
    plain.post(running.base_url, OPENAI.path, OPENAI.ask("nothing"), {"x-request-id": "look-here"})
    running.wait_until_logged("look-here")
    done = modelmux(runtime, "logs")
    assert done.returncode == 0, done.stderr
    assert "look-here" in done.stdout


def test_a_question_is_answered_by_it(running: Gateway, runtime: Path, upstream: Stage):
    upstream.play(http1.stream(*OPENAI.frames()))
    done = modelmux(runtime, "chat", "-m", "m", "How is Paris?")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == TEXT
    assert b"How is Paris?" in upstream.request.body


def test_a_question_that_fails_says_why(running: Gateway, runtime: Path, upstream: Stage):
    upstream.play([http1.answer(400, OPENAI.error("invalid_request_error", "the cat did it"))])
    done = modelmux(runtime, "chat", "-m", "m", "How is Paris?")
    assert done.returncode == 1
    assert "the cat did it" in done.stderr
    assert "Traceback" not in done.stderr


def test_it_can_be_stopped(running: Gateway, runtime: Path):
    done = modelmux(runtime, "stop")
    assert done.returncode == 0, done.stderr
    assert running.wait_until_ended() == 0
    again = modelmux(runtime, "status")
    assert again.returncode == 1
    assert "Traceback" not in again.stderr
    assert again.stderr
