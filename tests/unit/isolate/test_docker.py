"""No container is run here: what would be told to docker is looked at, and a program in its place
shows that the rest holds together."""

from pathlib import Path

from modelmux.isolate import docker
from modelmux.isolate.plan import Plan
from modelmux.isolate.view import View
from tests.support.sandbox import empty_place

VIEW = View("/w", "", "", ("/w/d", "/h/x"), ("/w/s",), {}, read_only=True, is_root=False)
WANTED = Plan(("claude", "-p"), {"OPENAI_BASE_URL": "u", "PATH": "/x", "TERM": "dumb"}, VIEW)


def test_a_container_has_no_network_and_no_privileges():
    told = docker.arguments("image", "/f", WANTED, has_terminal=True)
    text = " ".join(told)
    for words in (
        "--network none",
        "--cap-drop ALL",
        "--security-opt no-new-privileges",
        "--read-only --tmpfs",
        "--volume /w:/w:ro",
        "--volume /f:/run/modelmux:ro",
        "--env OPENAI_BASE_URL=u",
        "--volume /dev/null:/w/s:ro",
        "--tty",
        "--to unix:/run/modelmux/gateway.sock -- claude -p",
    ):
        assert words in text
    assert "PATH" not in text
    assert "/h/x" not in text
    assert told.index("image") < told.index("python3")


FAKE = """#!/bin/sh
# In place of docker: shows its words, and runs the bridge where the machine's own network is.
for word in "$@"; do echo "$word"; done
exit 3
"""


def test_the_code_and_the_words_of_the_container_are_passed_on(tmp_path: Path):
    program = tmp_path / "docker"
    program.write_text(FAKE)
    program.chmod(0o755)
    with empty_place() as there:
        path = f"{tmp_path}:/usr/bin:/bin"
        done = there.run("--backend", "docker", "--image", "i", "--", "claude", PATH=path)
        assert done.code == 3, done.err
        assert done.out.splitlines()[:2] == ["run", "--rm"]
        assert not list(there.runtime.rglob("isolate-*"))
