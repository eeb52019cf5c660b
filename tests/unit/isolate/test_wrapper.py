"""The whole of it is seen in `tests/e2e/test_isolate.py`."""

import socket
from pathlib import Path

import pytest

from modelmux.isolate import gateway, kernel, plan, wrapper
from modelmux.isolate.failure import CANNOT, Refused
from modelmux.isolate.options import Options


@pytest.fixture(autouse=True)
def somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that takes everything, and says nothing."""

    def connect(_control: str, _config: str) -> gateway.Line:
        ours, theirs = socket.socketpair()
        theirs.close()
        return gateway.Line(ours)

    monkeypatch.setattr(gateway, "connect", connect)


def run(tmp_path: Path, **said: object) -> int:
    options = Options(("true",), workdir=str(tmp_path))._replace(**said)  # type: ignore[arg-type]
    return wrapper.run(options, {"HOME": str(tmp_path)})


@pytest.mark.parametrize("number", [1, 28])
def test_namespaces_that_cannot_be_had_are_refused_with_a_remedy(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
):
    def refused(_flags: int) -> None:
        raise OSError(number, "refused")

    monkeypatch.setattr(kernel, "unshare", refused)
    assert run(tmp_path) == CANNOT
    told = capsys.readouterr().err
    assert "modelmux: user namespaces cannot be had: refused\n  hint: " in told


@pytest.mark.parametrize(
    ("name", "value", "remedy"),
    [
        ("kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
        ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
        ("kernel/unprivileged_userns_clone", "1", "allow user namespaces"),
    ],
)
def test_the_remedy_is_what_the_system_forbids(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, remedy: str
):
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text(f"{value}\n")
    monkeypatch.setattr(wrapper, "SYSCTLS", str(tmp_path))
    assert remedy in wrapper.remedy()


def test_a_log_that_cannot_be_written_is_told_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(tmp_path, log="/no/such/folder/log") == CANNOT
    assert "--log: '/no/such/folder/log' cannot be written" in capsys.readouterr().err


def test_who_is_not_on_a_terminal_has_none(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(wrapper.os, "isatty", lambda _: False)
    assert wrapper.terminal() == (-1, False)


def test_a_backend_that_is_not_installed_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert run(tmp_path, backend="bwrap") == CANNOT
    assert "install the package `bubblewrap`" in capsys.readouterr().err
    assert run(tmp_path, backend="docker") == CANNOT
    assert "neither docker nor podman is installed" in capsys.readouterr().err


def test_a_plan_that_is_refused_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refused(*_: object) -> None:
        raise Refused("no")

    monkeypatch.setattr(plan, "make", refused)
    assert run(tmp_path) == CANNOT
