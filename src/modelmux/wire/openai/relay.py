"""What the gateway looks for in a stream that it passes on."""

import re

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.request import Envelope
from modelmux.ir.response import Failure, FinishReason, Summary, Usage
from modelmux.wire import extra
from modelmux.wire.framing import sse
from modelmux.wire.openai import errors, usage
from modelmux.wire.openai.chunks import DONE, INTERRUPTED, XGroq
from modelmux.wire.openai.values import present

_DONE_FRAME = sse.encode(DONE)

_AZURE = b'"prompt_filter_results"'
"""In a first chunk without choices: what Azure's filters say of the prompt."""

_MODEL = re.compile(rb'"model"\s*:\s*("(?:[^"\\]|\\.)*")')


class _Choice(Struct):
    index: int | None = None
    finish_reason: str | None = None
    usage: Raw = Raw()
    error: Raw = Raw()


class _Chunk(Struct):
    model: str | None = None
    object: str | None = None
    choices: list[_Choice] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()
    x_groq: XGroq | None = None


_chunk = msgspec.json.Decoder(_Chunk)
_string = msgspec.json.Decoder(str)


class Watch:
    """One stream's `framing.relay.Watch`.

    Finds usage in whatever chunk it comes, the finish reason and errors. Leaves out the chunk
    that has nothing but usage where the caller did not ask for it.
    """

    def __init__(self, envelope: Envelope, rename: str | None) -> None:
        """Watch a stream for a caller who asked with `envelope` and is shown `rename` as model."""
        self._strip_usage = not envelope.include_usage
        self._choices = envelope.choices
        self._rename = rename
        self._renames: tuple[bytes, bytes] | None = None
        self._begun = rename is None  # the chunk has come that says the model, if it matters
        self._ended = False
        self._finished: set[int] = set()  # indices of the choices that have a finish reason
        self._usage: Usage | None = None
        self._reason: FinishReason | None = None
        self._failure: Failure | None = None

    @property
    def summary(self) -> Summary:
        """What is known so far."""
        return Summary(self._usage, self._reason, self._failure)

    @property
    def ended(self) -> bool:
        """`[DONE]` or an error has been seen."""
        return self._ended

    @property
    def renames(self) -> tuple[bytes, bytes] | None:
        """The field `model` as the target writes it, and as the caller is to read it."""
        return self._renames

    def concerns(self, data: bytes) -> bool:
        """Whether some frame may say more than a delta.

        A field that is null is in every chunk, and is counted off in the form without spaces,
        which all servers but a few write. Inside a string no field's name can stand: its quotes
        would be escaped.
        """
        return (
            not self._begun
            or data.count(b'"finish_reason"') != data.count(b'"finish_reason":null')
            or data.count(b'"usage"') != data.count(b'"usage":null')
            or data.find(b"[DONE]") >= 0  # four times as quick as `in`
            or data.find(b'"error"') >= 0
        )

    def look(self, frame: sse.SSE, raw: bytes) -> bytes:
        """Read one frame; what to pass on for it."""
        try:
            chunk = _chunk.decode(frame.data)
        except extra.MALFORMED:
            if frame.data.strip() == DONE:
                self._ended = True
                self._reason = self._reason or usage.reason(None)  # Ollama gives none
            return raw  # what the caller makes of it is the same as without a gateway
        choices = chunk.choices or []
        self._failure = _failure(chunk, choices, frame.data)
        if self._failure is not None:
            self._ended = True
            return raw
        if not self._begun and (choices or chunk.model):
            self._begin(chunk.model, raw)
        for choice in choices:
            if choice.finish_reason:
                self._finish(choice.index or 0, choice.finish_reason)
        places = [chunk.usage, *[choice.usage for choice in choices]]
        if chunk.x_groq is not None:
            places.append(chunk.x_groq.usage)
        found = usage.decode(usage.first(*places))
        if found is None:
            return raw
        self._usage = found
        if choices or not self._strip_usage or _AZURE in frame.data:
            return raw
        return b""  # it has nothing but what the caller did not ask for

    def _begin(self, model: str | None, raw: bytes) -> None:
        """Learn how the target writes the field that is to be replaced."""
        self._begun = True
        for field in _MODEL.finditer(raw) if model else ():
            if _reads(field.group(1), model):
                shown = b'"model":' + msgspec.json.encode(self._rename)
                self._renames = (field.group(), shown)
                return

    def _finish(self, index: int, name: str) -> None:
        self._finished.add(index)
        if index == 0 or self._reason is None:
            self._reason = usage.reason(name)

    def close(self) -> bytes:
        """The end of a stream without `[DONE]`: servers forget it, or the answer was cut."""
        return self.fail(INTERRUPTED)

    def fail(self, failure: Failure) -> bytes:
        """The event of an error, after which nothing comes: no `[DONE]` either.

        An answer that is all there has finished, however its connection ended.
        """
        self._ended = True
        if len(self._finished) >= self._choices:
            return _DONE_FRAME
        self._failure = failure
        return sse.encode(errors.encode(failure))


def _reads(literal: bytes, text: str | None) -> bool:
    try:
        return _string.decode(literal) == text
    except extra.MALFORMED:
        return False


def _failure(chunk: _Chunk, choices: list[_Choice], raw: bytes) -> Failure | None:
    """The error that a chunk is, in any of the places where servers put it."""
    for error in (chunk.error, *[choice.error for choice in choices]):
        if present(error):
            return errors.from_error(error)
    return errors.from_error(Raw(raw)) if chunk.object == "error" else None
