"""OpenAI's older completions: a text, and how it goes on.

What OpenAI documents is as its own Python library 3.51 has it (openai/types), read 2026-11-20.
"""

from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Encoded, Envelope, Request
from modelmux.ir.response import Failure, Response, Summary
from modelmux.wire.base import Operation
from modelmux.wire.framing import sse
from modelmux.wire.framing.relay import Relay
from modelmux.wire.openai import chunks, errors
from modelmux.wire.openai.relay import Watch
from modelmux.wire.openai_completions import request_decode, request_encode
from modelmux.wire.openai_completions import response as answers
from modelmux.wire.openai_completions.schema import NAME
from modelmux.wire.openai_completions.stream_decode import Decoder
from modelmux.wire.openai_completions.stream_encode import Encoder

__all__ = ["NAME", "WIRE", "OpenAICompletions"]


class OpenAICompletions:
    """The wire `openai.completions`."""

    @property
    def name(self) -> str:
        return NAME

    @property
    def in_path(self) -> bool:
        return False

    @property
    def signs_ids(self) -> bool:
        return False

    def stream_type(self, envelope: Envelope) -> bytes:
        return sse.MEDIA_TYPE

    def envelope(self, body: bytes) -> Envelope:
        return request_decode.envelope(body)

    def readdress(self, body: bytes, envelope: Envelope, model: str, ask_usage: bool) -> bytes:
        return chunks.readdress(body, envelope, model, ask_usage)

    def decode_request(self, body: bytes, operation: Operation = "chat") -> Request:
        return request_decode.decode(body)

    def encode_request(self, request: Request, profile: Profile = UNKNOWN) -> Encoded:
        return request_encode.encode(request, profile)

    def decode_response(self, body: bytes) -> Response:
        return answers.decode(body)

    def encode_response(self, response: Response, envelope: Envelope) -> bytes:
        return answers.encode(response, envelope)

    def encode_token_count(self, input_tokens: int) -> bytes:
        return b'{"input_tokens":%d}' % input_tokens

    def summarise(self, body: bytes) -> Summary:
        return answers.summarise(body)

    def rename(self, body: bytes, model: str) -> bytes:
        return chunks.rename(body, model)

    def decode_error(self, status: int, body: bytes) -> Failure:
        return errors.decode(status, body)

    def encode_error(self, failure: Failure) -> bytes:
        return errors.encode(failure)

    def error_status(self, failure: Failure) -> int:
        return errors.status(failure)

    def decoder(self) -> Decoder:
        return Decoder()

    def encoder(self, envelope: Envelope) -> Encoder:
        return Encoder(envelope)

    def relay(self, envelope: Envelope, rename: str | None) -> Relay:
        return Relay(Watch(envelope, rename))


WIRE = OpenAICompletions()
