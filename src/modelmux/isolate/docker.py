"""Isolation by a container without a network, and with the gateway's socket.

A container has its own network namespace, which we cannot reach into; so the listening socket is a
unix socket in a folder that the container sees, and `modelmux.bridge`, which needs nothing but
Python in the image, is the port inside.
"""

import os
import shutil
import signal
import socket
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from modelmux import bridge
from modelmux.isolate import gateway, inside, kernel, plan, wire
from modelmux.isolate.failure import Refused
from modelmux.isolate.inside import Program
from modelmux.isolate.view import View

IMAGE: Final = "python:3-slim"
"""Where no other is said: it has Python and little else."""

INSIDE: Final = "/run/modelmux"

_BACKLOG: Final = 512

_INSIDE_ONLY: Final = ("MODELMUX_", "OPENAI_", "ANTHROPIC_", "GEMINI_", "GOOGLE_", "OLLAMA_")
_MORE: Final = (
    "CLAUDE_",
    "CODEX_",
    "OPENCODE_",
    "AIDER_",
    "IS_SANDBOX",
    "DISABLE_",
    "TERM",
    "LANG",
)


class Docker:
    """Starts a container."""

    def __init__(self, image: str) -> None:
        """Of `image`."""
        self._image = image or IMAGE

    def start(self, line: socket.socket, program: Program, wanted: plan.Plan) -> int:
        """Start the process that waits for the container; its process id. Raises `Refused`."""
        found = shutil.which("docker") or shutil.which("podman")
        if found is None:
            raise Refused("neither docker nor podman is installed", hint="install one of them")
        folder = _folder()
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(os.path.join(folder, "gateway.sock"))
        listener.listen(_BACKLOG)
        shutil.copyfile(bridge.__file__, os.path.join(folder, "bridge.py"))
        has_terminal = program.terminal >= 0
        argv = [found, *arguments(self._image, folder, wanted, has_terminal=has_terminal)]
        pid = os.fork()
        if pid == 0:
            _wait(line, listener, program._replace(argv=argv, is_confined=False), folder)
        listener.close()
        return pid


def _wait(line: socket.socket, listener: socket.socket, program: Program, folder: str) -> None:
    """Be the process that waits. Never returns."""
    try:
        # Not SIGKILL: docker passes it on to nobody, and the container would go on.
        kernel.die_with_parent(signal.SIGTERM)
        signal.signal(signal.SIGTERM, lambda _number, _frame: None)
        socket.send_fds(line, [wire.encoded({"listening": True})], [listener.fileno()])
        listener.close()
        inside.supervise(line, None, program._replace(environ=dict(os.environ)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


def arguments(image: str, folder: str, wanted: plan.Plan, *, has_terminal: bool) -> list[str]:
    """What docker is told: no network, no privileges, nothing to write to but the project."""
    view = wanted.view
    user = f"{os.geteuid()}:{os.getegid()}"
    told = ["run", "--rm", "--init", "--interactive", "--network", "none", "--user", user]
    told += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--read-only"]
    told += ["--tmpfs", "/tmp:mode=1777", "--tmpfs", "/run:mode=1777"]  # noqa: S108 # its own
    told += ["--volume", f"{folder}:{INSIDE}:ro"]
    told += ["--volume", f"{view.workdir}:{view.workdir}{':ro' if view.read_only else ''}"]
    told += ["--workdir", view.workdir, "--env", "HOME=/tmp"]
    if has_terminal:
        told.append("--tty")
    for name, value in wanted.environ.items():
        if name.startswith((*_INSIDE_ONLY, *_MORE)):
            told += ["--env", f"{name}={value}"]
    told += [*_hidden(view), image, "python3", f"{INSIDE}/bridge.py"]
    told += ["--listen", f"127.0.0.1:{inside.PORT}", "--to", f"unix:{INSIDE}/gateway.sock", "--"]
    return [*told, *wanted.argv]


def _hidden(view: View) -> Sequence[str]:
    """What is hidden of the project; nothing else of the machine is in the container."""
    told: list[str] = []
    for path in (*view.hide, *view.sockets):
        if path.startswith(view.workdir.rstrip("/") + "/"):
            is_folder = os.path.isdir(path)
            told += ["--tmpfs", path] if is_folder else ["--volume", f"/dev/null:{path}:ro"]
    return told


def _folder() -> str:
    """A folder for one run, that others cannot enter."""
    parent = gateway.runtime_folder()
    with suppress(FileExistsError):
        os.makedirs(parent, 0o700)
    return tempfile.mkdtemp(prefix="isolate-", dir=parent)
