"""A wire small enough to be read at a glance, for tests of what stands on wires.

A request is `{"model":"m","stream":false,"text":"…"}`. A whole answer is
`{"model":"m","text":"…","in":1,"out":2}` or `{"error":"overloaded","message":"…"}`. A stream is
frames of one line and a blank one:

    start ID MODEL
    say WORDS
    finish REASON IN OUT
    fail KIND MESSAGE
    ping

Two instances are two wires, told apart by their name, that say the same in the same bytes.
"""

from typing import cast, get_args

import msgspec
from msgspec import Struct

from modelmux.errors import ErrorKind, InvalidRequest, ProtocolViolation
from modelmux.ir import events as ev
from modelmux.ir.parts import Text
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Encoded, Envelope, Message, Request
from modelmux.ir.response import NO_USAGE, Failure, FinishReason, Response, Summary, Usage
from modelmux.wire.base import Operation
from modelmux.wire.framing import sse


class _Body(Struct, forbid_unknown_fields=True):
    model: str
    stream: bool = False
    text: str = ""


class _Answer(Struct, rename={"input": "in", "output": "out"}, omit_defaults=True):
    model: str = ""
    text: str = ""
    input: int = 0
    output: int = 0
    error: ErrorKind | None = None
    message: str = ""


def request_body(text: str = "hello", *, model: str = "m", stream: bool = False) -> bytes:
    """A request."""
    return msgspec.json.encode(_Body(model, stream, text))


def answer_body(text: str = "hi", *, model: str = "m", tokens: tuple[int, int] = (3, 2)) -> bytes:
    """A whole answer that cost `tokens` in and out."""
    return msgspec.json.encode(_Answer(model, text, *tokens))


def error_body(kind: ErrorKind = "overloaded", message: str = "busy") -> bytes:
    """An error in place of an answer."""
    return msgspec.json.encode(_Answer(error=kind, message=message))


def frames(*lines: str) -> list[bytes]:
    """A stream in chunks of one frame."""
    return [f"{line}\n\n".encode() for line in lines]


def stream(text: str = "hi there", *, tokens: tuple[int, int] = (3, 2)) -> list[bytes]:
    """A finished stream that says `text` word by word."""
    says = [f"say {word}" for word in text.split()]
    return frames("start id m", *says, f"finish stop {tokens[0]} {tokens[1]}")


class LineWire:
    """The wire. Counts what is decoded, so that a test can tell what was not."""

    def __init__(self, name: str = "test.lines") -> None:
        self.name = name
        self.decoded_responses = 0
        self.decoders = 0

    @property
    def in_path(self) -> bool:
        return False

    @property
    def signs_ids(self) -> bool:
        return False

    def stream_type(self, envelope: Envelope) -> bytes:
        return sse.MEDIA_TYPE

    def envelope(self, body: bytes) -> Envelope:
        decoded = self._request(body)
        return Envelope(decoded.model, decoded.stream)

    def readdress(self, body: bytes, envelope: Envelope, model: str, ask_usage: bool) -> bytes:
        old, new = f'"model":"{envelope.model}"', f'"model":"{model}"'
        return body.replace(old.encode(), new.encode())

    def decode_request(self, body: bytes, operation: Operation = "chat") -> Request:
        decoded = self._request(body)
        message = Message("user", (Text(decoded.text),), bare=True)
        return Request(decoded.model, (message,), stream=decoded.stream, wire=self.name)

    def encode_request(self, request: Request, profile: Profile = UNKNOWN) -> Encoded:
        text = "".join(
            part.text
            for message in request.messages
            for part in message.parts
            if isinstance(part, Text)
        )
        return Encoded(request_body(text, model=request.model, stream=request.stream))

    def decode_response(self, body: bytes) -> Response:
        self.decoded_responses += 1
        answer = self._answer(body)
        usage = Usage(answer.input, answer.output)
        return Response("id", answer.model, (Text(answer.text),), "stop", usage)

    def encode_response(self, response: Response, envelope: Envelope) -> bytes:
        text = "".join(part.text for part in response.parts if isinstance(part, Text))
        usage = response.usage
        tokens = (usage.input_tokens, usage.output_tokens)
        return answer_body(text, model=envelope.model, tokens=tokens)

    def encode_token_count(self, input_tokens: int) -> bytes:
        return b'{"input_tokens":%d}' % input_tokens

    def summarise(self, body: bytes) -> Summary:
        answer = self._answer(body)
        if answer.error is not None:
            return Summary(failure=Failure(answer.error, answer.message))
        return Summary(Usage(answer.input, answer.output), "stop")

    def rename(self, body: bytes, model: str) -> bytes:
        answer = self._answer(body)
        return answer_body(answer.text, model=model, tokens=(answer.input, answer.output))

    def decode_error(self, status: int, body: bytes) -> Failure:
        try:
            answer = self._answer(body)
        except ProtocolViolation:
            return Failure("unavailable", repr(body), status=status)
        return Failure(answer.error or "unavailable", answer.message, status=status)

    def encode_error(self, failure: Failure) -> bytes:
        return error_body(failure.kind, failure.message)

    def error_status(self, failure: Failure) -> int:
        return failure.status

    def decoder(self) -> "Decoder":
        self.decoders += 1
        return Decoder()

    def encoder(self, envelope: Envelope) -> "Encoder":
        return Encoder(envelope)

    def relay(self, envelope: Envelope, rename: str | None) -> "Relay":
        return Relay(rename)

    def _request(self, body: bytes) -> _Body:
        try:
            return msgspec.json.decode(body, type=_Body)
        except msgspec.DecodeError as exc:
            raise InvalidRequest(str(exc)) from exc

    def _answer(self, body: bytes) -> _Answer:
        try:
            return msgspec.json.decode(body, type=_Answer)
        except msgspec.DecodeError as exc:
            raise ProtocolViolation(str(exc)) from exc


class Decoder:
    def __init__(self) -> None:
        self._held = b""
        self._is_speaking = False
        self._has_ended = False

    def feed(self, data: bytes) -> list[ev.Event]:
        *whole, self._held = (self._held + data).split(b"\n\n")
        return [event for frame in whole for event in self._frame(frame.decode())]

    def finish(self) -> list[ev.Event]:
        if self._has_ended:
            return []
        self._has_ended = True
        return [ev.Fail(Failure("unavailable", "cut", "interrupted", status=502))]

    def _frame(self, frame: str) -> list[ev.Event]:
        word, _, rest = frame.partition(" ")
        if self._has_ended:
            return []
        match word:
            case "ping":
                return [ev.Ping()]
            case "start":
                id_, _, model = rest.partition(" ")
                return [ev.Start(id_, model)]
            case "say":
                begin: list[ev.Event] = [] if self._is_speaking else [ev.PartStart(0, Text())]
                self._is_speaking = True
                return [*begin, ev.PartDelta(0, rest)]
            case "finish":
                self._has_ended = True
                reason, input_, output = rest.split()
                end: list[ev.Event] = [ev.PartEnd(0)] if self._is_speaking else []
                usage = Usage(int(input_), int(output))
                return [*end, ev.Finish(cast("FinishReason", reason), usage)]
            case "fail":
                return self._fail(rest)
            case _:
                return self._fail(f"internal unknown frame {frame!r}")

    def _fail(self, rest: str) -> list[ev.Event]:
        self._has_ended = True
        kind, _, message = rest.partition(" ")
        assert kind in get_args(ErrorKind), kind
        return [ev.Fail(Failure(cast("ErrorKind", kind), message))]


class Encoder:
    def __init__(self, envelope: Envelope) -> None:
        self._model = envelope.model

    def encode(self, event: ev.Event) -> bytes:
        line = ""
        match event:
            case ev.Start(id=id_):
                line = f"start {id_} {self._model}"
            case ev.PartDelta(text=text):
                line = f"say {text}"
            case ev.Finish(reason=reason, usage=usage):
                line = f"finish {reason} {usage.input_tokens} {usage.output_tokens}"
            case ev.Fail(failure=failure):
                line = f"fail {failure.kind} {failure.message}"
            case _:
                pass
        return f"{line}\n\n".encode() if line else b""


class Relay:
    def __init__(self, rename: str | None) -> None:
        self.summary = Summary()
        self._rename = rename
        self._decoder = Decoder()
        self._usage = NO_USAGE

    def feed(self, data: bytes) -> bytes:
        for event in self._decoder.feed(data):
            match event:
                case ev.Finish(reason=reason, usage=usage):
                    self.summary = Summary(usage, reason)
                case ev.Fail(failure=failure):
                    self.summary = Summary(failure=failure)
                case _:
                    pass
        return data

    def finish(self) -> bytes:
        ending = self._decoder.finish()
        return self.fail(ending[-1].failure) if ending and isinstance(ending[-1], ev.Fail) else b""

    def fail(self, failure: Failure) -> bytes:
        if self.summary.reason is not None or self.summary.failure is not None:
            return b""
        self.summary = Summary(failure=failure)
        return f"fail {failure.kind} {failure.message}\n\n".encode()
