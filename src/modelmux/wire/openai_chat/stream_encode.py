"""Events into streams of `chat.completion.chunk`.

Nearly every event is a piece of text. So when a part begins, the bytes before and after each of
its pieces are made once, and a piece costs one small encoding.
"""

import re
from collections.abc import Mapping
from typing import assert_never

import msgspec
from msgspec import Raw

from modelmux.ir.events import Event, Fail, Finish, PartDelta, PartEnd, PartStart, Ping, Start
from modelmux.ir.parts import Blob, Citation, Extra, Part, Reasoning, Refusal, Text, ToolCall, Uri
from modelmux.ir.request import Envelope
from modelmux.ir.response import NO_USAGE
from modelmux.wire.extra import Fields, unescape
from modelmux.wire.framing import sse
from modelmux.wire.openai import errors, usage
from modelmux.wire.openai_chat import audio, calls, citations, reasoning, responses
from modelmux.wire.openai_chat.content import Json
from modelmux.wire.openai_chat.schema import NAME

DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"
"""A comment: the API has no event that says nothing."""

_REPEATED = ("system_fingerprint", "service_tier", "provider")
"""Fields that stand in every chunk; others stand in one."""

_ELSEWHERE = {*_REPEATED, "usage"}
"""Fields that the last chunk of the answer does not have."""

_TOP = re.compile(r"/([^/]+)")
_CHOICE = re.compile(r"/choices/0/([^/]+)")
_MESSAGE = re.compile(r"/choices/0/message/([^/]+)")


_PIECE = "\x00"
"""Stands for the text in the JSON of a delta, from which the bytes round it are made."""
_ENCODED_PIECE = msgspec.json.encode(_PIECE)

_NOTHING: Fields = {}


class Encoder:
    """One stream's events in, its bytes out. Says the role once, and first."""

    def __init__(self, envelope: Envelope) -> None:
        """Answer a caller who asked with `envelope`."""
        self._model = envelope.model
        self._include_usage = envelope.include_usage
        self._legacy = calls.LEGACY in envelope.spelling
        self._head = self._tail = b""  # what every chunk begins and ends with
        self._part: Part | None = None  # the open part, as it began
        self._before = self._after = b""  # round each of its pieces; empty: it is not shown
        self._tool = -1  # index of the last tool call
        self._length = 0  # characters of text so far
        self._start = 0  # where the open part's text begins
        self._pieces: list[str] = []  # the open part's text so far, where it is needed at its end
        self._signature = ""
        self._citations: list[Citation] = []
        self._called = False  # the open call has arguments

    def encode(self, event: Event) -> bytes:
        """The bytes for `event`, in whole frames."""
        match event:
            case PartDelta():
                return self._delta(event)
            case PartStart(part=part):
                return self._begin(part)
            case PartEnd():
                return self._end()
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
        head: Json = {
            "id": event.id,
            "object": "chat.completion.chunk",
            "created": event.created_at_s,
            "model": self._model or event.model,
        }
        once = dict(_matching(_TOP, event.extra))
        head.update({name: once.pop(name) for name in _REPEATED if name in once})
        self._head = b"data: " + msgspec.json.encode(head)[:-1]
        # The API sends the field in every chunk once it was asked for.
        self._tail = b',"usage":null}\n\n' if self._include_usage else b"}\n\n"
        return self._chunk({"role": "assistant", "content": ""}, more=once)

    def _begin(self, part: Part) -> bytes:
        self._part = part
        self._before = self._after = b""
        match part:
            case Text(text=text):
                field: Json = {"content": _PIECE}
                if audio.is_transcript(part):
                    field = {"audio": {"transcript": _PIECE}}
                self._start, self._citations = self._length, list(part.citations)
                return self._show(field, text)
            case Refusal(text=text):
                return self._show({"refusal": _PIECE}, text)
            case Reasoning(text=text):
                self._pieces, self._signature = [], part.signature or ""
                return self._show({_reasoning_field(part): _PIECE}, text)
            case ToolCall():
                return self._begin_call(part)
            case Blob(modality="audio"):
                self._frame_pieces({"audio": {"data": _PIECE}})
                return self._chunk({"audio": _sound(part)})
            case Blob(modality="image") | Uri(modality="image"):
                return self._chunk({"images": [responses.image_part(part)]})
            case _:
                return b""  # what another provider ran for itself: no client could read it

    def _begin_call(self, part: ToolCall) -> bytes:
        self._tool += 1
        self._called = bool(part.arguments)
        if self._legacy:
            if self._tool > 0:
                return b""  # the older form has room for one call
            self._frame_pieces({"function_call": {"arguments": _PIECE}})
            function = {"name": part.name, "arguments": part.arguments}
            return self._chunk({"function_call": function})
        index: Json = {"index": self._tool}
        if part.custom:
            self._frame_pieces({"tool_calls": [{**index, "custom": {"input": _PIECE}}]})
            custom = {"name": part.name, "input": part.arguments}
            call = {**index, "id": part.id, "type": "custom", "custom": custom}
        else:
            self._frame_pieces({"tool_calls": [{**index, "function": {"arguments": _PIECE}}]})
            function = {"name": part.name, "arguments": part.arguments}
            call = {**index, "id": part.id, "type": "function", "function": function}
        return self._chunk({"tool_calls": [call]})

    def _delta(self, event: PartDelta) -> bytes:
        if event.citation is not None:
            self._citations.append(event.citation)
        self._signature += event.signature
        text = event.text
        if not text or not self._before:
            return b""
        match self._part:
            case Text():
                self._length += len(text)
            case Reasoning(origin=origin):
                if origin != NAME:
                    self._pieces.append(text)
            case _:
                self._called = True
        return self._before + msgspec.json.encode(text) + self._after

    def _end(self) -> bytes:
        match self._part:
            case Text() if self._citations:
                found = [citations.encode(c, self._start, self._length) for c in self._citations]
                shown = [annotation for annotation in found if annotation is not None]
                self._citations = []
                return self._chunk({"annotations": shown}) if shown else b""
            case Reasoning() as part:
                return self._sign(part)
            case ToolCall(custom=False) if not self._called and self._before:
                # A call without arguments may be streamed without any; the API's have some.
                return self._before + msgspec.json.encode(calls.NO_ARGUMENTS) + self._after
            case _:
                return b""

    def _sign(self, part: Reasoning) -> bytes:
        """What the origin of reasoning wants back, whole, so that clients need only collect it."""
        text = "".join(self._pieces)
        detail = reasoning.to_detail(
            Reasoning(text, self._signature or None, part.encrypted, part.origin)
        )
        self._signature = ""
        return b"" if detail is None else self._chunk({"reasoning_details": [detail]})

    def _finish(self, event: Finish) -> bytes:
        out = b""
        if message := dict(_matching(_MESSAGE, event.extra)):
            out = self._chunk(message)
        reason = usage.reason_name(event.reason, called=self._tool >= 0, legacy=self._legacy)
        choice: Json = {"index": 0, "delta": {}, "finish_reason": reason}
        own = _matching(_CHOICE, event.extra)
        choice.update({name: raw for name, raw in own.items() if name != "message"})
        more: Json = {"choices": [choice]}
        top = _matching(_TOP, event.extra)
        more.update({name: raw for name, raw in top.items() if name not in _ELSEWHERE})
        out += self._head + b"," + msgspec.json.encode(more)[1:-1] + self._tail
        if self._include_usage and event.usage != NO_USAGE:
            last = {"choices": (), "usage": top.get("usage") or usage.encode(event.usage)}
            out += self._head + b"," + msgspec.json.encode(last)[1:] + b"\n\n"
        return out + DONE

    def _show(self, field: Json, text: str) -> bytes:
        """Make the frame of the open part's pieces, and show what it begins with."""
        self._frame_pieces(field)
        return self._delta(PartDelta(0, text)) if text else b""

    def _frame_pieces(self, delta: Json) -> None:
        before, _, after = msgspec.json.encode(delta).partition(_ENCODED_PIECE)
        self._before = self._head + b',"choices":[{"index":0,"delta":' + before
        self._after = after + b',"finish_reason":null}]' + self._tail

    def _chunk(self, delta: Mapping[str, object], more: Mapping[str, Raw] = _NOTHING) -> bytes:
        body: Json = {"choices": [{"index": 0, "delta": delta, "finish_reason": None}], **more}
        return self._head + b"," + msgspec.json.encode(body)[1:-1] + self._tail


def _matching(pattern: re.Pattern[str], kept: Extra | None) -> Fields:
    """Fields of this wire whose pointer is of a pattern, by their name."""
    if kept is None or kept.wire != NAME:
        return _NOTHING
    found = ((pattern.fullmatch(pointer), raw) for pointer, raw in kept.fields.items())
    return {unescape(match.group(1)): raw for match, raw in found if match}


def _reasoning_field(part: Reasoning) -> str:
    kept = part.extra
    short = kept is not None and kept.wire == NAME and reasoning.CONTENT not in kept.fields
    if kept is not None and short and reasoning.SHORT in kept.fields:
        return "reasoning"
    return "reasoning_content"


def _sound(part: Blob) -> Json:
    out = audio.encode(part, "")
    del out["transcript"]
    return out
