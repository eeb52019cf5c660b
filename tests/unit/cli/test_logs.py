import pytest

from tests.unit.cli.conftest import Cli, running


@pytest.mark.parametrize(
    ("arguments", "asked"),
    [
        ([], "GET /control/logs?lines=50"),
        (["-n", "7"], "GET /control/logs?lines=7"),
        (["-f"], "GET /control/logs?lines=50&follow=1"),
    ],
)
def test_the_log_is_printed_until_it_ends(cli: Cli, arguments: list[str], asked: str):
    with running() as gateway:
        gateway.says("/control/logs", "one\ntwo é\n".encode())
        assert cli("logs", *arguments) == (0, "one\ntwo é\n", "")
        assert gateway.asked[-1] == asked


def test_more_lines_than_are_kept_are_wrong_usage(cli: Cli):
    assert cli("logs", "-n", "1001").code == 2


def test_without_a_gateway_the_exit_code_is_1(cli: Cli):
    assert cli("logs").code == 1
