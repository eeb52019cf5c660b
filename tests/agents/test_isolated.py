"""Real agents inside `modelmux isolate`: they answer, they work, and nobody else hears of it."""

import ast
import shlex
from contextlib import ExitStack

import msgspec
import pytest

from modelmux.isolate.environment import DUMMY_KEY
from tests.agents.agents import AGENTS, Agent, programs
from tests.support import sandbox
from tests.support.aimock import Aimock
from tests.support.decoys import REACH, Decoys
from tests.support.sandbox import PYTHON

CONFIG = """
[[providers]]
name = "anthropic"
type = "anthropic"
base_url = "{url}"
api_key = "sk-upstream-anthropic"

[[providers]]
name = "openai"
type = "openai"
base_url = "{url}/v1"
api_key = "sk-upstream-openai"

[[providers]]
name = "gemini"
type = "gemini"
base_url = "{url}"
api_key = "sk-upstream-gemini"
"""


@pytest.mark.parametrize("agent", AGENTS, ids=str)
def test_an_agent_works_and_reaches_models_only(agent: Agent, aimock: Aimock):
    with ExitStack() as stack:
        there = stack.enter_context(sandbox.place(CONFIG.format(url=aimock.base_url)))
        decoys = Decoys(stack, there)
        (there.workdir / "reach.py").write_text(REACH)
        places = shlex.quote(repr(decoys.places))
        command = f"{PYTHON} -I -S reach.py {places} >reached; ls /proc >processes"
        aimock.add(*agent.fixtures("PING", command, "PONG-FROM-INSIDE"))
        log = there.folder / "run.jsonl"
        options = ("--model", agent.model, "--log", str(log))
        done = there.run(*options, "--", *agent.argv, "PING", PATH=programs())
        assert done.code == 0, done.err
        assert "PONG-FROM-INSIDE" in done.out
        reached = ast.literal_eval((there.workdir / "reached").read_text())
        # Agents leave descriptors of their own to their tools.
        assert [each for each in reached if not str(each).startswith("descriptor")] == []
        decoys.listen_once()
        assert decoys.heard == []
        processes = (there.workdir / "processes").read_text().split()
        assert sum(name.isdigit() for name in processes) < 40
        logged = log.read_bytes().splitlines()
        lines = [msgspec.json.decode(line, type=dict[str, object]) for line in logged]
        told = [line for line in lines if "call" in line]
        asked = [entry for entry in aimock.journal() if entry.path.startswith("/v1")]
        assert len(told) == len(asked) >= 2
        assert not any(DUMMY_KEY in str(entry.headers) for entry in asked)
