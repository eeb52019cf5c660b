"""Anthropic's Messages API as a wire: `/v1/messages` and `/v1/messages/count_tokens`."""

from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Encoded, Envelope, Request
from modelmux.ir.response import Failure, Response, Summary
from modelmux.wire import extra
from modelmux.wire.anthropic_messages import counting, errors, request_decode, request_encode
from modelmux.wire.anthropic_messages import response as responses
from modelmux.wire.anthropic_messages.relay import Watch
from modelmux.wire.anthropic_messages.schema import NAME
from modelmux.wire.anthropic_messages.stream_decode import Decoder
from modelmux.wire.anthropic_messages.stream_encode import Encoder
from modelmux.wire.base import Operation
from modelmux.wire.framing import sse
from modelmux.wire.framing.relay import Relay

decode_token_count = counting.decode_answer
encode_token_count = counting.encode_answer
decode_count_request = counting.decode_request
encode_count_request = counting.encode_request


class AnthropicMessages:
    """A `Wire`."""

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
        return extra.replace_string(body, "model", envelope.model, model)

    def decode_request(self, body: bytes, operation: Operation = "chat") -> Request:
        if operation == "count_tokens":
            return counting.decode_request(body)
        return request_decode.decode(body)

    def encode_request(self, request: Request, profile: Profile = UNKNOWN) -> Encoded:
        return request_encode.encode(request, profile)

    def decode_response(self, body: bytes) -> Response:
        return responses.decode(body)

    def encode_response(self, response: Response, envelope: Envelope) -> bytes:
        return responses.encode(response, envelope)

    def encode_token_count(self, input_tokens: int) -> bytes:
        return counting.encode_answer(input_tokens)

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
        return Decoder()

    def encoder(self, envelope: Envelope) -> Encoder:
        return Encoder(envelope)

    def relay(self, envelope: Envelope, rename: str | None) -> Relay:
        return Relay(Watch(rename))


WIRE = AnthropicMessages()

__all__ = [
    "NAME",
    "WIRE",
    "AnthropicMessages",
    "decode_count_request",
    "decode_token_count",
    "encode_count_request",
    "encode_token_count",
]
