"""Events into streams of `text_completion` chunks: of an answer, its text."""

from typing import assert_never

import msgspec
from msgspec import Raw

from modelmux.ir.events import Event, Fail, Finish, PartDelta, PartEnd, PartStart, Ping, Start
from modelmux.ir.parts import Refusal, Text
from modelmux.ir.request import Envelope
from modelmux.ir.response import NO_USAGE
from modelmux.wire.framing import sse
from modelmux.wire.openai import errors, usage
from modelmux.wire.openai.chunks import DONE
from modelmux.wire.openai_completions import response
from modelmux.wire.openai_completions.schema import NAME

PING = b": ping\n\n"

_DONE = sse.encode(DONE)
_AFTER = b',"index":0,"logprobs":null,"finish_reason":null}]'


class Encoder:
    """One stream's events in, its bytes out."""

    def __init__(self, envelope: Envelope) -> None:
        """Answer a caller who asked with `envelope`."""
        self._envelope = envelope
        self._head = self._before = self._tail = b""
        self._talking = False  # the open part is text

    def encode(self, event: Event) -> bytes:
        """The bytes for `event`, in whole frames."""
        match event:
            case PartDelta(text=text):
                return self._piece(text) if text and self._talking else b""
            case PartStart(part=part):
                self._talking = isinstance(part, Text | Refusal)
                text = response.said(part)
                return self._piece(text) if text else b""
            case PartEnd():
                return b""
            case Start():
                return self._open(event)
            case Ping():
                return PING
            case Finish():
                return self._finish(event)
            case Fail(failure=failure):
                return sse.encode(errors.encode(failure))
            case _:
                assert_never(event)

    def _open(self, event: Start) -> bytes:
        head = {
            "id": event.id,
            "object": response.OBJECT,
            "created": event.created_at_s,
            "model": self._envelope.model or event.model,
        }
        self._head = b"data: " + msgspec.json.encode(head)[:-1]
        self._before = self._head + b',"choices":[{"text":'
        self._tail = b',"usage":null}\n\n' if self._envelope.include_usage else b"}\n\n"
        return self._piece("")

    def _piece(self, text: str) -> bytes:
        return self._before + msgspec.json.encode(text) + _AFTER + self._tail

    def _finish(self, event: Finish) -> bytes:
        own: dict[str, Raw] = {}
        if event.extra is not None and event.extra.wire == NAME:
            own = dict(event.extra.fields)
        name: object = response.ending(event.reason)
        choice = {
            "text": "",
            "index": 0,
            "logprobs": None,
            "finish_reason": own.get("/choices/0/finish_reason", name),
        }
        out = self._head + b"," + msgspec.json.encode({"choices": [choice]})[1:-1] + self._tail
        if self._envelope.include_usage and event.usage != NO_USAGE:
            last = {"choices": (), "usage": own.get("/usage") or usage.encode(event.usage)}
            out += self._head + b"," + msgspec.json.encode(last)[1:] + b"\n\n"
        return out + _DONE
