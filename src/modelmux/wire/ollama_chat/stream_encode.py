"""Events to streams of lines, for both kinds of answers.

Calls are held until they are complete, because the API sends them whole.
"""

from typing import assert_never

import msgspec

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
from modelmux.ir.parts import Part, Reasoning, Refusal, Text
from modelmux.ir.request import Envelope
from modelmux.wire import extra
from modelmux.wire.framing import ndjson
from modelmux.wire.ollama_chat import answers, errors
from modelmux.wire.ollama_chat.response import add
from modelmux.wire.ollama_chat.schema import CHAT
from modelmux.wire.ollama_chat.settings import Body

_json = msgspec.json.encode

_END = b',"done":false}\n'


class Encoder:
    """A `StreamEncoder` on the wire `name`, for a caller who asked with an envelope."""

    def __init__(self, name: str, envelope: Envelope) -> None:
        self._name = name
        self._model = envelope.model
        self._created_at = answers.created_at(0)
        self._head = b""  # what stands before the words in each line
        self._open: Part | None = None
        self._before = self._behind = b""  # round the words of the part that is open
        self._held: list[PartDelta] = []

    def encode(self, event: Event) -> bytes:
        match event:
            case PartDelta(text=text):
                if self._before:
                    return self._before + _json(text) + self._behind if text else b""
                self._held.append(event)
                return b""
            case PartStart(part=part):
                return self._start_part(part)
            case PartEnd():
                return self._end_part()
            case Start():
                self._start(event)
                return b""
            case Finish():
                return self._finish(event)
            case Fail(failure=failure):
                return ndjson.encode(errors.encode(failure))
            case Ping():  # the API has none
                return b""
            case _:
                assert_never(event)

    def _start(self, event: Start) -> None:
        self._model = self._model or event.model
        self._created_at = answers.created_at(event.created_at_s)
        kept = event.extra
        if kept is not None and kept.wire == self._name and "/created_at" in kept.fields:
            self._created_at = msgspec.json.decode(kept.fields["/created_at"], type=str)
        self._head = _json({"model": self._model, "created_at": self._created_at})[:-1]

    def _start_part(self, part: Part) -> bytes:
        self._open, self._held = part, []
        self._before = b""
        match part:
            case Text(text=text) | Refusal(text=text):
                self._round("content", "response")
            case Reasoning(text=text, encrypted=None):
                self._round("thinking", "thinking")
            case _:
                return b""
        return self._before + _json(text) + self._behind if text else b""

    def _round(self, in_chat: str, in_generate: str) -> None:
        """Learn what stands round the words of a part."""
        if self._name == CHAT:
            empty = b'"content":"",' if in_chat != "content" else b""
            words = b',"message":{"role":"assistant",' + empty + _json(in_chat) + b":"
            self._behind = b"}" + _END
        else:
            empty = b'"response":"",' if in_generate != "response" else b""
            words = b"," + empty + _json(in_generate) + b":"
            self._behind = _END
        self._before = self._head + words

    def _end_part(self) -> bytes:
        part, self._open = self._open, None
        streamed, self._before = bool(self._before), b""
        if part is None or streamed:
            return b""
        message: Body = {"role": "assistant", "content": ""}
        add(grow(part, self._held), message)
        if len(message) == 2 and not message["content"]:
            return b""
        return self._line(self._said(message), {"done": False})

    def _said(self, message: Body) -> Body:
        return {"message": message} if self._name == CHAT else {"response": message["content"]}

    def _line(self, said: Body, more: Body) -> bytes:
        data = self._head + b"," + _json({**said, **more})[1:]
        if b"\n" in data or b"\r" in data:  # raw JSON keeps the line ends it came with
            data = msgspec.json.format(data, indent=-1)
        return ndjson.encode(data)

    def _finish(self, event: Finish) -> bytes:
        body: Body = {
            "model": self._model,
            "created_at": self._created_at,
            **self._said({"role": "assistant", "content": ""}),
            **answers.ending(event.reason, event.usage),
        }
        data = _json(extra.merge(body, event.extra, self._name))
        if b"\n" in data or b"\r" in data:
            data = msgspec.json.format(data, indent=-1)
        return ndjson.encode(data)
