import tomllib

import msgspec
import pytest

from modelmux.isolate.agents import codex_config, files, opencode
from modelmux.isolate.environment import DUMMY_KEY

URL = "http://127.0.0.1:1"


def codex(users: str, model: str = "") -> dict[str, object]:
    return tomllib.loads(codex_config(users, URL, model))


def test_codex_has_the_gateway_as_its_provider():
    found = codex("", "m")
    assert (found["model_provider"], found["model"]) == ("modelmux", "m")
    assert found["model_providers"] == {
        "modelmux": {
            "name": "modelmux",
            "base_url": f"{URL}/v1",
            "env_key": "CODEX_API_KEY",
            "wire_api": "responses",
        }
    }


def test_what_the_user_has_set_for_codex_stays():
    users = (
        'model = "o3"\napproval_policy = "never"\n[model_providers.mine]\nname = "x"\n[tui]\na = 1'
    )
    found = codex(users)
    assert found["approval_policy"] == "never"
    assert found["tui"] == {"a": 1}
    assert found["model_provider"] == "modelmux"
    assert "model" not in found  # it is a model of another provider's
    assert set(msgspec.convert(found["model_providers"], dict[str, object])) == {"mine", "modelmux"}


@pytest.mark.parametrize("users", ["[broken", '[model_providers.modelmux]\nname = "x"\n'])
def test_what_cannot_be_kept_of_it_is_left_out(users: str):
    assert codex(users)["model_provider"] == "modelmux"


def test_settings_of_other_agents_are_merged():
    users = {
        "/h/.gemini/settings.json": '{"ui": {"theme": "x"}, "security": {"auth": {"a": 1}}}',
        "/h/.claude.json": "[] no object",
        "/h/.qwen/settings.json": "[]",
    }
    found = files("/h", URL, "", lambda path: users.get(path, ""))
    assert msgspec.json.decode(found["/h/.gemini/settings.json"]) == {
        "ui": {"theme": "x"},
        "security": {"auth": {"a": 1, "selectedType": "gemini-api-key"}},
    }
    claude = msgspec.json.decode(found["/h/.claude.json"], type=dict[str, object])
    assert claude["customApiKeyResponses"] == {"approved": [DUMMY_KEY[-20:]], "rejected": []}
    assert set(found) == {*users, "/h/.codex/config.toml"}


def test_opencode_knows_the_model_if_there_is_one():
    config = msgspec.json.decode(opencode(URL, "m"), type=dict[str, object])
    assert config["model"] == "modelmux/m"
    assert "model" not in msgspec.json.decode(opencode(URL, ""), type=dict[str, object])
