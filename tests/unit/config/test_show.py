from modelmux.config.show import Row, rows, text
from tests.unit.config.conftest import Machine

PROJECT = """\
[server]
port = 3000

[[providers]]
name = "openai"
type = "openai"
api_key = "${OPENAI_API_KEY}"
base_url = "https://user:pw@h/v1"
models = ["a", "b"]
headers = { authorization = "x", x-team = "blue", x-env = "${DEPLOY_TOKEN}" }

[[providers]]
name = "mine"
type = "ollama"
models = ["c", { name = "d", price = { input = "0.10" } }]
"""


def shown(machine: Machine) -> dict[str, Row]:
    machine.environ.update(OPENAI_API_KEY="sk-0123456789", DEPLOY_TOKEN="t0k3n")
    machine.project(PROJECT)
    return {row.key: row for row in rows(machine.load())}


def test_every_value_is_shown_with_its_origin(machine: Machine):
    found = shown(machine)
    assert text(found["server.port"]) == "server.port = 3000"
    assert str(found["server.port"].origin) == "modelmux.toml:2"
    assert str(found["server.log_level"].origin) == "default"
    assert found["providers[0].models"].value == ["a", "b"]


def test_an_array_of_strings_and_tables_is_shown_item_by_item(machine: Machine):
    found = shown(machine)
    assert found["providers[1].models[0]"].value == "c"
    assert found["providers[1].models[1].name"].value == "d"
    assert text(found["providers[1].models[1].price.input"]).endswith('= "0.10"')


def test_secrets_are_masked_wherever_they_are(machine: Machine):
    found = shown(machine)
    assert found["providers[0].api_key"].value == "***"
    assert found["providers[0].headers.authorization"].value == "***"
    assert found["providers[0].headers.x-env"].value == "***"
    assert found["providers[0].headers.x-team"].value == "blue"
    assert found["providers[0].base_url"].value == "https://***@h/v1"


def test_a_secret_that_is_not_there_is_shown_as_nothing(machine: Machine):
    assert shown(machine)["providers[1].api_key"].value == ""
