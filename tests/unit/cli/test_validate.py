from typing import cast

import pytest

from tests.unit.cli.conftest import Cli

BAD = "[server]\nprot = 1\nlog_level = 'loud'\n"


@pytest.mark.parametrize("command", [["validate"], ["config", "validate"]])
def test_a_valid_configuration_is_told_in_one_line(cli: Cli, command: list[str]):
    cli.project("[server]\nlisten = ['unix:/s']\n[[providers]]\nname = 'a'\ntype = 'ollama'\n")
    ran = cli(*command)
    assert ran == (
        0,
        "valid: listens on unix:/s; providers: a; 0 models of its own; 0 keys\n",
        "",
    )


@pytest.mark.parametrize("command", [["validate"], ["config", "validate"]])
def test_every_mistake_is_told_and_the_exit_code_is_1(cli: Cli, command: list[str]):
    cli.project(BAD)
    ran = cli(*command)
    assert (ran.code, ran.out) == (1, "")
    assert "modelmux.toml:2: server.prot: unknown key; did you mean 'port'?" in ran.err
    assert "modelmux.toml:3: server.log_level: expected one of" in ran.err


def test_warnings_do_not_make_it_invalid(cli: Cli):
    cli.project("[server]\nlog_level = 'trace'")
    ran = cli("validate")
    assert ran.code == 0
    assert ran.err.startswith("warning: ")


def test_json_has_problems_and_warnings(cli: Cli):
    cli.project(BAD)
    bad = cli("validate", "--json")
    verdict = cast("dict[str, list[dict[str, str]]]", bad.json())
    assert bad.code == 1
    assert verdict["valid"] is False
    assert [problem["message"].partition(":")[0] for problem in verdict["problems"]] == [
        "modelmux.toml",
        "modelmux.toml",
    ]
    cli.project("[server]\nlog_level = 'trace'")
    good = cast("dict[str, list[str]]", cli("validate", "--json").json())
    assert good["valid"] is True
    assert len(good["warnings"]) == 1


def test_a_file_can_be_named(cli: Cli):
    (cli.folder / "other.toml").write_text(BAD)
    assert cli("validate").code == 0
    assert cli("validate", "other.toml").code == 1
    assert cli("config", "validate", "other.toml").code == 1


def test_a_file_that_is_not_there_is_told(cli: Cli):
    ran = cli("validate", "none.toml")
    assert ran.code == 1
    assert "there is no file 'none.toml'" in ran.err
