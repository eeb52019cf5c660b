import sys

import click
import pytest

from modelmux.cli.failure import CommandFailed, Misused
from modelmux.cli.guard import guarded, run_command
from modelmux.errors import ConfigError, Unreachable


def raising(exc: BaseException):
    def action() -> int:
        raise exc

    return action


@pytest.mark.parametrize(
    ("exc", "code", "told"),
    [
        (CommandFailed("no", hint="yes"), 1, "modelmux: no\n  hint: yes\n"),
        (Misused("no"), 2, "modelmux: no\n"),
        (ConfigError("no", hint="yes"), 1, "modelmux: no\n  hint: yes\n"),
        (
            ConfigError("a\nb", problems=(ConfigError("a", hint="h"), ConfigError("b"))),
            1,
            "modelmux: a\n  hint: h\nmodelmux: b\n",
        ),
        (Unreachable("gone"), 1, "modelmux: gone\n"),
        (click.Abort(), 1, "modelmux: aborted\n"),
        (click.ClickException("no"), 1, "modelmux: no\n"),
        (click.UsageError("no"), 2, "modelmux: no\n  hint: `modelmux --help` says more\n"),
        (KeyboardInterrupt(), 1, ""),
    ],
)
def test_what_is_raised_on_purpose_is_one_line_and_an_exit_code(
    exc: BaseException, code: int, told: str, capsys: pytest.CaptureFixture[str]
):
    assert guarded(raising(exc), debug=False) == code
    assert capsys.readouterr().err == told


def test_with_debug_a_failure_is_raised_as_it_is():
    with pytest.raises(ConfigError):
        guarded(raising(ConfigError("no")), debug=True)


def test_wrong_usage_is_never_a_traceback():
    assert guarded(raising(click.UsageError("no")), debug=True) == 2


def test_a_defect_is_not_swallowed():
    with pytest.raises(ZeroDivisionError):
        guarded(raising(ZeroDivisionError()), debug=False)


def test_an_actions_own_code_is_the_exit_code():
    assert guarded(lambda: 7, debug=False) == 7


def test_a_command_runs_by_its_name(capsys: pytest.CaptureFixture[str]):
    assert run_command("version", [], debug=False) == 0
    assert capsys.readouterr().out.startswith("modelmux ")
    assert "modelmux.cli.version" in sys.modules
