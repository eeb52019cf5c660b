"""The API's objects as structs, named as the API names them.

Fields follow the types of OpenAI's own Python library 3.51 (openai/types/completion*.py), read
2026-11-20.
"""

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import ProtocolViolation
from modelmux.wire import extra

NAME = "openai.completions"


class StreamOptions(Struct, forbid_unknown_fields=True):
    include_usage: bool | None = None
    include_obfuscation: bool | None = None


class Request(Struct, forbid_unknown_fields=True):
    """Every documented field."""

    model: str
    prompt: Raw = Raw()
    best_of: Raw = Raw()
    echo: Raw = Raw()
    frequency_penalty: float | None = None
    logit_bias: Raw = Raw()
    logprobs: int | None = None
    max_tokens: int | None = None
    n: int | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    suffix: Raw = Raw()
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None


class Choice(Struct, forbid_unknown_fields=True):
    text: str = ""
    index: int | None = None
    finish_reason: str | None = None
    logprobs: Raw = Raw()
    stop_reason: Raw = Raw()
    """vLLM's: the stop string that was met, or the id of the token."""


class Response(Struct, forbid_unknown_fields=True):
    """A whole answer, or a chunk of one."""

    id: str | None = None
    object: str | None = None
    created: int | float | None = None
    model: str | None = None
    choices: list[Choice] | None = None
    usage: Raw = Raw()
    error: Raw = Raw()
    system_fingerprint: Raw = Raw()


class ChunkChoice(Struct):
    """The structs of a stream pass over fields they do not name."""

    text: str | None = None
    index: int = 0
    finish_reason: str | None = None


class Chunk(Struct):
    choices: list[ChunkChoice] | None = None
    id: str | None = None
    created: int | float | None = None
    model: str | None = None
    object: str | None = None
    usage: Raw = Raw()
    error: Raw = Raw()


request = extra.Schema(Request)
response = extra.Schema(Response, ProtocolViolation)
chunk = msgspec.json.Decoder(Chunk)
prompt = msgspec.json.Decoder(str | list[str | int | list[int]])
