"""A first configuration file: commented, valid, and enough to start."""

import msgspec
from msgspec import Struct

from modelmux.config.schema import DEFAULT_PORT


class ProviderChoice(Struct, frozen=True):
    """A provider to be written."""

    type: str
    api_key: str = ""
    """As it is to stand in the file: `${VAR}` or `file:PATH`, never the key itself."""
    base_url: str = ""
    is_comment: bool = False
    """Written as a comment, for somebody to switch on: its key is not there yet."""


class Answers(Struct, frozen=True):
    """What the file is to say."""

    port: int = DEFAULT_PORT
    log_level: str = "info"
    enable_retries: bool = True
    max_retry_attempts: int = 3
    providers: tuple[ProviderChoice, ...] = ()
    streaming_mode: str = "auto"
    buffer_size: int = 65_536
    chunk_timeout_ms: int = 5_000


def render(answers: Answers) -> str:
    """The file, as TOML."""
    parts = [_HEAD, _server(answers)]
    parts += [_provider(each) for each in answers.providers]
    if not answers.providers:
        parts.append(_NO_PROVIDER)
    parts += [_streaming(answers), _TAIL]
    return "\n".join(parts)


_HEAD = """\
# Configuration of modelmux. Everything that is not said has its default.
# `modelmux validate` checks this file, `modelmux config show` prints what counts and why.
# "${VAR}" is a variable of the environment, "file:PATH" reads a secret from a file.
"""

_NO_PROVIDER = """\
# Providers whose usual variable is set (OPENAI_API_KEY, ANTHROPIC_API_KEY, …) and a local Ollama
# are found by themselves, as long as none is written here:
#
# [[providers]]
# name = "openai"                # first half of `openai/gpt-5.4`
# type = "openai"
# api_key = "${OPENAI_API_KEY}"
# models = ["gpt-5.4*"]          # names or globs; without it, everything it has
# priority = 1                   # the lowest is asked first
"""

_TAIL = """\
# A name of your own, answered by the first target that can:
#
# [[models]]
# name = "fast"
# targets = ["openai/gpt-5.4-mini", "anthropic/claude-haiku-4-5"]

# Who may call. Without any key, everybody who can reach a loopback port or a unix socket:
#
# [[keys]]
# name = "me"
# secret = "${MY_KEY}"
# models = ["fast", "openai/*"]  # names or globs; without it, everything
"""


def _server(answers: Answers) -> str:
    lines = [
        "[server]",
        '# Also ":3000" (every interface, which needs keys) and "unix:/run/modelmux.sock".',
        f"listen = [{_quoted(f'127.0.0.1:{answers.port}')}]",
        f"log_level = {_quoted(answers.log_level)}  # trace debug info warn error",
        f"enable_retries = {str(answers.enable_retries).lower()}",
        f"max_retry_attempts = {answers.max_retry_attempts}  # in all, the first included",
    ]
    return "\n".join(lines) + "\n"


def _provider(choice: ProviderChoice) -> str:
    lines = ["[[providers]]", f"name = {_quoted(choice.type)}", f"type = {_quoted(choice.type)}"]
    if choice.base_url:
        lines.append(f"base_url = {_quoted(choice.base_url)}")
    if choice.api_key:
        lines.append(f"api_key = {_quoted(choice.api_key)}")
    if choice.is_comment:
        lines = [f"# {line}" for line in lines]
    return "\n".join(lines) + "\n"


def _streaming(answers: Answers) -> str:
    mode = _quoted(answers.streaming_mode)
    lines = ["[streaming]", f"mode = {mode}  # auto never standard buffered always"]
    if answers.streaming_mode == "buffered":
        lines.append(f"buffer_size = {answers.buffer_size}  # bytes")
        lines.append(f"chunk_timeout_ms = {answers.chunk_timeout_ms}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A text as a TOML string: JSON's escapes are TOML's."""
    return msgspec.json.encode(text).decode()
