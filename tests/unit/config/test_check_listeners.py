import pytest

from tests.unit.config.conftest import Machine

KEYS = """
[[keys]]
name = "team"
secret = "0123456789abcdef"
models = ["gpt-*"]
"""


def listener(address: str, *lines: str) -> str:
    return "\n".join(["[[listeners]]", f'address = "{address}"', *lines, ""])


def test_a_listener_with_an_identity_is_all_that_is_needed(machine: Machine):
    machine.project(listener("unix:/a", 'key = "team"', 'mode = "0660"') + KEYS)
    config = machine.load().config
    assert config.addresses == ()
    assert config.listeners[0].surface == "guest"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (listener("3000"), "listeners[0].address: '3000' is no address"),
        (
            listener("unix:/a") + listener("unix:///a"),
            "listeners[1].address: 'unix:///a' is listened on already, at listeners[0].address",
        ),
        (
            '[server]\nlisten = ["unix:/a"]\n' + listener("unix:/a"),
            "listeners[0].address: 'unix:/a' is listened on already, at server.listen",
        ),
        (
            listener("unix:@a", 'mode = "0600"'),
            "listeners[0].mode: only for unix sockets with a file",
        ),
        (
            listener("127.0.0.1:1", 'owner = "root"'),
            "listeners[0].owner: only for unix sockets with a file",
        ),
        (listener("unix:/a", 'mode = "0888"'), "listeners[0].mode: "),
        (
            listener("127.0.0.1:1", 'surface = "admin"'),
            "listeners[0].surface: expected guest: '127.0.0.1:1' has no file",
        ),
        (
            listener("unix:@a", 'surface = "admin"'),
            "listeners[0].surface: expected guest: 'unix:@a' has no file",
        ),
        (
            listener("unix:/a", 'key = "teem"') + KEYS,
            "listeners[0].key: there is no key 'teem'; did you mean 'team'?",
        ),
        (listener(":3000"), "listeners[0].address: others can reach ':3000', and no key is asked"),
        (
            listener(":3000", 'key = "team"') + KEYS,
            "listeners[0].address: others can reach ':3000', and no key is asked",
        ),
    ],
)
def test_what_cannot_be_meant_is_told_where_it_stands(machine: Machine, text: str, problem: str):
    (told,) = machine.problems(text)
    assert problem in told


@pytest.mark.parametrize(
    "text",
    [
        listener(":3000") + KEYS,
        listener(":3000") + "[server]\nallow_anonymous = true",
        listener("unix:/a", 'surface = "admin"'),
        listener("fd:3", 'surface = "admin"'),
        listener("vsock:any:3000", 'key = "team"') + KEYS,
        listener("fd:agents"),
    ],
)
def test_what_can_be_meant_is_let_through(machine: Machine, text: str):
    machine.project(text)
    machine.load()


def test_a_mistake_in_the_server_is_told_once(machine: Machine):
    (problem,) = machine.problems('[server]\nlisten = ["3000"]\n' + listener("unix:/a"))
    assert "server.listen[0]" in problem


def test_a_socket_for_everybody_is_a_warning(machine: Machine):
    (warning,) = machine.warnings(listener("unix:/a", 'mode = "0666"'))
    assert "listeners[0].mode: every user of this machine may call here" in warning


def test_a_model_that_its_key_does_not_allow_is_a_warning(machine: Machine):
    lines = ('key = "team"', 'models = ["gpt-5", "claude-*", "claude-3"]')
    (warning,) = machine.warnings(listener("unix:/a", *lines) + KEYS)
    assert "listeners[0].models[2]: the key 'team' may not allow 'claude-3'" in warning
