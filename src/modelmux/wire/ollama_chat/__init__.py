"""Ollama's own API as two wires: `/api/chat` and `/api/generate`."""

from collections.abc import Callable

import msgspec

from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Encoded, Envelope, Request
from modelmux.ir.response import Failure, Response, Summary
from modelmux.wire import extra
from modelmux.wire.base import Operation
from modelmux.wire.framing import ndjson
from modelmux.wire.ollama_chat import chat, errors, generate, request_encode, schema
from modelmux.wire.ollama_chat import response as responses
from modelmux.wire.ollama_chat.relay import Watch
from modelmux.wire.ollama_chat.schema import CHAT, GENERATE
from modelmux.wire.ollama_chat.stream_decode import INTERRUPTED, Decoder
from modelmux.wire.ollama_chat.stream_encode import Encoder

_envelope = msgspec.json.Decoder(schema.Envelope)


class Ollama:
    """A `Wire`: what its two kinds have in common."""

    def __init__(
        self,
        name: str,
        read: Callable[[bytes], Request],
        write: Callable[[Request, Profile], Encoded],
        read_answer: Callable[[bytes], Response],
        write_answer: Callable[[Response, Envelope], bytes],
    ) -> None:
        """Make the wire `name` of its four functions."""
        self._name = name
        self._read = read
        self._write = write
        self._read_answer = read_answer
        self._write_answer = write_answer

    @property
    def name(self) -> str:
        return self._name

    @property
    def in_path(self) -> bool:
        return False

    @property
    def signs_ids(self) -> bool:
        return False

    def stream_type(self, envelope: Envelope) -> bytes:
        return ndjson.MEDIA_TYPE

    def envelope(self, body: bytes) -> Envelope:
        try:
            found = _envelope.decode(body)
        except extra.MALFORMED as exc:
            raise extra.invalid(exc) from None
        return Envelope(found.model, found.stream is not False)

    def readdress(self, body: bytes, envelope: Envelope, model: str, ask_usage: bool) -> bytes:
        return extra.replace_string(body, "model", envelope.model, model)

    def decode_request(self, body: bytes, operation: Operation = "chat") -> Request:
        return self._read(body)

    def encode_request(self, request: Request, profile: Profile = UNKNOWN) -> Encoded:
        return self._write(request, profile)

    def decode_response(self, body: bytes) -> Response:
        return self._read_answer(body)

    def encode_response(self, response: Response, envelope: Envelope) -> bytes:
        return self._write_answer(response, envelope)

    def encode_token_count(self, input_tokens: int) -> bytes:
        return b'{"prompt_eval_count":%d}' % input_tokens

    def summarise(self, body: bytes) -> Summary:
        return responses.summarise(body)

    def rename(self, body: bytes, model: str) -> bytes:
        return responses.rename(body, model)

    def decode_error(self, status: int, body: bytes) -> Failure:
        return errors.decode(status, body)

    def encode_error(self, failure: Failure) -> bytes:
        return errors.encode(failure)

    def error_status(self, failure: Failure) -> int:
        return errors.status(failure)

    def decoder(self) -> Decoder:
        return Decoder(self._name)

    def encoder(self, envelope: Envelope) -> Encoder:
        return Encoder(self._name, envelope)

    def relay(self, envelope: Envelope, rename: str | None) -> ndjson.Relay:
        return ndjson.Relay(Watch(rename), INTERRUPTED)


WIRE = Ollama(
    CHAT, chat.decode, request_encode.encode_chat, responses.decode_chat, responses.encode_chat
)
GENERATE_WIRE = Ollama(
    GENERATE,
    generate.decode,
    request_encode.encode_generate,
    responses.decode_generate,
    responses.encode_generate,
)

__all__ = ["CHAT", "GENERATE", "GENERATE_WIRE", "WIRE", "Ollama"]
