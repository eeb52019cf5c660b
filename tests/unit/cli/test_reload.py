from tests.unit.cli.conftest import Cli, running

DONE = {"reloaded": True, "changes": ["keys: added a"], "notes": ["a note"], "problems": []}
REFUSED = {
    "reloaded": False,
    "changes": [],
    "notes": [],
    "problems": [{"message": "a.toml:3: x: unknown key", "hint": "did you mean y?"}],
}


def test_what_has_changed_is_told(cli: Cli):
    with running() as gateway:
        gateway.says("/control/reload", DONE)
        ran = cli("reload")
        assert "POST /control/reload" in gateway.asked
    assert (ran.code, ran.out) == (0, "reloaded\n  keys: added a\n")
    assert ran.err == "warning: a note\n"


def test_a_reload_without_a_change_says_so(cli: Cli):
    with running() as gateway:
        gateway.says("/control/reload", {**DONE, "changes": [], "notes": []})
        assert cli("reload").out == "reloaded\n  nothing has changed\n"


def test_a_mistake_is_told_with_what_to_do_and_exit_code_1(cli: Cli):
    with running() as gateway:
        gateway.says("/control/reload", REFUSED, status=422)
        ran = cli("reload")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == (
        "modelmux: a.toml:3: x: unknown key\n  hint: did you mean y?\n"
        "modelmux: not reloaded: the configuration before is still in force\n"
    )


def test_json_is_what_the_gateway_said(cli: Cli):
    with running() as gateway:
        gateway.says("/control/reload", REFUSED, status=422)
        ran = cli("reload", "--json")
    assert (ran.code, ran.json()) == (1, REFUSED)


def test_without_a_gateway_there_is_nothing_to_reload(cli: Cli):
    assert cli("reload").code == 1
