"""Settings of agents that listen to no variable.

They are written into the home folder as it is inside, over the user's own: nothing of them is left
at the end.
"""

import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Final, cast

from modelmux.isolate.environment import DUMMY_KEY

_PROVIDER: Final = "modelmux"
_CODEX_KEYS: Final = re.compile(r"(?m)^\s*(?:model_provider|model|openai_base_url)\s*=.*$")
_TABLE: Final = re.compile(r"(?m)^\s*\[")

Read = Callable[[str], str]
"""What a file of the user's holds; empty if there is none."""


def files(home: str, base_url: str, model: str, read: Read) -> dict[str, str]:
    """Files by path, with what they are to hold.

    Args:
        home: The home folder.
        base_url: Of the gateway, without a version segment.
        model: The model to use; empty: the agent's own.
        read: Gives the user's own settings, which are kept as far as they can be.
    """
    codex = os.path.join(home, ".codex/config.toml")
    gemini = os.path.join(home, ".gemini/settings.json")
    qwen = os.path.join(home, ".qwen/settings.json")
    claude = os.path.join(home, ".claude.json")
    return {
        codex: codex_config(read(codex), base_url, model),
        gemini: _json(read(gemini), {"security": {"auth": {"selectedType": "gemini-api-key"}}}),
        qwen: _json(read(qwen), {"security": {"auth": {"selectedType": "openai"}}}),
        claude: _json(read(claude), _CLAUDE),
    }


def opencode(base_url: str, model: str) -> str:
    """`OPENCODE_CONFIG_CONTENT`: the gateway as a provider, under the name that models have."""
    provider: dict[str, object] = {
        "npm": "@ai-sdk/openai-compatible",
        "name": "modelmux",
        "options": {"baseURL": f"{base_url}/v1", "apiKey": DUMMY_KEY},
    }
    config: dict[str, object] = {"autoupdate": False, "share": "disabled"}
    if model:
        provider["models"] = {model: {}}
        config["model"] = config["small_model"] = f"{_PROVIDER}/{model}"
    return json.dumps({**config, "provider": {_PROVIDER: provider}})


def codex_config(users: str, base_url: str, model: str) -> str:
    """Codex's configuration with the gateway as its provider.

    `OPENAI_BASE_URL` has no effect on Codex, so a provider of its own is needed:
    https://developers.openai.com/codex/config-reference, read 2026-11-20.
    """
    ours = f'model_provider = "{_PROVIDER}"\n'
    if model:
        ours += f"model = {json.dumps(model)}\n"
    provider = (
        f"\n[model_providers.{_PROVIDER}]\n"
        f'name = "{_PROVIDER}"\n'
        f'base_url = "{base_url}/v1"\n'
        'env_key = "CODEX_API_KEY"\n'
        'wire_api = "responses"\n'
    )
    if not users:
        return ours + provider
    import tomllib  # noqa: PLC0415 # most have no configuration, and need not wait for it

    begin = _TABLE.search(users)
    top, tables = (users[: begin.start()], users[begin.start() :]) if begin else (users, "")
    whole = f"{ours}{_CODEX_KEYS.sub('', top)}\n{tables}\n{provider}"
    try:
        tomllib.loads(whole)
    except tomllib.TOMLDecodeError:
        return ours + provider  # the user's own cannot be kept
    return whole


_CLAUDE: Final[Mapping[str, object]] = {
    "hasCompletedOnboarding": True,
    # It asks once for each key that it finds, and knows it again by its end.
    "customApiKeyResponses": {"approved": [DUMMY_KEY[-20:]], "rejected": []},
}


def _json(users: str, ours: Mapping[str, object]) -> str:
    """The user's settings with ours over them."""
    try:
        found: object = json.loads(users) if users else {}
    except ValueError:
        found = {}
    merged = _merged(cast("Mapping[str, object]", found), ours) if isinstance(found, dict) else ours
    return json.dumps(merged, indent=2) + "\n"


def _merged(under: Mapping[str, object], over: Mapping[str, object]) -> dict[str, object]:
    merged = dict(under)
    for name, value in over.items():
        below = merged.get(name)
        if isinstance(value, dict) and isinstance(below, dict):
            merged[name] = _merged(
                cast("Mapping[str, object]", below), cast("Mapping[str, object]", value)
            )
        else:
            merged[name] = value
    return merged
