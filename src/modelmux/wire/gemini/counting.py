"""`countTokens`: how long a prompt is, without an answer to it."""

import msgspec

from modelmux.errors import ProtocolViolation
from modelmux.wire import extra
from modelmux.wire.gemini import schema

_count = msgspec.json.Decoder(schema.CountTokensResponse)


def decode_answer(body: bytes) -> int:
    """Tokens of the prompt. Raises `ProtocolViolation`."""
    try:
        return _count.decode(body).total_tokens
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "", ProtocolViolation) from None


def encode_answer(input_tokens: int) -> bytes:
    """The body that says so."""
    return b'{"totalTokens":%d}' % input_tokens
