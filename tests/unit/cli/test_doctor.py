from typing import cast

from tests.unit.cli.conftest import STATUS, Cli, running


def test_a_sound_machine_is_exit_code_0(cli: Cli):
    cli.project("[server]\nlisten = ['127.0.0.1:0']")
    ran = cli("doctor")
    assert ran.code == 0
    assert "ok    python: " in ran.out
    assert "FAIL" not in ran.out


def test_a_configuration_that_cannot_be_used_is_a_finding_among_others(cli: Cli):
    cli.project("[server]\nprot = 1")
    ran = cli("doctor")
    assert ran.code == 1
    assert (
        "FAIL  config: modelmux.toml:2: server.prot: unknown key; did you mean 'port'?" in ran.out
    )
    assert "ok    runtime folder: " in ran.out


def test_a_provider_that_cannot_be_reached_has_a_fix(cli: Cli):
    cli.project(
        "[server]\nlisten = ['127.0.0.1:0']\n"
        "[[providers]]\nname = 'a'\ntype = 'ollama'\nbase_url = 'http://nobody.invalid:1'"
    )
    ran = cli("doctor")
    assert ran.code == 1
    assert "FAIL  provider a: http://nobody.invalid:1: there is no host" in ran.out
    assert "      fix: check base_url" in ran.out


def test_our_own_gateway_on_a_port_is_no_trouble(cli: Cli):
    cli.project("[server]\nlisten = ['127.0.0.1:1']")
    with running() as gateway:
        gateway.says("/control/status", {**STATUS, "listen": ["127.0.0.1:1"]})
        ran = cli("doctor", "--json")
    found = cast("list[dict[str, str]]", ran.json())
    assert {"our gateway listens there (pid 4711)"} == {
        each["detail"] for each in found if each["subject"] == "listen 127.0.0.1:1"
    }


def test_json_has_state_subject_detail_and_fix(cli: Cli):
    found = cast("list[dict[str, str]]", cli("doctor", "--json").json())
    assert set(found[0]) == {"state", "subject", "detail", "fix"}
