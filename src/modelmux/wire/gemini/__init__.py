"""Google's Gemini API as a wire: `generateContent`, `streamGenerateContent` and `countTokens`."""

from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Encoded, Envelope, Request
from modelmux.ir.response import Failure, Response, Summary
from modelmux.wire.base import Operation, StreamRelay
from modelmux.wire.framing import jsonarray, sse
from modelmux.wire.framing.relay import Relay
from modelmux.wire.gemini import counting, errors, request_decode, request_encode
from modelmux.wire.gemini import response as responses
from modelmux.wire.gemini.relay import ArrayRelay, Watch
from modelmux.wire.gemini.response import AS_ARRAY
from modelmux.wire.gemini.schema import NAME
from modelmux.wire.gemini.stream_decode import Decoder
from modelmux.wire.gemini.stream_encode import Encoder


class Gemini:
    """A `Wire`."""

    @property
    def name(self) -> str:
        return NAME

    @property
    def in_path(self) -> bool:
        return True

    @property
    def signs_ids(self) -> bool:
        return True

    def stream_type(self, envelope: Envelope) -> bytes:
        return jsonarray.MEDIA_TYPE if AS_ARRAY in envelope.spelling else sse.MEDIA_TYPE

    def envelope(self, body: bytes) -> Envelope:
        return request_decode.envelope(body)

    def readdress(self, body: bytes, envelope: Envelope, model: str, ask_usage: bool) -> bytes:
        return body

    def decode_request(self, body: bytes, operation: Operation = "chat") -> Request:
        if operation == "count_tokens":
            return request_decode.decode_count(body)
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

    def relay(self, envelope: Envelope, rename: str | None) -> StreamRelay:
        return ArrayRelay(rename) if AS_ARRAY in envelope.spelling else Relay(Watch(rename))


WIRE = Gemini()

__all__ = ["AS_ARRAY", "NAME", "WIRE", "Gemini"]
