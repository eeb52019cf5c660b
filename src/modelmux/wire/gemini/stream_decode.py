"""Streams of `generateContent` answers to events.

Theory of operation. Each piece of the stream is an answer of its own that holds what is new: its
parts go on with the part that is open where both are text, or both are thought, and else begin
anew. Function calls come whole. Counts are of all so far, and the last stand; so the counts are
kept as they came and read at the end.

Nothing marks the end but the end: a stream that closes after a finish reason is finished, any
other was cut. A blocked prompt is an answer without candidates, and is finished too.

Pieces are server-sent events, or, from servers that were not asked for these, the elements of
one JSON array: the first byte tells.
"""

import re
from collections.abc import Callable, Mapping
from typing import assert_never

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from modelmux.errors import ProtocolViolation
from modelmux.ir.events import Event, Fail, Finish, PartDelta, PartEnd, PartStart, Ping, Start
from modelmux.ir.parts import (
    Blob,
    Extra,
    File,
    Generic,
    Part,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.response import NO_USAGE, Failure
from modelmux.wire import extra
from modelmux.wire.framing import jsonarray, sse
from modelmux.wire.gemini import (
    calls,
    counts,
    errors,
    finish,
    grounding,
    part_decode,
    schema,
)
from modelmux.wire.gemini.schema import NAME

INTERRUPTED = Failure(
    "unavailable",
    "the stream ended before the answer was finished",
    code="interrupted",
    status=502,
)

_PING = Ping()

_lone_piece = re.compile(rb"data: (\{[^\r\n]*)(?:\r\n\r\n|\n\n)").fullmatch
"""What most reads are: one piece, with the line ends that Google writes or with plain ones."""


class _PlainPart(Struct, forbid_unknown_fields=True):
    text: str
    thought: bool = False


class _PlainContent(Struct, forbid_unknown_fields=True):
    parts: tuple[_PlainPart]
    role: str = ""


class _PlainCandidate(Struct, forbid_unknown_fields=True):
    content: _PlainContent
    index: int = 0


class _PlainChunk(Struct, rename="camel", forbid_unknown_fields=True):
    """What most pieces are: a little more text."""

    candidates: tuple[_PlainCandidate]
    usage_metadata: Raw = Raw()
    model_version: str = ""
    response_id: str = ""


_plain = msgspec.json.Decoder(_PlainChunk)
_chunk = extra.Schema(schema.GenerateContentResponse, ProtocolViolation)
_candidate = extra.Schema(schema.Candidate, ProtocolViolation)
_usage = msgspec.json.Decoder(schema.Summary)
_peek = msgspec.json.Decoder(schema.CandidateSummary)
_reader = part_decode.Reader(ProtocolViolation, keeps_signatures_in_ids=True)


class Decoder:
    """A `StreamDecoder`."""

    def __init__(self) -> None:
        self._frames = sse.Decoder()
        self._array: jsonarray.Decoder | None = None
        self._head: bytes = b""  # white space before the first byte that tells the framing
        self._framed = False
        self._started = self._ended = self._blocked = self._called = False
        self._ids: Callable[[], str] = lambda: calls.made("call", 0)
        self._open: Part | None = None
        self._parts = 0
        self._text: list[str] = []
        self._finish_reason: str | None = None
        self._usage = Raw()
        self._fields: dict[str, Raw] = {}

    def feed(self, data: bytes) -> list[Event]:
        out: list[Event] = []
        if self._ended:
            return out
        try:
            if not self._framed:
                data = self._frame(data)
            if self._open is not None and self._frames.between and (lone := _lone_piece(data)):
                self._read(lone[1], out)
            elif self._array is not None:
                for element in self._array.feed(data):
                    self._read(element, out)
            else:
                for frame in self._frames.feed(data):
                    self._on_frame(frame, out)
        except ProtocolViolation as exc:
            self._fail(Failure("unavailable", exc.message, exc.code, status=exc.status), out)
        return out

    def finish(self) -> list[Event]:
        out: list[Event] = []
        if self._ended:
            return out
        cut = self._array is not None and not self._array.closed
        try:
            for frame in self._frames.finish():
                self._on_frame(frame, out)
        except ProtocolViolation:  # the stream broke off inside its last frame
            pass
        if not self._ended:
            if cut or (self._finish_reason is None and not self._blocked):
                self._fail(INTERRUPTED, out)
            else:
                self._end(out)
        return out

    def _frame(self, data: bytes) -> bytes:
        """Learn how the stream is framed; what to read of it so far."""
        data = self._head + data
        stripped = data.lstrip(b" \t\r\n")
        if not stripped:
            self._head = data
            return b""
        self._framed = True
        if stripped[:1] == b"[":
            self._array = jsonarray.Decoder()
        return data

    def _on_frame(self, frame: sse.SSE, out: list[Event]) -> None:
        if self._ended:
            return
        if frame.event == sse.COMMENT:
            out.append(_PING)
        else:
            self._read(frame.data, out)

    def _read(self, data: bytes, out: list[Event]) -> None:
        if self._ended:
            return
        if self._open is not None:
            try:
                chunk = _plain.decode(data)
            except extra.MALFORMED:
                pass  # it is no such piece: read it in full
            else:
                self._usage = chunk.usage_metadata or self._usage
                part = chunk.candidates[0].content.parts[0]
                if chunk.candidates[0].index == 0:
                    self._say(Reasoning if part.thought else Text, part.text, out)
                return
        try:
            self._read_whole(data, out)
        except extra.MALFORMED as exc:  # inside of what was taken as it came
            raise extra.invalid(exc, "", ProtocolViolation) from None

    def _read_whole(self, data: bytes, out: list[Event]) -> None:
        if data.startswith(b"[") and b'"error"' in data:  # an error, wrapped in a list
            self._fail(errors.decode(200, data), out)
            return
        chunk, unknown = _chunk.decode(data)
        if "/error" in unknown:
            self._fail(errors.decode(200, data), out)
            return
        self._start(chunk, out)
        if chunk.usage_metadata is not None:
            self._usage = _usage.decode(data).usage_metadata
        for pointer, raw in unknown.items():
            if not pointer.startswith("/usageMetadata/"):
                self._fields[pointer] = raw
        if chunk.prompt_feedback:
            self._fields["/promptFeedback"] = chunk.prompt_feedback
            self._blocked = self._blocked or not chunk.candidates
        for raw in chunk.candidates or ():
            if _index(raw) == 0:  # of several answers, the first is followed
                self._answer(*_candidate.decode(raw, "/candidates/0"), out)

    def _start(self, chunk: schema.GenerateContentResponse, out: list[Event]) -> None:
        if self._started:
            return
        self._started = True
        id_ = chunk.response_id or ""
        numbers = iter(range(1 << 30))
        self._ids = lambda: calls.made(id_ or "call", next(numbers))
        out.append(Start(id_, chunk.model_version or ""))

    def _answer(
        self, candidate: schema.Candidate, unknown: Mapping[str, Raw], out: list[Event]
    ) -> None:
        content = candidate.content
        parts: list[Part] = []
        if content is not None and content.parts:
            parts = _reader.parts(content.parts, "/candidates/0/content/parts", self._ids)
        grounded = bool(candidate.grounding_metadata or candidate.citation_metadata)
        for part in parts:
            if grounded and not isinstance(part, Text):
                self._cite(candidate, out)
                grounded = False
            self._part(part, out)
        if grounded:
            self._cite(candidate, out)
        self._keep(candidate, unknown)
        if candidate.finish_reason is not None:
            self._finish_reason = candidate.finish_reason

    def _keep(self, candidate: schema.Candidate, unknown: Mapping[str, Raw]) -> None:
        """Keep what the neutral model has no word for; later pieces replace earlier ones."""
        self._fields.update((f"/candidates/0{at}", raw) for at, raw in unknown.items())
        for name, value in (
            ("groundingMetadata", candidate.grounding_metadata),
            ("citationMetadata", candidate.citation_metadata),
            ("safetyRatings", candidate.safety_ratings),
            ("avgLogprobs", candidate.avg_logprobs),
        ):
            if value:
                self._fields[f"/candidates/0/{name}"] = value

    def _part(self, part: Part, out: list[Event]) -> None:
        match part:
            case Text(text=text, extra=None):
                self._say(Text, text, out)
            case Reasoning(text=text, signature=None, encrypted=None, origin=origin, extra=None):
                if origin == NAME:
                    self._say(Reasoning, text, out)
                else:
                    self._whole(part, out)
            case Reasoning(text=text, signature=signature) if text and isinstance(
                self._open, Reasoning
            ):
                out.append(PartDelta(self._parts - 1, text, signature or ""))
                self._close(out)
            case ToolCall(arguments=arguments):
                self._called = True
                self._close(out)
                index = self._begin(replace(part, arguments=""), out)
                out.append(PartDelta(index, arguments))
                self._close(out)
            case (
                Text()
                | Reasoning()
                | Refusal()
                | Blob()
                | Uri()
                | File()
                | Generic()
                | ToolResult()
                | ServerToolCall()
                | ServerToolResult()
            ):
                self._whole(part, out)
            case _:
                assert_never(part)

    def _say(self, kind: "type[Text] | type[Reasoning]", text: str, out: list[Event]) -> None:
        """More text of a kind: of the part that is open, or of a new one."""
        if not text:
            return
        if type(self._open) is not kind:
            self._close(out)
            self._begin(Text() if kind is Text else Reasoning(origin=NAME), out)
        if kind is Text:
            self._text.append(text)
        out.append(PartDelta(self._parts - 1, text))

    def _whole(self, part: Part, out: list[Event]) -> None:
        self._close(out)
        self._begin(part, out)
        self._close(out)

    def _begin(self, part: Part, out: list[Event]) -> int:
        self._open = part
        out.append(PartStart(self._parts, part))
        self._parts += 1
        return self._parts - 1

    def _close(self, out: list[Event]) -> None:
        if self._open is not None:
            self._open = None
            out.append(PartEnd(self._parts - 1))

    def _cite(self, candidate: schema.Candidate, out: list[Event]) -> None:
        """Tell where the text comes from, if it is still open."""
        if not isinstance(self._open, Text):
            return
        text = "".join(self._text)
        cited = grounding.decode(candidate.grounding_metadata, candidate.citation_metadata, text)
        out += [PartDelta(self._parts - 1, citation=citation) for citation in cited]

    def _end(self, out: list[Event]) -> None:
        if not self._started:
            self._start(schema.GenerateContentResponse(), out)
        self._close(out)
        said = self._finish_reason or "SAFETY"
        reason = finish.neutral(said, called=self._called)
        spelled = finish.spelling(self._finish_reason, finish.neutral(said))
        if spelled is not None:
            self._fields["/candidates/0/finishReason"] = spelled
        try:
            usage = counts.read(self._usage) if self._usage else NO_USAGE
        except ProtocolViolation:  # counts that cannot be read are none
            usage = NO_USAGE
        self._ended = True
        extra_ = Extra(NAME, self._fields) if self._fields else None
        out.append(Finish(reason, usage, None, extra_))

    def _fail(self, failure: Failure, out: list[Event]) -> None:
        self._ended = True
        self._open = None
        out.append(Fail(failure))


def _index(raw: Raw) -> int:
    try:
        return _peek.decode(raw).index
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "/candidates", ProtocolViolation) from None
