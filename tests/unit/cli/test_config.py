from typing import cast

import msgspec
import pytest

from tests.unit.cli.conftest import Cli

PROJECT = '[server]\nport = 8080\n[[providers]]\nname = "a"\ntype = "openai"\napi_key = "${KEY}"\n'


@pytest.fixture
def configured(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Cli:
    monkeypatch.setenv("KEY", "sk-s3ntinel")
    cli.project(PROJECT)
    return cli


def test_config_alone_prints_its_help(cli: Cli):
    ran = cli("config")
    assert ran.code == 0
    for name in ("init", "show", "validate", "edit", "schema"):
        assert f"  {name}" in ran.out


def test_an_unknown_part_of_config_is_wrong_usage(cli: Cli):
    ran = cli("config", "shov")
    assert ran.code == 2
    assert "shov" in ran.err


def test_show_prints_each_value_with_its_origin(configured: Cli):
    ran = configured("config", "show")
    lines = ran.out.splitlines()
    assert ran.code == 0
    assert any(line.startswith("# system: ") and line.endswith("(not there)") for line in lines)
    assert any(
        line.split() == ["server.port", "=", "8080", "#", "modelmux.toml:2"] for line in lines
    )
    assert any(line.startswith("server.log_level") and line.endswith("# default") for line in lines)
    assert "s3ntinel" not in ran.out


def test_show_can_leave_defaults_out(configured: Cli):
    ran = configured("config", "show", "--set")
    assert "# default" not in ran.out
    assert "server.port" in ran.out


def test_show_as_json_has_values_sources_and_warnings(configured: Cli):
    ran = configured("config", "show", "--json")
    shown = cast("dict[str, list[dict[str, object]]]", ran.json())
    values = {value["key"]: value for value in shown["values"]}
    assert values["server.port"]["value"] == 8080
    assert values["server.port"]["origin"] == {
        "layer": "project",
        "file": "modelmux.toml",
        "line": 2,
    }
    assert values["providers[0].api_key"]["value"] == "***"
    assert [source["layer"] for source in shown["sources"]] == ["system", "user", "project"]
    assert "s3ntinel" not in ran.out


def test_show_of_a_broken_configuration_tells_what_is_wrong(cli: Cli):
    cli.project("x = 1")
    ran = cli("config", "show")
    assert (ran.code, ran.out) == (1, "")
    assert "modelmux.toml:1: x: unknown key" in ran.err


def test_schema_prints_a_json_schema(cli: Cli):
    schema = cast("dict[str, object]", msgspec.json.decode(cli("config", "schema").out))
    assert schema["$ref"] == "#/$defs/Config"
