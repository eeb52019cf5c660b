"""Streams of lines to events, for both kinds of answers.

Each line is an answer of its own that holds what is new: thinking, text, whole calls. The line
with `done` is the last; a stream that ends without it was cut.
"""

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from modelmux.errors import ProtocolViolation
from modelmux.ir.events import Event, Fail, Finish, PartDelta, PartEnd, PartStart, Start
from modelmux.ir.parts import Extra, Part, Reasoning, Text, ToolCall
from modelmux.ir.response import Failure
from modelmux.wire import extra
from modelmux.wire.framing import ndjson
from modelmux.wire.ollama_chat import answers, errors, schema
from modelmux.wire.ollama_chat.response import message_parts
from modelmux.wire.ollama_chat.schema import CHAT

INTERRUPTED = Failure(
    "unavailable",
    "the stream ended before the answer was finished",
    code="interrupted",
    status=502,
)


class _PlainMessage(Struct, forbid_unknown_fields=True):
    content: str
    role: str = ""


class _PlainChat(Struct, forbid_unknown_fields=True):
    """What most lines are: a little more text."""

    message: _PlainMessage
    model: str = ""
    created_at: str = ""
    done: bool = False


class _PlainGenerate(Struct, forbid_unknown_fields=True):
    response: str
    model: str = ""
    created_at: str = ""
    done: bool = False


_plain_chat = msgspec.json.Decoder(_PlainChat)
_plain_generate = msgspec.json.Decoder(_PlainGenerate)
_chat = extra.Schema(schema.ChatResponse, ProtocolViolation)
_generate = extra.Schema(schema.GenerateResponse, ProtocolViolation)


class Decoder:
    """A `StreamDecoder` for the wire `name`."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lines = ndjson.Decoder()
        self._started = self._ended = False
        self._created_at = ""
        self._open: Part | None = None
        self._parts = 0
        self._calls = 0

    def feed(self, data: bytes) -> list[Event]:
        out: list[Event] = []
        if self._ended:
            return out
        try:
            for line in self._lines.feed(data):
                self._read(line, out)
        except ProtocolViolation as exc:
            self._fail(Failure("unavailable", exc.message, exc.code, status=exc.status), out)
        return out

    def finish(self) -> list[Event]:
        out: list[Event] = []
        if self._ended:
            return out
        try:
            for line in self._lines.finish():
                self._read(line, out)
        except ProtocolViolation:  # the stream broke off inside its last line
            pass
        if not self._ended:
            self._fail(INTERRUPTED, out)
        return out

    def _read(self, line: bytes, out: list[Event]) -> None:
        if self._ended:
            return
        if type(self._open) is Text and (text := self._quickly(line)) is not None:
            if text:
                out.append(PartDelta(self._parts - 1, text))
            return
        answer: schema.Counts
        if self._name == CHAT:
            chat, unknown = _chat.decode(line)
            answer, message = chat, chat.message or schema.Message(content="")
        else:
            generate, unknown = _generate.decode(line)
            message = schema.Message(content=generate.response, thinking=generate.thinking)
            answer = generate
        if answer.error:
            self._fail(errors.decode(200, line), out)
            return
        self._start(answer, out)
        found = message_parts(message, self._created_at, unknown, self._calls)
        for part in found:
            self._part(part, out)
        if answer.done:
            in_calls = "/message/tool_calls/"
            rest = {at: raw for at, raw in unknown.items() if not at.startswith(in_calls)}
            self._finish(answer, rest, out)

    def _quickly(self, line: bytes) -> str | None:
        """The text of a line that has nothing else; `None`: it is no such line."""
        try:
            if self._name == CHAT:
                chat = _plain_chat.decode(line)
                return None if chat.done else chat.message.content
            generate = _plain_generate.decode(line)
        except extra.MALFORMED:
            return None
        return None if generate.done else generate.response

    def _start(self, answer: schema.Counts, out: list[Event]) -> None:
        if not self._started:
            self._started = True
            self._created_at = answer.created_at
            created_at = answer.created_at
            kept: Extra | None = None
            if created_at:  # more exact than seconds
                raw = Raw(msgspec.json.encode(created_at))
                kept = Extra(self._name, {"/created_at": raw})
            out.append(Start("", answer.model, answers.created_at_s(created_at), extra=kept))

    def _part(self, part: Part, out: list[Event]) -> None:
        match part:
            case Text(text=text) | Reasoning(text=text):
                if not text:
                    return
                if type(self._open) is not type(part):
                    self._close(out)
                    self._begin(replace(part, text=""), out)
                out.append(PartDelta(self._parts - 1, text))
            case ToolCall(arguments=arguments):
                self._calls += 1
                self._close(out)
                self._begin(replace(part, arguments=""), out)
                out.append(PartDelta(self._parts - 1, arguments))
                self._close(out)
            case _:
                self._close(out)
                self._begin(part, out)
                self._close(out)

    def _begin(self, part: Part, out: list[Event]) -> None:
        self._open = part
        out.append(PartStart(self._parts, part))
        self._parts += 1

    def _close(self, out: list[Event]) -> None:
        if self._open is not None:
            self._open = None
            out.append(PartEnd(self._parts - 1))

    def _finish(self, answer: schema.Counts, rest: dict[str, Raw], out: list[Event]) -> None:
        self._close(out)
        self._ended = True
        reason = answers.reason(answer.done_reason, called=self._calls > 0)
        usage = answers.usage(answer.prompt_eval_count, answer.eval_count)
        kept: Extra | None = answers.kept(answer, rest, self._name)
        out.append(Finish(reason, usage, None, kept))

    def _fail(self, failure: Failure, out: list[Event]) -> None:
        self._ended = True
        self._open = None
        out.append(Fail(failure))
