"""What a program inside is told: nothing that is a secret, and where the gateway is."""

import re
from collections.abc import Mapping, Sequence
from typing import Final

DUMMY_KEY: Final = "modelmux-needs-no-key"
"""What programs send that insist on a key. The gateway does not look at it."""

_SECRET: Final = re.compile(
    r"(?:^|_)(?:API_?KEYS?|ACCESS_?KEY(?:_ID)?|PRIVATE_?KEY|ACCOUNT_?KEY|SECRET(?:S|_KEY)?"
    r"|TOKENS?|PAT|PASSWORD|PASSWD|PASSPHRASE|PASS|PWD|CREDENTIALS?|COOKIE|DSN|AUTH)(?:_|$)"
)
"""Words of names whose values are secrets."""

_WHOLE: Final = re.compile(
    r"(?:ALL|HTTPS?|FTP|NO)_PROXY"
    r"|(?:SSH|GPG|DBUS|DOCKER|PODMAN|CONTAINERD|XAUTHORITY|VAULT|AWS|AZURE|GOOGLE|GCLOUD|CLOUDSDK"
    r"|KUBE|MODELMUX|LISTEN|NOTIFY|SESSION)(?:_?[A-Z0-9_]*)"
    r"|(?:OPENAI|ANTHROPIC|GEMINI|CLAUDE|CODEX|OLLAMA|VERTEX)_(?:[A-Z0-9_]*_)?"
    r"(?:URL|BASE|HOST|ENDPOINT|HOME|DIR|SOCKET|PORT|PROJECT|LOCATION|REGION|ORGANIZATION|BEDROCK"
    r"|VERTEX|FOUNDRY)(?:_[A-Z]+)?"
    r"|DISPLAY|WAYLAND_DISPLAY|WAYLAND_SOCKET|PULSE_SERVER|PIPEWIRE_REMOTE|TMUX|STY|BASH_ENV|ENV"
    r"|DATABASE_URL|REDIS_URL|LD_PRELOAD"
)
"""Names that lead to somebody else, or to another model than the gateway's."""

_KEPT: Final = frozenset({"PWD", "OLDPWD", "SSH_TTY"})

_VALUE: Final = re.compile(
    r"\b(?:sk-|sk_live_|rk_live_|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abeprs]-|AKIA|ASIA|AIza|ya29\."
    r"|hf_|npm_|pypi-|dop_v1_|shpat_)[A-Za-z0-9_-]{8,}"
    r"|\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\."
    r"|-----BEGIN [A-Z ]*PRIVATE KEY"
    r"|[a-z][a-z0-9+.-]*://[^\s/:@]+:[^\s/@]+@"
)
"""What looks like a secret, whatever its name."""


def scrubbed(environ: Mapping[str, str]) -> dict[str, str]:
    """What is left of an environment without secrets, proxies and sockets."""
    return {name: value for name, value in environ.items() if not _is_withheld(name, value)}


def _is_withheld(name: str, value: str) -> bool:
    upper = name.upper()
    if upper in _KEPT:
        return False
    return bool(_SECRET.search(upper) or _WHOLE.fullmatch(upper) or _VALUE.search(value))


def gateway(base_url: str, model: str) -> dict[str, str]:
    """Variables that make SDKs and agents use the gateway at `base_url`.

    Args:
        base_url: Without a version segment.
        model: The model to use where nothing else is said; empty: the program's own.
    """
    said = {
        "MODELMUX_SANDBOX": "1",
        "MODELMUX_BASE_URL": base_url,
        # https://github.com/openai/openai-python; LiteLLM, and so aider, has its own name.
        "OPENAI_BASE_URL": f"{base_url}/v1",
        "OPENAI_API_BASE": f"{base_url}/v1",
        "OPENAI_API_KEY": DUMMY_KEY,
        "ANTHROPIC_BASE_URL": base_url,
        "ANTHROPIC_API_BASE": base_url,
        "ANTHROPIC_API_KEY": DUMMY_KEY,
        "GOOGLE_GEMINI_BASE_URL": base_url,
        "GEMINI_API_KEY": DUMMY_KEY,
        "OLLAMA_HOST": base_url,
        # Claude Code: https://code.claude.com/docs/en/env-vars, read 2026-11-20.
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "DISABLE_AUTOUPDATER": "1",
        "IS_SANDBOX": "1",  # so that root may let it work without asking
        # Codex reads the key of its provider from the variable that its configuration names.
        "CODEX_API_KEY": DUMMY_KEY,
        "OPENCODE_DISABLE_MODELS_FETCH": "1",
        "OPENCODE_DISABLE_AUTOUPDATE": "1",
        "AIDER_ANALYTICS": "false",
        "AIDER_CHECK_UPDATE": "false",
        "GEMINI_TELEMETRY_ENABLED": "false",
        # Without a terminal it works in no folder that it was not told to trust, and asks nobody.
        "GEMINI_CLI_TRUST_WORKSPACE": "true",
    }
    if model:
        said |= _default_model(model)
    return said


def _default_model(model: str) -> dict[str, str]:
    names: Sequence[str] = (
        "OPENAI_MODEL",
        "ANTHROPIC_MODEL",
        "ANTHROPIC_DEFAULT_HAIKU_MODEL",
        "GEMINI_MODEL",
    )
    return {**dict.fromkeys(names, model), "AIDER_MODEL": f"openai/{model}"}
