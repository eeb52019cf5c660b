"""Whether the gateway of this container works: exit code 0 if it does, else 1 and why.

It asks the gateway's own control socket whether it is ready, and then has the built-in model answer
a call, so that not only a process is there but calls come through. No provider is asked.
"""

import http.client
import json  # noqa: TID251 # it runs without our libraries
import os
import socket
import sys
from pathlib import Path

TIMEOUT_S = 4.0

CALL = {"model": "modelmux/echo", "messages": [{"role": "user", "content": "alive"}]}


def ask(path: Path, method: str, target: str, body: object = None) -> bytes:
    """The body of an answer. Raises `OSError` or `ValueError` where there is none that is good."""
    line = http.client.HTTPConnection("localhost", timeout=TIMEOUT_S)
    line.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    line.sock.settimeout(TIMEOUT_S)
    try:
        line.sock.connect(str(path))
        sent = None if body is None else json.dumps(body).encode()
        line.request(method, target, sent, {"content-type": "application/json"})
        answer = line.getresponse()
        found = answer.read()
    finally:
        line.close()
    if answer.status != 200:
        told = found[:200].decode(errors="replace")
        raise ValueError(f"{target} answered {answer.status}: {told}")
    return found


def problem(folder: Path) -> str:
    """What is wrong; empty if nothing is."""
    paths = sorted(folder.glob("control-*.sock"))
    said = f"no gateway has a control socket in {folder}"
    for path in paths:
        try:
            ask(path, "GET", "/readyz")
            answer = json.loads(ask(path, "POST", "/v1/chat/completions", CALL))
            if answer["choices"][0]["message"]["content"] == "alive":
                return ""
            said = "the built-in model answered something else"
        except (OSError, ValueError, LookupError, http.client.HTTPException) as exc:
            said = f"{path.name}: {exc}"
    return said


def main() -> int:
    """Tell on stderr what is wrong; the exit code."""
    wrong = problem(Path(os.environ.get("XDG_RUNTIME_DIR", "/run/modelmux")) / "modelmux")
    if wrong:
        sys.stderr.write(f"unhealthy: {wrong}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
