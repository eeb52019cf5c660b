"""How many tokens a request will probably take, found without decoding it if that will do."""

from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct

from modelmux.errors import GatewayError
from modelmux.target import estimate
from modelmux.target.call import Call

MEDIA_BYTES: Final = 16_384
"""From this size on a body is looked at for media, whose Base64 is no text."""


class _Generation(Struct):
    longest: int | None = msgspec.field(default=None, name="maxOutputTokens")


class _Inference(Struct):
    longest: int | None = msgspec.field(default=None, name="maxTokens")


class _Allowance(Struct):
    """Where the wires have the longest answer that is wanted."""

    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    max_output_tokens: int | None = None
    generation: _Generation | None = msgspec.field(default=None, name="generationConfig")
    inference: _Inference | None = msgspec.field(default=None, name="inferenceConfig")


_allowance: Final = msgspec.json.Decoder(_Allowance)


def of(body: bytes, call: Call) -> tuple[int, int | None]:
    """About how many tokens a prompt has, and how many its answer may have at most, if it says.

    Args:
        body: The request on some wire.
        call: What it was made of, which is decoded where the size of `body` says little.
    """
    prompt = len(body) // estimate.BYTES_PER_TOKEN
    if len(body) >= MEDIA_BYTES and b"base64" in body and call.is_chat:
        with suppress(GatewayError):  # its own provider may understand it better than we do
            prompt = estimate.input_tokens(call.request)
    try:
        said = _allowance.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return prompt, None
    longest = said.max_completion_tokens or said.max_tokens or said.max_output_tokens
    if longest is None and said.generation is not None:
        longest = said.generation.longest
    if longest is None and said.inference is not None:
        longest = said.inference.longest
    return prompt, longest
