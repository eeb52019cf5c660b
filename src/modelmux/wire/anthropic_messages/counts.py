"""Token counts of an answer.

`input_tokens` on this wire is the prompt *without* what was read from or written to the cache
(`Message.usage` of Anthropic's SDK, `anthropic` 2.10.0, read 2026-11-20); in the neutral model
it is the whole prompt.
"""

from collections.abc import Mapping

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import ProtocolViolation
from modelmux.ir.parts import Extra
from modelmux.ir.response import Usage
from modelmux.wire import extra
from modelmux.wire.anthropic_messages import schema
from modelmux.wire.anthropic_messages.schema import NAME

_NOTHING: Mapping[str, Raw] = {}
_NONE = schema.Usage()
_ZERO = Raw(b"0")
_usage = extra.Schema(schema.Usage, ProtocolViolation)
_creation = msgspec.json.Decoder(schema.CacheCreation)
_details = msgspec.json.Decoder(schema.OutputTokensDetails)


def decode(usage: schema.Usage | None, unknown: Mapping[str, Raw] = _NOTHING) -> Usage:
    """The counts. Their `extra` says that they are this wire's own, even when it is empty.

    Args:
        usage: The API's counts, if it gave any.
        unknown: Other fields of theirs by pointer.
    """
    usage = usage or _NONE
    read = usage.cache_read_input_tokens
    written = usage.cache_creation_input_tokens
    fields: dict[str, Raw] = {}
    if read == 0:
        fields["/cache_read_input_tokens"] = _ZERO
    if written == 0:
        fields["/cache_creation_input_tokens"] = _ZERO
    if usage.cache_creation:
        fields["/cache_creation"] = usage.cache_creation
    if usage.output_tokens_details:
        fields["/output_tokens_details"] = usage.output_tokens_details
    if usage.service_tier:
        fields["/service_tier"] = usage.service_tier
    if usage.inference_geo:
        fields["/inference_geo"] = usage.inference_geo
    if usage.server_tool_use:
        fields["/server_tool_use"] = usage.server_tool_use
    if unknown:
        fields.update(unknown)
    return Usage(
        (usage.input_tokens or 0) + (read or 0) + (written or 0),
        usage.output_tokens or 0,
        read or 0,
        written or 0,
        _kept_for_an_hour(usage.cache_creation) if written else 0,
        _thought(usage.output_tokens_details) if usage.output_tokens_details else 0,
        extra=Extra(NAME, fields),
    )


def _kept_for_an_hour(raw: Raw) -> int:
    try:
        return _creation.decode(raw).ephemeral_1h_input_tokens or 0
    except extra.MALFORMED:  # absent, null, or of a later form: the total is what counts
        return 0


def _thought(raw: Raw) -> int:
    try:
        return _details.decode(raw).thinking_tokens or 0
    except extra.MALFORMED:  # as above
        return 0


class Tally:
    """The counts of an answer that comes in pieces.

    What a later piece says are totals that replace the earlier; what it leaves out, or has as
    `null`, stands.
    """

    def __init__(self) -> None:
        self._counts = _NONE
        self._fields: dict[str, Raw] = {}

    @property
    def usage(self) -> Usage:
        """The counts so far."""
        return decode(self._counts, self._fields)

    def add(self, counts: schema.Usage | None, unknown: Mapping[str, Raw] = _NOTHING) -> None:
        """Take a piece and its unknown fields by pointer."""
        self._fields.update(unknown)
        if counts is None:
            return
        if self._counts is _NONE:
            self._counts = counts
            return
        changes: dict[str, object] = {}
        for name in schema.Usage.__struct_fields__:
            value = getattr(counts, name)
            if isinstance(value, Raw):
                if value and bytes(value) != b"null":
                    changes[name] = value
            elif value is not None:
                changes[name] = value
        self._counts = replace(self._counts, **changes)

    def read(self, raw: Raw) -> None:
        """Take a piece as it came. Raises `ProtocolViolation`."""
        if raw and bytes(raw) != b"null":
            self.add(*_usage.decode(raw))


def encode(usage: Usage) -> dict[str, object]:
    """The counts as the API has them. Tokens it does not tell apart are left out."""
    read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    out: dict[str, object] = {
        "input_tokens": max(0, usage.input_tokens - read - written),
        "output_tokens": usage.output_tokens,
    }
    own = usage.extra is not None and usage.extra.wire == NAME
    if written or not own:
        out["cache_creation_input_tokens"] = written
    if read or not own:
        out["cache_read_input_tokens"] = read
    if own:
        return extra.merge(out, usage.extra, NAME)
    if written:
        long = usage.cache_creation_1h_input_tokens
        out["cache_creation"] = {
            "ephemeral_5m_input_tokens": written - long,
            "ephemeral_1h_input_tokens": long,
        }
    if usage.reasoning_output_tokens:
        out["output_tokens_details"] = {"thinking_tokens": usage.reasoning_output_tokens}
    return out
