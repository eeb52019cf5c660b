"""Events to streams of the API: each piece an answer of its own, with what is new in it.

Function calls are held until they are complete, because the API sends them whole. The end of the
stream is its last piece, which has the finish reason and the counts.
"""

from typing import assert_never

import msgspec
from msgspec.structs import replace

from modelmux.ir.events import (
    Event,
    Fail,
    Finish,
    PartDelta,
    PartEnd,
    PartStart,
    Ping,
    Start,
    grow,
)
from modelmux.ir.parts import Citation, Extra, Part, Reasoning, Refusal, Text
from modelmux.ir.request import Envelope
from modelmux.ir.response import NO_USAGE
from modelmux.wire import extra
from modelmux.wire.framing import jsonarray
from modelmux.wire.gemini import counts, errors, finish, foreign, grounding, part_encode
from modelmux.wire.gemini.part_encode import Piece
from modelmux.wire.gemini.response import AS_ARRAY, answer_piece
from modelmux.wire.gemini.schema import NAME

_json = msgspec.json.encode

_TEXT = b'{"candidates":[{"content":{"parts":[{"text":'
_NOTHING: Piece = {"parts": [{"text": ""}], "role": "model"}
"""Content of a piece that says nothing: Google's SDK forgets an answer with a piece without any
(`chats.py` of `google-genai` 3.4.0, read 2026-11-20)."""

_END_TEXT = b'}],"role":"model"},"index":0}]'
_END_THOUGHT = b',"thought":true' + _END_TEXT


class Encoder:
    """A `StreamEncoder` for a caller who asked with an envelope."""

    def __init__(self, envelope: Envelope) -> None:
        self._model = envelope.model
        self._array = jsonarray.Encoder() if AS_ARRAY in envelope.spelling else None
        self._ending = b"}"  # what stands behind the candidates in each piece
        self._open: Part | None = None
        self._end_delta = b""  # of text or thought, while these are open
        self._held: list[PartDelta] = []
        self._citations: list[Citation] = []

    def encode(self, event: Event) -> bytes:
        match event:
            case PartDelta(text=text):
                if self._end_delta:
                    if event.citation is not None or event.signature:
                        self._note(event)
                    return self._said(text) if text else b""
                self._held.append(event)
                return b""
            case PartStart(part=part):
                return self._start_part(part)
            case PartEnd():
                return self._end_part()
            case Start():
                return self._start(event)
            case Finish():
                return self._finish(event)
            case Fail(failure=failure):
                return self._framed(errors.encode(failure)) + self._end()
            case Ping():  # the API has none, and its SDK takes no comments
                return b""
            case _:
                assert_never(event)

    def _said(self, text: str) -> bytes:
        """More of the text or the thought that is open."""
        data = _TEXT + _json(text) + self._end_delta
        if self._array is not None:
            return self._array.element(data)
        return b"data: %b\r\n\r\n" % data  # what is encoded here has no line ends

    def _framed(self, data: bytes) -> bytes:
        if self._array is not None:
            return self._array.element(data)
        if b"\n" in data or b"\r" in data:  # raw JSON keeps the line ends it came with
            data = msgspec.json.format(data, indent=-1)
        return b"data: %b\r\n\r\n" % data

    def _end(self) -> bytes:
        return self._array.end() if self._array is not None else b""

    def _start(self, event: Start) -> bytes:
        self._model = self._model or event.model
        fields: Piece = {}
        if self._model:
            fields["modelVersion"] = self._model
        if event.id:
            fields["responseId"] = event.id
        self._ending = b"," + _json(fields)[1:] if fields else b"}"
        return b""

    def _start_part(self, part: Part) -> bytes:
        self._open, self._held, self._citations = part, [], []
        self._end_delta = b""
        match part:
            case Text(text=text, extra=None) | Refusal(text=text, extra=None):
                self._end_delta = _END_TEXT + self._ending
                if isinstance(part, Text):
                    self._citations = list(part.citations)
            case Reasoning(text=text, encrypted=None) if not part_encode.is_attached(part):
                self._end_delta = _END_THOUGHT + self._ending
            case _:
                return b""
        return self._said(text) if text else b""

    def _note(self, event: PartDelta) -> None:
        """Keep what is said at the end of the part."""
        if event.citation is not None:
            self._citations.append(event.citation)
        if event.signature:
            self._held.append(PartDelta(event.index, "", event.signature))

    def _end_part(self) -> bytes:
        part, self._open = self._open, None
        streamed, self._end_delta = bool(self._end_delta), b""
        if part is None:
            return b""
        if not streamed:
            return self._whole(grow(part, self._held))
        if isinstance(part, Reasoning):
            signed = grow(replace(part, text=""), self._held)
            return self._whole(signed) if _says(signed) else b""
        cited = grounding.encode(self._citations)
        if cited is None:
            return b""
        return self._candidate({"content": _NOTHING, "citationMetadata": cited, "index": 0})

    def _whole(self, part: Part) -> bytes:
        """A part in one piece."""
        if isinstance(part, Reasoning) and not _says(part):
            return b""
        piece = answer_piece(part)
        if piece is None:
            return b""
        content: Piece = {"parts": [piece], "role": "model"}
        return self._candidate({"content": content, "index": 0})

    def _candidate(self, candidate: Piece) -> bytes:
        return self._framed(_json({"candidates": [candidate]})[:-1] + self._ending)

    def _finish(self, event: Finish) -> bytes:
        reason = finish.said(event.reason)
        candidate: Piece = {"content": _NOTHING, "finishReason": reason, "index": 0}
        body: Piece = {"candidates": [candidate]}
        kept = event.extra
        if kept is not None and kept.wire == NAME:
            fields = dict(kept.fields)
            if "/promptFeedback" in fields and "/candidates/0/finishReason" not in fields:
                body = {}  # the prompt was blocked: there is no answer
                fields = {at: raw for at, raw in fields.items() if "/candidates" not in at}
            extra.merge(body, Extra(NAME, fields), NAME)
        if event.usage is not NO_USAGE:
            body["usageMetadata"] = counts.encode(event.usage)
        data = _json(body)
        opening = data[:-1] if body else b"{"
        ending = self._ending if body else self._ending.removeprefix(b",")
        return self._framed(opening + ending) + self._end()


def _says(part: Part) -> bool:
    """Whether a thought has text, or a signature."""
    if not isinstance(part, Reasoning):
        return True
    return bool(part.text) or foreign.signature(part) is not None
