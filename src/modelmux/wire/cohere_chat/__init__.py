"""Cohere's chat API, version 2, as a wire: `/v2/chat`."""

from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Encoded, Envelope, Request
from modelmux.ir.response import Failure, Response, Summary
from modelmux.wire import extra
from modelmux.wire.base import Operation
from modelmux.wire.cohere_chat import errors, request_decode, request_encode
from modelmux.wire.cohere_chat import response as responses
from modelmux.wire.cohere_chat.relay import Watch
from modelmux.wire.cohere_chat.schema import NAME
from modelmux.wire.cohere_chat.stream_decode import Decoder
from modelmux.wire.cohere_chat.stream_encode import Encoder
from modelmux.wire.framing import sse
from modelmux.wire.framing.relay import Relay


class CohereChat:
    """A `Wire`. Answers of it do not name the model."""

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
        return request_decode.decode(body)

    def encode_request(self, request: Request, profile: Profile = UNKNOWN) -> Encoded:
        return request_encode.encode(request, profile)

    def decode_response(self, body: bytes) -> Response:
        return responses.decode(body)

    def encode_response(self, response: Response, envelope: Envelope) -> bytes:
        return responses.encode(response)

    def encode_token_count(self, input_tokens: int) -> bytes:
        return b'{"input_tokens":%d}' % input_tokens

    def summarise(self, body: bytes) -> Summary:
        return responses.summarise(body)

    def rename(self, body: bytes, model: str) -> bytes:
        return body

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
        return Relay(Watch())


WIRE = CohereChat()

__all__ = ["NAME", "WIRE", "CohereChat"]
