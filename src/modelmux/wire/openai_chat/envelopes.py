"""The few fields of a request that are read on every call, and the edit of them."""

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.request import Envelope
from modelmux.wire import extra
from modelmux.wire.openai.values import present
from modelmux.wire.openai_chat import calls


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Envelope(Struct):
    model: str
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = None
    functions: Raw = Raw()
    function_call: Raw = Raw()
    tools: Raw = Raw()


_envelope = msgspec.json.Decoder(_Envelope)

_ONE_SPELLING: frozenset[str] = frozenset()
_LEGACY = frozenset({calls.LEGACY})


def decode(body: bytes) -> Envelope:
    """The envelope of a request. Raises `InvalidRequest`."""
    try:
        e = _envelope.decode(body)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc) from None
    options = e.stream_options
    legacy = (e.functions or e.function_call) and _is_legacy(e)
    return Envelope(
        e.model,
        bool(e.stream),
        options is not None and bool(options.include_usage),
        e.n or 1,
        _LEGACY if legacy else _ONE_SPELLING,
        has_tools=bool(e.tools) and _has_tools(e),
    )


def _is_legacy(e: _Envelope) -> bool:
    functions = present(e.functions) and bytes(e.functions) != b"[]"
    return not _has_tools(e) and (functions or present(e.function_call))


def _has_tools(e: _Envelope) -> bool:
    return present(e.tools) and bytes(e.tools) != b"[]"
