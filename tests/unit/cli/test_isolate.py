import pytest
from click.testing import CliRunner

from modelmux.cli import isolate, main
from modelmux.isolate import options, wrapper
from modelmux.isolate.options import Options


@pytest.fixture(name="ran")
def runs(monkeypatch: pytest.MonkeyPatch) -> list[Options]:
    """What would be run."""
    ran: list[Options] = []

    def note(said: Options) -> int:
        ran.append(said)
        return 7

    monkeypatch.setattr(wrapper, "main", note)
    return ran


WORDS = ["--model", "m", "--allow-model", "a", "--budget-calls", "3", "--read-only", "--hide", "x"]


def test_both_ways_to_read_a_command_line_agree(ran: list[Options]):
    result = CliRunner().invoke(
        isolate.command, [*WORDS, "--", "sh", "-c", "x"], standalone_mode=False
    )
    assert result.return_value == 7
    assert ran == [options.parse([*WORDS, "--", "sh", "-c", "x"])]


def test_the_quick_way_is_taken_by_the_entry_point(ran: list[Options]):
    assert main.main(["isolate", "--quiet", "--", "true"]) == 7
    assert ran == [Options(("true",), quiet=True)]


@pytest.mark.parametrize("words", [["isolate"], ["isolate", "--backend", "x", "--", "true"]])
def test_a_mistake_is_told(
    ran: list[Options], words: list[str], capsys: pytest.CaptureFixture[str]
):
    assert main.main(words) == 2
    assert "`modelmux isolate --help` says more" in capsys.readouterr().err
    assert ran == []


def test_every_option_of_one_is_one_of_the_other():
    told = {name for each in isolate.command.params for name in each.opts if name.startswith("-")}
    assert told == {*options.WITH_VALUE, *options.SWITCHES}
