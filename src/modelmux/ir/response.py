"""The whole answer, its usage, and a failure as any wire can say it."""

from typing import Literal

from msgspec import Struct

from modelmux.errors import ErrorKind
from modelmux.ir.parts import Extra, Part

FinishReason = Literal["stop", "length", "tool_call", "content_filter", "error"]
"""OpenTelemetry's names, so that telemetry needs no map."""


class Usage(Struct, frozen=True):
    """Tokens as the target counted them. Each class is priced apart."""

    input_tokens: int = 0
    """All of the prompt, cache reads and writes included (OpenAI's convention)."""
    output_tokens: int = 0
    """All of the answer, reasoning included."""
    cache_read_input_tokens: int = 0
    cache_creation_input_tokens: int = 0
    cache_creation_1h_input_tokens: int = 0
    """Of `cache_creation_input_tokens`, those kept for an hour, which cost more."""
    reasoning_output_tokens: int = 0
    estimated: bool = False
    """Counted by the gateway, because the target did not say."""
    extra: Extra | None = None


NO_USAGE = Usage()


class Response(Struct, frozen=True):
    id: str
    model: str
    """The name the target gave."""
    parts: tuple[Part, ...]
    reason: FinishReason
    usage: Usage = NO_USAGE
    stop_sequence: str | None = None
    """Which of the caller's stop sequences ended the answer."""
    created_at_s: int = 0
    """Unix time; 0 where the wire does not say."""
    extra: Extra | None = None


class Failure(Struct, frozen=True):
    """An error in words that every wire can translate."""

    kind: ErrorKind
    message: str
    code: str = ""
    """Stable machine-readable code; the target's own where it gave one."""
    param: str | None = None
    status: int = 500
    retry_after_s: float | None = None
    request_id: str | None = None
    target: str = ""
    extra: Extra | None = None


class Summary(Struct, frozen=True):
    """What the gateway itself needs to know of an answer that it does not decode."""

    usage: Usage | None = None
    reason: FinishReason | None = None
    failure: Failure | None = None
    """The answer is an error, whatever its HTTP status says."""
