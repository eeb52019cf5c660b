import pytest

from modelmux.isolate.environment import DUMMY_KEY, gateway, scrubbed


@pytest.mark.parametrize(
    "name",
    [
        *("OPENAI_API_KEY", "MY_APIKEY", "GITHUB_TOKEN", "NPM_TOKEN", "AWS_ACCESS_KEY_ID"),
        *(
            "AWS_PROFILE",
            "DB_PASSWORD",
            "SECRET",
            "CLIENT_SECRET",
            "SSH_AUTH_SOCK",
            "SSH_AGENT_PID",
        ),
        *("HTTP_PROXY", "https_proxy", "all_proxy", "no_proxy", "DBUS_SESSION_BUS_ADDRESS"),
        *(
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "XAUTHORITY",
            "DOCKER_HOST",
            "KUBECONFIG",
            "GPG_AGENT_INFO",
        ),
        *("GOOGLE_APPLICATION_CREDENTIALS", "AZURE_CLIENT_ID", "VAULT_ADDR", "SENTRY_DSN"),
        *(
            "OPENAI_BASE_URL",
            "CLAUDE_CODE_USE_VERTEX",
            "CODEX_HOME",
            "MODELMUX_MODE",
            "LISTEN_FDS",
            "TMUX",
        ),
    ],
)
def test_what_is_a_secret_or_leads_elsewhere_is_withheld(name: str):
    assert scrubbed({name: "x"}) == {}


@pytest.mark.parametrize(
    "value",
    [
        "sk-ant-api03-abcdefgh",
        "ghp_0123456789abcdef",
        "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2ln",
        "postgres://me:word@db.internal/x",
        "-----BEGIN OPENSSH PRIVATE KEY-----",
    ],
)
def test_what_looks_like_a_secret_is_withheld_whatever_its_name(value: str):
    assert scrubbed({"ANYTHING": value}) == {}


@pytest.mark.parametrize(
    "name",
    [
        *("PATH", "HOME", "LANG", "TERM", "COLORTERM", "SHELL", "USER", "PWD", "EDITOR", "TZ"),
        *("VIRTUAL_ENV", "NVM_DIR", "GOPATH", "CARGO_HOME", "JAVA_HOME", "PYTHONPATH", "LS_COLORS"),
        *(
            "XDG_RUNTIME_DIR",
            "NODE_OPTIONS",
            "ANTHROPIC_MODEL",
            "CLAUDE_CODE_EFFORT_LEVEL",
            "MONKEY",
            "AUTHOR",
            "PATTERN",
        ),
    ],
)
def test_everything_else_is_left(name: str):
    assert scrubbed({name: "/usr/bin:~/x"}) == {name: "/usr/bin:~/x"}


def test_every_sdk_is_told_where_the_gateway_is():
    told = gateway("http://127.0.0.1:1", "")
    assert told["OPENAI_BASE_URL"] == told["OPENAI_API_BASE"] == "http://127.0.0.1:1/v1"
    for name in ("ANTHROPIC_BASE_URL", "GOOGLE_GEMINI_BASE_URL", "OLLAMA_HOST"):
        assert told[name] == "http://127.0.0.1:1"
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "CODEX_API_KEY"):
        assert told[name] == DUMMY_KEY
    assert not [name for name in told if name.endswith("_MODEL")]


def test_a_model_is_everybodys():
    told = gateway("http://127.0.0.1:1", "fast")
    assert told["ANTHROPIC_MODEL"] == told["GEMINI_MODEL"] == told["OPENAI_MODEL"] == "fast"
    assert told["AIDER_MODEL"] == "openai/fast"
