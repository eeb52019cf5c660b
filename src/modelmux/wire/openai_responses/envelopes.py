"""The few fields of a request that are read on every call, and what an answer repeats of them."""

from collections.abc import Mapping

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.request import Envelope
from modelmux.wire import extra
from modelmux.wire.openai.values import present

_EMPTY = Raw(b"[]")
_NOTHING: Mapping[str, Raw] = {}


class _Envelope(Struct):
    model: str
    stream: bool | None = None
    tools: Raw = Raw()


class _Echo(Struct):
    """What of a request its answer repeats."""

    instructions: Raw = Raw()
    max_output_tokens: Raw = Raw()
    max_tool_calls: Raw = Raw()
    metadata: Raw = Raw()
    parallel_tool_calls: Raw = Raw()
    previous_response_id: Raw = Raw()
    prompt_cache_key: Raw = Raw()
    reasoning: Raw = Raw()
    safety_identifier: Raw = Raw()
    service_tier: Raw = Raw()
    store: Raw = Raw()
    temperature: Raw = Raw()
    text: Raw = Raw()
    tool_choice: Raw = Raw()
    tools: Raw = Raw()
    top_logprobs: Raw = Raw()
    top_p: Raw = Raw()
    truncation: Raw = Raw()
    user: Raw = Raw()


_ECHOED = _Echo.__struct_fields__

_envelope = msgspec.json.Decoder(_Envelope)
_echo = msgspec.json.Decoder(_Echo)


def decode(body: bytes) -> Envelope:
    """The envelope of a request. Raises `InvalidRequest`."""
    try:
        e = _envelope.decode(body)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc) from None
    has_tools = present(e.tools) and e.tools != _EMPTY
    return Envelope(e.model, bool(e.stream), has_tools=has_tools, echo=body)


def echo(envelope: Envelope) -> Mapping[str, Raw]:
    """The fields of the request that its answer repeats."""
    if not envelope.echo:
        return _NOTHING
    found = _echo.decode(envelope.echo)
    return {name: raw for name in _ECHOED if present(raw := getattr(found, name))}


def readdress(body: bytes, envelope: Envelope, model: str) -> bytes:
    """`body` under another model name. A stream of this API always ends with its usage."""
    return extra.replace_string(body, "model", envelope.model, model)
