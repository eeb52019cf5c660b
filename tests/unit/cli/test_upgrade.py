from tests.unit.cli.conftest import STATUS, Cli, running

DONE = {"upgraded": True, "pid": 4712, "problems": []}
FAILED = {"upgraded": False, "pid": 0, "problems": [{"message": "it ended", "hint": "look"}]}


def test_who_has_taken_over_is_told(cli: Cli):
    with running() as gateway:
        gateway.says("/control/upgrade", DONE)
        ran = cli("upgrade")
        assert "POST /control/upgrade" in gateway.asked
    assert (ran.code, ran.out) == (
        0,
        "pid 4712 has taken over; pid 4711 ends with its last call\n",
    )


def test_why_nobody_has_is_told_with_exit_code_1(cli: Cli):
    with running() as gateway:
        gateway.says("/control/upgrade", FAILED, status=422)
        ran = cli("upgrade")
    assert ran.code == 1
    assert ran.err == (
        "modelmux: it ended\n  hint: look\nmodelmux: not upgraded: pid 4711 goes on\n"
    )


def test_json_is_what_the_gateway_said(cli: Cli):
    with running() as gateway:
        gateway.says("/control/upgrade", FAILED, status=422)
        ran = cli("upgrade", "--json")
    assert (ran.code, ran.json()) == (1, FAILED)


def test_one_that_is_about_to_end_is_not_meant_where_there_is_another(cli: Cli):
    with running(1) as old, running(2) as new:
        old.says("/control/status", {**STATUS, "pid": 1, "draining": True})
        new.says("/control/upgrade", DONE)
        assert "pid 2 ends" in cli("upgrade").out
