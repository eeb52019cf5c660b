"""`POST /v1/messages/count_tokens`: how long a prompt is, without an answer to it.

Follows `MessageCountTokensParams` of Anthropic's SDK (`anthropic` 2.10.0, read 2026-11-20).
"""

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import ProtocolViolation
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import Encoded, Request
from modelmux.wire import extra
from modelmux.wire.anthropic_messages import request_decode, request_encode, schema

_TAKEN = frozenset(
    {
        "billing_policy",
        "cache_control",
        "compaction",
        "context_management",
        "mcp_servers",
        "messages",
        "model",
        "output_config",
        "output_format",
        "speed",
        "system",
        "thinking",
        "thread",
        "tool_choice",
        "tools",
        "user_profile_id",
    }
)
"""Fields of the body that the endpoint knows: it answers others with 400."""

_object = msgspec.json.Decoder(dict[str, Raw])
_count = msgspec.json.Decoder(schema.MessageTokensCount)


def decode_request(body: bytes) -> Request:
    """The neutral request, whose `max_tokens` is absent. Raises `InvalidRequest`."""
    return request_decode.decode_count(body)


def encode_request(request: Request, profile: Profile = UNKNOWN) -> Encoded:
    """A body that asks how long the prompt of `request` is.

    What the endpoint refuses is left out and is no loss: it does not change the count.
    """
    single = replace(request, choices=1)
    encoded = request_encode.encode(single, profile)
    fields = _object.decode(encoded.body)
    taken = {name: raw for name, raw in fields.items() if name in _TAKEN}
    return Encoded(msgspec.json.encode(taken), encoded.losses, encoded.restore)


def decode_answer(body: bytes) -> int:
    """Tokens of the prompt. Raises `ProtocolViolation`."""
    try:
        return _count.decode(body).input_tokens
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "", ProtocolViolation) from None


def is_answer(body: bytes) -> bool:
    """Whether `body` tells a number of tokens."""
    try:
        decode_answer(body)
    except ProtocolViolation:
        return False
    return True


def encode_answer(input_tokens: int) -> bytes:
    """The body that says so."""
    return b'{"input_tokens":%d}' % input_tokens
