from modelmux.cli.logs import show
from tests.unit.cli.conftest import Cli, running


def test_the_end_of_the_log_is_printed_byte_by_byte(cli: Cli, capfdbinary):
    with running() as gateway:
        gateway.says("/control/logs", b"one\ntwo \xff\n")
        assert show(None, lines=7, follow=False) == 0
        assert gateway.asked[-1] == "GET /control/logs?lines=7"
    assert capfdbinary.readouterr().out == b"one\ntwo \xff\n"


def test_following_ends_with_the_gateway(cli: Cli, capfdbinary):
    with running() as gateway:
        gateway.says("/control/logs", b"one\n")
        assert show(None, lines=50, follow=True) == 0
        assert gateway.asked[-1] == "GET /control/logs?lines=50&follow=1"
    assert capfdbinary.readouterr().out == b"one\n"
