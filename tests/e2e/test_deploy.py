"""What is shipped beside the program: the container's health check, and systemd's units."""

import configparser
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import sandbox
from tests.support.sandbox import Place, empty_place

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


def health(there: Place) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-I", "-S", str(DEPLOY / "container/healthcheck.py")]
    return subprocess.run(
        argv, env=there.environ(), capture_output=True, text=True, timeout=20, check=False
    )


def test_a_gateway_that_answers_calls_is_healthy():
    with sandbox.place() as there:
        done = health(there)
        assert done.returncode == 0, done.stderr


def test_without_a_gateway_nothing_is_healthy():
    with empty_place() as there:
        done = health(there)
        assert done.returncode == 1
        assert "no gateway has a control socket" in done.stderr


def test_a_gateway_that_stands_still_is_not_healthy():
    with sandbox.place() as there:
        assert there.gateway is not None
        there.gateway.send(signal.SIGSTOP)
        done = health(there)
        there.gateway.send(signal.SIGCONT)
        assert done.returncode == 1
        assert "timed out" in done.stderr


def test_a_gateway_that_died_is_not_healthy():
    with sandbox.place() as there:
        assert there.gateway is not None
        there.gateway.stop(signal.SIGKILL)
        done = health(there)
        assert done.returncode == 1
        assert "Connection refused" in done.stderr


# The image


def steps() -> list[str]:
    text = re.sub(r"(?m)^#.*\n", "", (ROOT / "Dockerfile").read_text()).replace("\\\n", "")
    return [line for line in text.splitlines() if line.strip()]


def test_what_is_copied_is_there_and_not_kept_out():
    kept = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = [line[1:] for line in kept if line.startswith("!")]
    for step in steps():
        if step.startswith("COPY ") and "--from" not in step:
            for source in step.split()[1:-1]:
                assert (ROOT / source).exists(), source
                assert any(source == each or source.startswith(f"{each}/") for each in let_in)


def test_the_image_runs_as_nobody_in_particular_and_says_how_it_is():
    words = [step.split()[0] for step in steps()]
    assert words.count("FROM") == 2
    assert "USER 65532:65532" in steps()
    assert "HEALTHCHECK" in words
    assert steps()[-1] == 'CMD ["serve"]'


def test_the_shell_of_the_check_can_be_read():
    subprocess.run(["sh", "-n", str(DEPLOY / "container/check")], check=True)


# systemd


def unit(name: str) -> configparser.RawConfigParser:
    parser = configparser.RawConfigParser(strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign] # names keep their letters
    parser.read(DEPLOY / "systemd" / name)
    return parser


@pytest.mark.parametrize("name", ["modelmux.service", "modelmux-user.service"])
def test_a_service_runs_the_gateway_and_gains_nothing(name: str):
    service = unit(name)["Service"]
    assert service["ExecStart"].endswith("/bin/modelmux serve")
    assert service["Type"] == "notify"
    assert service["NoNewPrivileges"] == "yes"
    assert {"AF_UNIX", "AF_INET", "AF_INET6", "AF_VSOCK"} <= set(
        service["RestrictAddressFamilies"].split()
    )


def test_the_socket_has_the_name_that_the_documentation_gives_it():
    name = unit("modelmux.socket")["Socket"]["FileDescriptorName"]
    assert f'address = "fd:{name}"' in (ROOT / "docs/howto/systemd.md").read_text()


def test_systemd_understands_the_units(tmp_path: Path):
    """By its own tool, where that is there; every key is known to it, and every section."""
    program = tmp_path / "modelmux"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    for path in (DEPLOY / "systemd").glob("*.s[eo]*"):
        text = re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={program}", path.read_text())
        (tmp_path / path.name).write_text(text)
    tool = shutil.which("systemd-analyze")
    if tool is None:
        assert all(unit(path.name).sections() for path in (DEPLOY / "systemd").glob("*.s[eo]*"))
        return
    names = ["modelmux.service", "modelmux.socket", "modelmux-user.service"]
    done = subprocess.run(
        [tool, "verify", *(str(tmp_path / name) for name in names)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = [line for line in done.stderr.splitlines() if "modelmux" in line]
    assert not told, done.stderr
