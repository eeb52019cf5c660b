"""llmock, a provider that breaks on purpose and says how its client coped.

It answers every request without being told what to say (the prompt comes back), and a *scenario*,
a queue of behaviours, decides what goes wrong: each behaviour is taken by the next request that it
fits. Afterwards `verdict` judges the client: retries that came too early or too often, cut streams
taken for whole ones.
"""

import os
import re
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from tests.support import plain
from tests.support.child import Child

PROGRAM = Path(sys.executable).with_name("llmock")

Behavior = Mapping[str, object]


class Finding(msgspec.Struct):
    """One thing the client did that it should not have."""

    code: str
    """For example `retry_after_ignored`, `retry_storm`, `truncated_stream_accepted`, `gave_up`."""
    severity: str
    """`error` or `warning`."""
    title: str


class Verdict(msgspec.Struct):
    """How the client coped with what was scripted."""

    passed: bool
    """There is no finding of severity `error`."""
    findings: Sequence[Finding]


class Seen(msgspec.Struct):
    """One request that llmock got."""

    path: str
    status: int | None = None


class _Requests(msgspec.Struct):
    requests: list[Seen]


def fail(status: int, *, times: int | None = 1, **more: object) -> Behavior:
    """Answer with an error in the provider's own shape.

    Args:
        times: How many requests; None for all of them.
        more: `retry_after` (seconds), `message`, `code`, `match`.
    """
    return {"type": "fail", "status": status, "times": times, **more}


def stream_fault(
    kind: Literal["disconnect", "truncate", "malformed", "stall"],
    *,
    after_chunks: int = 1,
    times: int | None = 1,
    **more: object,
) -> Behavior:
    """Break a stream after some chunks.

    Args:
        kind: Connection dropped; ended early without a finish reason; a chunk that is no JSON;
            silence (for `seconds`).
    """
    fault = {"type": "stream_fault", "kind": kind, "after_chunks": after_chunks}
    return {**fault, "times": times, **more}


class Llmock:
    """A running llmock."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url

    @property
    def openai_url(self) -> str:
        return f"{self.base_url}/v1"

    @property
    def anthropic_url(self) -> str:
        return f"{self.base_url}/anthropic"

    def script(self, *behaviors: Behavior) -> None:
        """Queue behaviours behind those that still wait."""
        self._control("POST", "/scenario", {"behaviors": behaviors}, status=201)

    def requests(self) -> list[Seen]:
        """Every request so far, oldest first; waits up to two seconds for those in flight."""
        answer = self._control("GET", "/requests")
        return msgspec.json.decode(answer.body, type=_Requests).requests

    def verdict(self) -> Verdict:
        """The judgement on all requests since `reset`; waits as `requests` does."""
        return msgspec.json.decode(self._control("GET", "/verdict").body, type=Verdict)

    def reset(self) -> None:
        """Forget requests and scenario."""
        self._control("POST", "/reset")

    def _control(
        self, method: str, path: str, body: object = None, *, status: int = 200
    ) -> plain.Answer:
        answer = plain.request(self.base_url, method, f"/_llmock{path}", body)
        assert answer.status == status, answer.body.decode(errors="replace")
        return answer


@contextmanager
def running(directory: Path, *options: str) -> Generator[Llmock, None, None]:
    """A fresh llmock on a free port of the loopback, stopped at the end.

    Args:
        directory: A folder for its log.
        options: More arguments of `llmock serve`, for example `--rpm 10`.
    """
    environ = {"PATH": os.environ["PATH"], "HOME": str(directory), "PYTHONUTF8": "1"}
    argv = [str(PROGRAM), "serve", "--port", "0", "--response-style", "echo", *options]
    child = Child(argv, directory, environ)

    def listening() -> str | None:
        found = re.search(r"Uvicorn running on (http://\S+)", child.log)
        return found and found[1]

    try:
        yield Llmock(child.wait_until(listening, "listening"))
    finally:
        child.stop()
