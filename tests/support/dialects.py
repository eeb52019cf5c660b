"""What the two APIs look like on the wire, written by hand from their documentation.

Nothing here is the gateway's own: a test that compares the gateway with these bodies and streams
compares it with what the APIs' own documents show.

- https://developers.openai.com/api/docs/api-reference/chat, read 2026-11-20
- https://platform.claude.com/docs/en/api/messages and …/build-with-claude/streaming,
  read 2026-11-20
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec
from typing_extensions import override

WORDS = ("It rains", " in Paris", ", naïvely ☂.")
"""What the model says here, in the pieces in which it is streamed."""

TEXT = "".join(WORDS)

INPUT_TOKENS, OUTPUT_TOKENS = 12, 7


class Told(NamedTuple):
    """An error as a caller reads it."""

    type: str
    code: str | None
    message: str
    param: str | None = None


class Dialect(Protocol):
    """One API: how it is asked, and how it answers."""

    @property
    def name(self) -> str:
        """Of the API's maker, which is also the type of provider."""
        ...

    @property
    def path(self) -> str: ...

    @property
    def model(self) -> str: ...

    @property
    def end(self) -> bytes:
        """What only a stream that is complete has."""
        ...

    def ask(self, model: str, text: str = "hello", **more: object) -> dict[str, object]:
        """A request."""
        ...

    def answer(self, model: str = "", text: str = TEXT) -> bytes:
        """A whole answer."""
        ...

    def frames(self, model: str = "", words: Sequence[str] = WORDS) -> list[bytes]:
        """A stream, usage included, one event each."""
        ...

    def error(self, type_: str, message: str) -> bytes:
        """An error's body."""
        ...

    def error_frame(self, type_: str, message: str) -> bytes:
        """An error in a stream."""
        ...

    def text_of(self, body: bytes) -> str:
        """What a whole answer says."""
        ...

    def text_of_stream(self, body: bytes) -> str:
        """What a stream says, as far as it goes."""
        ...

    def told(self, body: bytes) -> Told:
        """What an error's body tells. Fails if it is not of the API's shape."""
        ...

    def told_in_stream(self, body: bytes) -> Told | None:
        """What the error event of a stream tells, if there is one."""
        ...


class _OpenaiDelta(msgspec.Struct, frozen=True):
    content: str | None = None


class _OpenaiChoice(msgspec.Struct, frozen=True):
    message: _OpenaiDelta = _OpenaiDelta()
    delta: _OpenaiDelta = _OpenaiDelta()


class _OpenaiError(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    message: str
    type: str
    param: str | None
    code: str | None


class _OpenaiBody(msgspec.Struct, frozen=True):
    choices: list[_OpenaiChoice] = []
    error: _OpenaiError | None = None


class Openai:
    """OpenAI's chat completions."""

    name = "openai"
    path = "/v1/chat/completions"
    model = "gpt-4.1-mini"
    end = b"data: [DONE]\n\n"

    @override
    def __str__(self) -> str:
        return self.name

    def ask(self, model: str, text: str = "hello", **more: object) -> dict[str, object]:
        return {"model": model, "messages": [{"role": "user", "content": text}], **more}

    def answer(self, model: str = "", text: str = TEXT) -> bytes:
        message: dict[str, object] = {"role": "assistant", "content": text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
        return msgspec.json.encode(
            {
                "id": "chatcmpl-7",
                "object": "chat.completion",
                "created": 1795168356,
                "model": model or self.model,
                "choices": [choice],
                "usage": self._usage(),
                "service_tier": "default",
                "system_fingerprint": "fp_44709d6fcb",
            }
        )

    def frames(self, model: str = "", words: Sequence[str] = WORDS) -> list[bytes]:
        frames = [self._frame(model, {"role": "assistant", "content": "", "refusal": None})]
        frames += [self._frame(model, {"content": word}) for word in words]
        frames += [self._frame(model, {}, "stop"), self.usage_frame(model), self.end]
        return frames

    def usage_frame(self, model: str = "") -> bytes:
        """The event that only who asks for usage gets."""
        return _data({**self._head(model), "choices": [], "usage": self._usage()})

    def error(self, type_: str, message: str) -> bytes:
        error = {"message": message, "type": type_, "param": None, "code": None}
        return msgspec.json.encode({"error": error})

    def error_frame(self, type_: str, message: str) -> bytes:
        return b"data: " + self.error(type_, message) + b"\n\n"

    def text_of(self, body: bytes) -> str:
        return self._decoded(body).choices[0].message.content or ""

    def text_of_stream(self, body: bytes) -> str:
        chunks = [self._decoded(data) for data in self._chunks(body)]
        choices = [choice for chunk in chunks for choice in chunk.choices]
        return "".join([choice.delta.content or "" for choice in choices])

    def told(self, body: bytes) -> Told:
        error = self._decoded(body).error
        assert error is not None, body
        return Told(error.type, error.code, error.message, error.param)

    def told_in_stream(self, body: bytes) -> Told | None:
        errors = [data for data in self._chunks(body) if b'"error"' in data]
        return self.told(errors[0]) if errors else None

    def _head(self, model: str) -> dict[str, object]:
        return {
            "id": "chatcmpl-7",
            "object": "chat.completion.chunk",
            "created": 1795168356,
            "model": model or self.model,
            "service_tier": "default",
            "system_fingerprint": "fp_44709d6fcb",
        }

    def _frame(self, model: str, delta: Mapping[str, object], reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return _data({**self._head(model), "choices": [choice], "usage": None})

    def _usage(self) -> dict[str, object]:
        return {
            "prompt_tokens": INPUT_TOKENS,
            "completion_tokens": OUTPUT_TOKENS,
            "total_tokens": INPUT_TOKENS + OUTPUT_TOKENS,
            "prompt_tokens_details": {"cached_tokens": 4, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 0},
        }

    def _chunks(self, body: bytes) -> Iterator[bytes]:
        return (data for _, data in events(body) if data != b"[DONE]")

    def _decoded(self, body: bytes) -> _OpenaiBody:
        return msgspec.json.decode(body, type=_OpenaiBody)


class _AnthropicBlock(msgspec.Struct, frozen=True):
    text: str = ""


class _AnthropicDetails(msgspec.Struct, frozen=True):
    error_code: str | None = None


class _AnthropicError(msgspec.Struct, frozen=True):
    type: str
    message: str
    details: _AnthropicDetails | None = None


class _AnthropicBody(msgspec.Struct, frozen=True):
    type: str
    content: list[_AnthropicBlock] = []
    delta: _AnthropicBlock = _AnthropicBlock()
    error: _AnthropicError | None = None


class Anthropic:
    """Anthropic's messages."""

    name = "anthropic"
    path = "/v1/messages"
    model = "claude-haiku-4-5"
    end = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'

    @override
    def __str__(self) -> str:
        return self.name

    def ask(self, model: str, text: str = "hello", **more: object) -> dict[str, object]:
        messages = [{"role": "user", "content": text}]
        return {"model": model, "max_tokens": 100, "messages": messages, **more}

    def answer(self, model: str = "", text: str = TEXT) -> bytes:
        return msgspec.json.encode(
            {
                **self._message(model),
                "content": [{"type": "text", "text": text}],
                "stop_reason": "end_turn",
                "usage": {**self._input(), "output_tokens": OUTPUT_TOKENS},
            }
        )

    def frames(self, model: str = "", words: Sequence[str] = WORDS) -> list[bytes]:
        usage = {**self._input(), "output_tokens": 1}
        message = {**self._message(model), "content": [], "stop_reason": None, "usage": usage}
        deltas: list[dict[str, object]] = [{"type": "text_delta", "text": word} for word in words]
        stop: dict[str, object] = {"stop_reason": "end_turn", "stop_sequence": None}
        output = {"output_tokens": OUTPUT_TOKENS}
        return [
            _event({"type": "message_start", "message": message}),
            _event({"type": "content_block_start", "index": 0, "content_block": _TEXT_BLOCK}),
            _event({"type": "ping"}),
            *[_event({"type": "content_block_delta", "index": 0, "delta": d}) for d in deltas],
            _event({"type": "content_block_stop", "index": 0}),
            _event({"type": "message_delta", "delta": stop, "usage": output}),
            self.end,
        ]

    def error(self, type_: str, message: str) -> bytes:
        error = {"type": type_, "message": message}
        return msgspec.json.encode({"type": "error", "error": error, "request_id": "req_7"})

    def error_frame(self, type_: str, message: str) -> bytes:
        return b"event: error\ndata: " + self.error(type_, message) + b"\n\n"

    def text_of(self, body: bytes) -> str:
        return "".join([block.text for block in self._decoded(body).content])

    def text_of_stream(self, body: bytes) -> str:
        return "".join([self._decoded(data).delta.text for _, data in events(body)])

    def told(self, body: bytes) -> Told:
        decoded = self._decoded(body)
        assert decoded.type == "error", body
        assert decoded.error is not None, body
        details = decoded.error.details
        code = details.error_code if details is not None else None
        return Told(decoded.error.type, code, decoded.error.message)

    def told_in_stream(self, body: bytes) -> Told | None:
        errors = [data for name, data in events(body) if name == b"error"]
        return self.told(errors[0]) if errors else None

    def _message(self, model: str) -> dict[str, object]:
        return {
            "id": "msg_7",
            "type": "message",
            "role": "assistant",
            "model": model or self.model,
            "stop_sequence": None,
        }

    def _input(self) -> dict[str, object]:
        # Anthropic counts what the cache read apart: in all it is as many as OpenAI's.
        return {
            "input_tokens": INPUT_TOKENS - 4,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 4,
        }

    def _decoded(self, body: bytes) -> _AnthropicBody:
        return msgspec.json.decode(body, type=_AnthropicBody)


_TEXT_BLOCK = {"type": "text", "text": ""}

OPENAI, ANTHROPIC = Openai(), Anthropic()

DIALECTS: tuple[Dialect, ...] = (OPENAI, ANTHROPIC)


def events(body: bytes) -> list[tuple[bytes, bytes]]:
    """Name and data of every whole event of a stream that was framed by LF; no comments."""
    found: list[tuple[bytes, bytes]] = []
    for frame in body.split(b"\n\n")[:-1]:
        fields = dict(line.split(b": ", 1) for line in frame.split(b"\n") if b": " in line[1:])
        if b"data" in fields:
            found.append((fields.get(b"event", b""), fields[b"data"]))
    return found


def _data(value: object) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def _event(value: Mapping[str, object]) -> bytes:
    return b"event: %b\n" % str(value["type"]).encode() + _data(value)
