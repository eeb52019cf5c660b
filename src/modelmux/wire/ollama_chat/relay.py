"""What the gateway looks for in streams of the API that it passes on unchanged."""

import re

import msgspec

from modelmux.ir.response import Failure, FinishReason, Summary, Usage
from modelmux.wire import extra
from modelmux.wire.framing import ndjson
from modelmux.wire.ollama_chat import answers, errors, schema

_MODEL = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')
_DONE = re.compile(rb'"done"\s*:\s*true')

_line = msgspec.json.Decoder(schema.Summary)


class Watch:
    """A `framing.ndjson.Watch`."""

    def __init__(self, rename: str | None) -> None:
        self._rename = rename
        self._renames: tuple[bytes, bytes] | None = None
        self._begun = rename is None  # the line has come that says the model, if it matters
        self._called = False
        self._usage: Usage | None = None
        self._reason: FinishReason | None = None
        self._failure: Failure | None = None

    @property
    def summary(self) -> Summary:
        return Summary(self._usage, self._reason, self._failure)

    @property
    def ended(self) -> bool:
        return self._reason is not None or self._failure is not None

    @property
    def renames(self) -> tuple[bytes, bytes] | None:
        return self._renames

    def concerns(self, data: bytes) -> bool:
        # In quotes, which a string would escape.
        if b'"tool_calls"' in data:
            self._called = True
        return not self._begun or b'"error"' in data or _DONE.search(data) is not None

    def look(self, line: bytes) -> None:
        try:
            found = _line.decode(line)
        except extra.MALFORMED:  # not ours to judge: the caller's client will
            return
        if self.ended:
            return
        if not self._begun and found.model:
            self._begin(line)
        if found.error:
            self._failure = errors.decode(200, line)
        elif found.done:
            self._usage = answers.usage(found.prompt_eval_count, found.eval_count)
            self._reason = answers.reason(found.done_reason, called=self._called)

    def _begin(self, line: bytes) -> None:
        """Learn how the target writes the field that is to be replaced."""
        self._begun = True
        match = _MODEL.search(line)
        if match is not None:
            self._renames = (match.group(), b'"model":' + msgspec.json.encode(self._rename))

    def fail(self, failure: Failure) -> bytes:
        self._failure = failure
        return ndjson.encode(errors.encode(failure))
