import stat
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from modelmux.cli.failure import CommandFailed
from modelmux.cli.init import init, suggested, write_private
from tests.unit.cli.conftest import TYPES, Cli


def answer(*lines: str, arguments: tuple[str, ...] = ()) -> str:
    """What the wizard prints when these lines are typed; the last answer is repeated by Enter."""
    result = CliRunner().invoke(init, arguments, input="\n".join(lines) + "\n" * 20)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.output


def test_without_questions_the_defaults_are_written_and_are_valid(cli: Cli):
    ran = cli("config", "init", "--yes")
    assert ran.code == 0
    assert ran.out.startswith(f"wrote {cli.user_file}\n")
    assert cli("validate").out.startswith("valid: listens on 127.0.0.1:3000")
    assert stat.S_IMODE(cli.user_file.stat().st_mode) == 0o600


def test_a_provider_whose_key_is_there_is_written(cli: Cli, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-s3ntinel")
    cli("config", "init", "--yes")
    written = cli.user_file.read_text()
    assert 'api_key = "${OPENAI_API_KEY}"' in written
    assert "s3ntinel" not in written
    assert "providers: openai" in cli("validate").out


def test_a_file_that_is_there_is_kept(cli: Cli):
    cli("config", "init", "--yes")
    cli.user_file.write_text("# mine\n")
    ran = cli("config", "init", "--yes")
    assert ran.code == 1
    assert "--force" in ran.err
    assert cli.user_file.read_text() == "# mine\n"
    assert cli("config", "init", "--yes", "--force").code == 0
    assert cli.user_file.read_text() != "# mine\n"


def test_by_default_the_wizard_does_not_write_over_a_file(cli: Cli):
    write_private(cli.user_file, "# mine\n")
    assert "Write over it?" in answer("")
    assert cli.user_file.read_text() == "# mine\n"


def test_the_file_can_be_anywhere(cli: Cli):
    ran = cli("config", "init", "--yes", "--output", "sub/mine.toml", "--json")
    assert ran.json() == {"path": "sub/mine.toml", "valid": True, "problems": []}
    assert (cli.folder / "sub/mine.toml").exists()
    assert not cli.user_file.exists()


def test_the_wizard_writes_what_was_answered(cli: Cli):
    answer("8080", "debug", "y", "5", "", "buffered", "2048", "200")
    written = cli.user_file.read_text()
    for line in (
        'listen = ["127.0.0.1:8080"]',
        'log_level = "debug"',
        "max_retry_attempts = 5",
        'mode = "buffered"',
        "buffer_size = 2048",
        "chunk_timeout_ms = 200",
    ):
        assert line in written
    assert cli("validate").code == 0


def test_the_wizard_asks_for_no_attempts_where_there_are_no_retries(cli: Cli):
    shown = answer("", "", "n", "", "")
    assert "How often in all" not in shown
    assert "enable_retries = false" in cli.user_file.read_text()


def test_a_key_that_is_typed_goes_into_a_file_of_its_own(cli: Cli):
    shown = answer("", "", "n", "anthropic", "sk-s3ntinel", "")
    path = cli.user_file.parent / "anthropic.key"
    assert path.read_text() == "sk-s3ntinel\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert f'api_key = "file:{path}"' in cli.user_file.read_text()
    assert "s3ntinel" not in shown + cli.user_file.read_text()
    assert "providers: anthropic" in cli("validate").out


def test_a_key_that_is_not_there_yet_is_a_comment(cli: Cli):
    answer("", "", "n", "anthropic", "", "")
    assert '# api_key = "${ANTHROPIC_API_KEY}"' in cli.user_file.read_text()
    assert cli("validate").code == 0


def test_a_server_without_keys_is_asked_where_it_is(cli: Cli):
    answer("", "", "n", "ollama", "http://127.0.0.1:1", "")
    assert 'base_url = "http://127.0.0.1:1"' in cli.user_file.read_text()


def test_only_providers_that_would_work_are_suggested():
    assert suggested(TYPES, {"OPENAI_API_KEY": ""}) == ()
    assert [each.type for each in suggested(TYPES, {"OPENAI_API_KEY": "x"})] == ["openai"]


def test_a_file_that_cannot_be_written_is_told(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(CommandFailed, match="cannot write"):
        write_private(tmp_path / "file/x", "")


def test_writing_replaces_a_file_as_a_whole_and_leaves_nothing_else(tmp_path: Path):
    path = tmp_path / "x"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert path.read_text() == "new"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_the_wizard_is_a_command_of_config():
    assert isinstance(init, click.Command)
