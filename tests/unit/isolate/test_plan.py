from pathlib import Path

import pytest

from modelmux.isolate import kernel, plan
from modelmux.isolate.failure import Refused
from modelmux.isolate.options import Options


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "project").mkdir()
    return tmp_path


def made(home: Path, **said: object) -> plan.Plan:
    options = Options(("true",), workdir=str(home / "project"))._replace(**said)  # type: ignore[arg-type]
    return plan.make(options, {"HOME": str(home), "SECRET_TOKEN": "x", "XDG_RUNTIME_DIR": "/run/u"})


def test_the_home_folder_is_laid_over_and_the_project_is_not(home: Path):
    view = made(home).view
    assert (view.home, view.workdir) == (str(home), str(home / "project"))
    assert view.runtime == "/run/u"
    assert not view.read_only
    assert str(home / ".codex/config.toml") in view.files


def test_a_home_folder_that_one_works_in_is_not_laid_over(home: Path):
    view = made(home, workdir=str(home)).view
    assert view.home == ""
    assert view.files == {}


def test_the_environment_has_the_gateway_and_no_secret(home: Path):
    environ = made(home, model="m").environ
    assert "SECRET_TOKEN" not in environ
    assert environ["ANTHROPIC_BASE_URL"] == plan.BASE_URL
    assert "modelmux/m" in environ["OPENCODE_CONFIG_CONTENT"]
    assert environ["PWD"] == str(home / "project")


def test_credentials_that_are_there_are_hidden(home: Path):
    (home / ".ssh").mkdir()
    (home / "project/.env").touch()
    hide = made(home, hide=(str(home / "project/.env"),)).view.hide
    assert hide == [str(home / ".ssh"), str(home / "project/.env")]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"workdir": "/"}, "cannot be the working directory"),
        ({"workdir": "/no/such"}, "expected a folder to work in"),
        ({"hide": ("/no/such",)}, "there is no '/no/such'"),
    ],
)
def test_what_makes_no_sense_is_refused(home: Path, said: dict[str, object], message: str):
    with pytest.raises(Refused, match=message):
        made(home, **said)


def test_a_system_that_we_do_not_know_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(kernel, "machine", lambda: "riscv64")
    with pytest.raises(Refused, match="this is riscv64"):
        plan.check_system()
    monkeypatch.setattr(plan.sys, "platform", "darwin")
    with pytest.raises(Refused, match="isolation needs Linux, this is darwin"):
        plan.check_system()


def test_a_folder_that_is_gone_is_no_place_to_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(Refused, match="the folder we are in is gone"):
        plan.make(Options(("true",)), {"HOME": "/"})
