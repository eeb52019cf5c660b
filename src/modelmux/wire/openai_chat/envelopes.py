"""The few fields of a request that are read on every call, and the edit of them."""

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.request import Envelope
from modelmux.wire import extra
from modelmux.wire.openai.values import objects, present
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

_TRUE = Raw(b"true")
_ASK_USAGE = b',"stream_options":{"include_usage":true}}'


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
    )


def _is_legacy(e: _Envelope) -> bool:
    functions = present(e.functions) and bytes(e.functions) != b"[]"
    tools = present(e.tools) and bytes(e.tools) != b"[]"
    return not tools and (functions or present(e.function_call))


def readdress(body: bytes, envelope: Envelope, model: str, ask_usage: bool) -> bytes:
    """`body` under another model name and, for a stream, asking for usage if `ask_usage`."""
    if not ask_usage or not envelope.stream or envelope.include_usage:
        return extra.replace_string(body, "model", envelope.model, model)
    # No serialiser escapes an ASCII letter, and of two spellings of a key the last one counts.
    if b'"stream_options"' in body:
        given = objects.decode(body).get("stream_options", Raw())
        options = objects.decode(given) if present(given) else {}
        options["include_usage"] = _TRUE
        return extra.splice(body, {"model": model, "stream_options": options})
    asking = body.rstrip()[:-1] + _ASK_USAGE
    return extra.replace_string(asking, "model", envelope.model, model)
