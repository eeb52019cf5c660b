import subprocess
import sys
from importlib import import_module

import click
import pytest

from modelmux import __version__
from modelmux.cli.commands import COMMANDS, LATER
from modelmux.cli.failure import complain
from modelmux.cli.main import help_text, main
from tests.unit.cli.conftest import Cli

HEAVY = {
    "asyncio",
    "click",
    "dotenv",
    "httpx2",
    "msgspec",
    "platformdirs",
    "rich",
    "tomllib",
    "uvicorn",
    "uvloop",
}


def imported_by(*arguments: str) -> set[str]:
    """Top-level modules that are there once the command has ended."""
    code = (
        "import sys; from modelmux.cli.main import main; code = main(sys.argv[1:]);"
        "sys.stderr.write(' '.join({name.partition('.')[0] for name in sys.modules}));"
        "sys.exit(code)"
    )
    ran = subprocess.run(
        [sys.executable, "-I", "-c", code, *arguments], check=True, capture_output=True, text=True
    )
    return set(ran.stderr.split())


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_import_nothing_that_costs_time(argument: str):
    assert imported_by(argument) & HEAVY == set()


def test_help_of_a_command_does_not_import_the_gateway():
    assert imported_by("serve", "--help") & {"httpx2", "rich", "uvicorn", "uvloop"} == set()


@pytest.mark.parametrize("argument", ["-h", "--help", "help"])
def test_help_names_every_command(cli: Cli, argument: str):
    ran = cli(argument)
    assert (ran.code, ran.err) == (0, "")
    for name, entry in COMMANDS.items():
        assert f"  {name}" in ran.out
        assert entry.summary in ran.out


def test_help_fits_a_terminal():
    assert max(len(line) for line in help_text().splitlines()) <= 100


@pytest.mark.parametrize("argument", ["-V", "--version"])
def test_the_version_is_printed(cli: Cli, argument: str):
    assert cli(argument) == (0, f"modelmux {__version__}\n", "")


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_is_there_and_has_help(cli: Cli, name: str):
    assert isinstance(import_module(COMMANDS[name].module).command, click.Command)
    for option in ("--help", "-h"):
        ran = cli(name, option)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.startswith(f"Usage: modelmux {name} ")


def test_an_unknown_command_is_told_with_the_nearest(cli: Cli):
    ran = cli("statsu")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "modelmux: there is no command 'statsu'\n  hint: did you mean `modelmux status`?\n"
    )


def test_a_strange_command_is_told_with_where_they_are_listed(cli: Cli):
    assert "`modelmux --help` lists them" in cli("xyzzy").err


@pytest.mark.parametrize("name", sorted(LATER))
def test_a_reserved_command_says_that_it_is_not_available(cli: Cli, name: str):
    ran = cli(name)
    assert ran.code == 2
    assert f"`modelmux {name}` is not available in this version" in ran.err


def test_an_unknown_option_is_wrong_usage(cli: Cli):
    ran = cli("status", "--wtach")
    assert ran.code == 2
    assert "--watch" in ran.err
    assert "hint: `modelmux status --help` says more" in ran.err


def test_options_without_a_command_are_those_of_serve(cli: Cli):
    ran = cli("--listen", "nonsense")
    assert ran.code == 2
    assert "`modelmux serve --help` says more" in ran.err


def test_debug_may_stand_anywhere_but_behind_two_dashes(cli: Cli):
    assert cli("--debug", "version").code == 0
    assert cli("version", "--debug").code == 0
    assert cli("version", "--", "--debug").code == 2


def test_a_complaint_is_one_line_and_a_hint(capsys: pytest.CaptureFixture[str]):
    assert complain("no", "yes", 2) == 2
    assert capsys.readouterr().err == "modelmux: no\n  hint: yes\n"


def test_a_defect_shows_one_line_and_with_debug_its_traceback():
    code = (
        "import sys; from modelmux.cli import main, validate;"
        "validate.load_config = lambda _: 1 // 0; sys.exit(main.main())"
    )

    def stderr(*arguments: str) -> str:
        argv = [sys.executable, "-c", code, "validate", *arguments]
        ran = subprocess.run(argv, check=False, capture_output=True, text=True)
        assert ran.returncode == 1
        return ran.stderr

    assert stderr() == (
        "modelmux: unexpected ZeroDivisionError: integer division or modulo by zero\n"
        "  hint: `--debug` shows the traceback; please report it\n"
    )
    assert "Traceback" in stderr("--debug")


def test_a_reader_that_leaves_is_no_defect():
    argv = [sys.executable, "-m", "modelmux", "config", "schema"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 1


def test_main_takes_the_processs_own_arguments(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "argv", ["modelmux", "--version"])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)  # which main replaces
    assert main() == 0
