import pytest

from tests.unit.cli.conftest import Cli, FakeBuilt, FakeStatus

GOOD = FakeStatus("openai/gpt", True, "answers in 80 ms")
BAD = FakeStatus("anthropic/claude", False, "the key is refused", "set ANTHROPIC_API_KEY anew")


def test_all_targets_well_is_exit_code_0(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    gateway = FakeBuilt(statuses=[GOOD]).built_by(monkeypatch)
    assert cli("check") == (0, "ok    openai/gpt: answers in 80 ms\n", "")
    assert gateway.closed


def test_a_target_that_would_not_answer_is_exit_code_1_and_has_a_fix(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
):
    FakeBuilt(statuses=[GOOD, BAD]).built_by(monkeypatch)
    ran = cli("check")
    assert ran.code == 1
    assert ran.out.endswith(
        "FAIL  anthropic/claude: the key is refused\n      fix: set ANTHROPIC_API_KEY anew\n"
    )


def test_json_has_every_target(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    FakeBuilt(statuses=[BAD]).built_by(monkeypatch)
    ran = cli("check", "--json")
    assert ran.code == 1
    assert ran.json() == [
        {
            "name": "anthropic/claude",
            "ok": False,
            "detail": "the key is refused",
            "fix": "set ANTHROPIC_API_KEY anew",
        }
    ]


def test_nothing_to_check_is_told(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    FakeBuilt().built_by(monkeypatch)
    assert cli("check").out.startswith("no targets")
