"""What streams of chunks have in common, and the requests for them."""

import msgspec
from msgspec import Raw, Struct

from modelmux.ir.request import Envelope
from modelmux.ir.response import Failure
from modelmux.wire import extra
from modelmux.wire.openai.values import objects, present

DONE = b"[DONE]"

INTERRUPTED = Failure(
    "unavailable", "the answer broke off before it was finished", "interrupted", status=502
)

_TRUE = Raw(b"true")
_ASK_USAGE = b',"stream_options":{"include_usage":true}}'


class XGroq(Struct):
    """Groq's place for usage."""

    usage: Raw = Raw()


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


class _Model(Struct):
    model: str | None = None


_model = msgspec.json.Decoder(_Model)


def rename(body: bytes, model: str) -> bytes:
    """A whole answer under another model name; a body that has none is left as it is."""
    try:
        old = _model.decode(body).model
    except extra.MALFORMED:
        return body
    return body if old is None else extra.replace_string(body, "model", old, model)
