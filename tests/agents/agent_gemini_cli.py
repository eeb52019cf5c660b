"""Gemini CLI against the gateway: a turn with a tool that it really runs, by others' models."""

from pathlib import Path

import msgspec
import pytest

from tests.agents.support import run
from tests.support.aimock import Aimock, fixture
from tests.support.gateway import GatewayStarter

CONFIG = """
[server]
enable_retries = false

[[providers]]
name = "openai"
type = "openai"
base_url = "{url}"
api_key = "sk-openai"

[[providers]]
name = "anthropic"
type = "anthropic"
base_url = "{url}"
api_key = "sk-anthropic"
"""

PROGRAM = "@google/gemini-cli/bundle/gemini.js"


@pytest.mark.parametrize("model", ["openai/gpt-5.4-mini", "anthropic/claude-sonnet-5"])
def test_a_turn_with_an_executed_tool(
    start_gateway: GatewayStarter, aimock: Aimock, tmp_path: Path, model: str
) -> None:
    gateway = start_gateway(CONFIG.format(url=aimock.base_url))
    work = tmp_path / "work"
    work.mkdir()
    made = work / "hello.txt"
    call = {"file_path": str(made), "content": "made by a tool"}
    arguments = msgspec.json.encode(call).decode()
    aimock.add(
        fixture("", {"content": "The file is there."}, match={"hasToolResult": True}),
        fixture(
            "make the file",
            {"toolCalls": [{"name": "write_file", "arguments": arguments}]},
        ),
    )
    home = tmp_path / "home"
    (home / ".gemini").mkdir(parents=True)
    settings = {"security": {"auth": {"selectedType": "gemini-api-key"}}}
    (home / ".gemini/settings.json").write_bytes(msgspec.json.encode(settings))
    told = run(
        PROGRAM,
        *("-m", model, "-p", "make the file", "-o", "json"),
        *("--skip-trust", "--approval-mode", "yolo"),
        directory=work,
        environ={
            "HOME": str(home),
            "GOOGLE_GEMINI_BASE_URL": gateway.base_url,
            "GEMINI_API_KEY": "unused",
        },
    )
    assert made.read_text() == "made by a tool", told
    assert "The file is there." in told
