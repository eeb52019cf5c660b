"""Real agents: how each is run without a terminal, and what it calls its shell."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
from typing_extensions import override

from tests.support import aimock
from tests.support.aimock import Fixture


class Agent(NamedTuple):
    """An agent, and the API that it speaks."""

    name: str
    argv: Sequence[str]
    """All but the prompt, which comes last."""
    model: str
    shell: str
    """What its tool that runs a command is called."""
    argument: str
    """What that tool calls the command."""
    more: Mapping[str, str] = {}
    """Other arguments that the tool needs."""

    @override
    def __str__(self) -> str:
        return self.name

    def fixtures(self, prompt: str, command: str, answer: str) -> list[Fixture]:
        """What a model says that has `command` run once, and then answers."""
        arguments = msgspec.json.encode({self.argument: command, **self.more}).decode()
        call = {"name": self.shell, "arguments": arguments, "id": "call_1"}
        thought = {"reasoning": "A command will tell.", "reasoningSignature": "c2ln"}
        return [
            aimock.fixture(prompt, {"content": answer}, match={"hasToolResult": True}),
            aimock.fixture(prompt, {**thought, "toolCalls": [call]}),
            aimock.fixture("", {"content": "ok"}),
        ]


CLAUDE = Agent(
    "claude",
    ("claude", "--dangerously-skip-permissions", "--model", "claude-sonnet-4-5", "-p"),
    "anthropic/claude-sonnet-4-5",
    "Bash",
    "command",
    {"description": "look"},
)
CODEX = Agent(
    "codex",
    ("codex", "exec", "--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox"),
    "openai/gpt-5.4",
    "exec_command",
    "cmd",
)
GEMINI = Agent(
    "gemini",
    ("gemini", "--yolo", "-m", "gemini-2.5-flash", "-p"),
    "gemini/gemini-2.5-flash",
    "run_shell_command",
    "command",
)

AGENTS = (CLAUDE, CODEX, GEMINI)


def programs() -> str:
    """`PATH` with the agents and the Node they run on."""
    folder = Path(os.environ["MODELMUX_AGENTS"])
    return f"{folder}/node_modules/.bin:{folder}/node/bin:/usr/local/bin:/usr/bin:/bin"
