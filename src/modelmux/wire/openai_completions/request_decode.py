"""Request bodies into neutral requests: a prompt is what a user says."""

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Extra, Text
from modelmux.ir.request import Envelope, Message, Request, Sampling
from modelmux.wire import extra
from modelmux.wire.extra import Fields
from modelmux.wire.openai.values import NULL, present
from modelmux.wire.openai_completions import schema
from modelmux.wire.openai_completions.schema import NAME

LIST = "prompt"
"""In `spelling`: the prompt is a list of one string."""

_CONTENT_FIELDS = frozenset({"echo", "prompt", "suffix"})
"""Fields without a neutral word whose loss is a loss of what was asked, not of how."""

_ONE_SPELLING: frozenset[str] = frozenset()


class _StreamOptions(Struct):
    include_usage: bool | None = None


class _Envelope(Struct):
    model: str
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    n: int | None = None
    prompt: Raw = Raw()


_envelope = msgspec.json.Decoder(_Envelope)


def envelope(body: bytes) -> Envelope:
    """The few fields of a request that are read on every call. Raises `InvalidRequest`."""
    try:
        e = _envelope.decode(body)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc) from None
    options = e.stream_options
    return Envelope(
        e.model,
        bool(e.stream),
        options is not None and bool(options.include_usage),
        (e.n or 1) * _prompts(e.prompt),
    )


def _prompts(raw: Raw) -> int:
    """How many prompts there are, each of which is answered by choices of its own."""
    if bytes(memoryview(raw)[:1]) != b"[":
        return 1
    try:
        given = schema.prompt.decode(raw)
    except extra.MALFORMED:
        return 1
    tokens = bool(given) and isinstance(given[0], int)
    return 1 if isinstance(given, str) or tokens else len(given) or 1


def decode(body: bytes) -> Request:
    """The request in `body`.

    Raises:
        InvalidRequest: It is none, and the error names the field.
    """
    if not body.isascii():
        try:
            body.decode()
        except UnicodeDecodeError as exc:
            raise extra.invalid(exc) from None
    r, unknown = schema.request.decode(body)
    text, plain = _prompt(r.prompt)
    stop = (r.stop,) if isinstance(r.stop, str) else tuple(r.stop or ())
    sampling = Sampling(
        r.temperature,
        r.top_p,
        None,
        r.seed,
        stop,
        r.presence_penalty,
        r.frequency_penalty,
        r.logit_bias if present(r.logit_bias) else None,
        None if r.logprobs is None else True,
        r.logprobs,
    )
    options = r.stream_options
    return Request(
        r.model,
        (Message("user", (Text(text),), bare=True),) if text is not None else (),
        max_tokens=r.max_tokens,
        sampling=sampling,
        choices=r.n or 1,
        stream=bool(r.stream),
        include_usage=options is not None and bool(options.include_usage),
        user=r.user,
        wire=NAME,
        spelling=_spelling(r, plain=plain),
        extra=_own_fields(r, unknown, said=text is not None),
    )


def _prompt(raw: Raw) -> tuple[str | None, bool]:
    """The one text of a prompt, and whether it stands alone; `None` for any other prompt."""
    if not present(raw):
        return None, True
    try:
        given = schema.prompt.decode(raw)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "/prompt") from None
    if isinstance(given, str):
        return given, True
    only = given[0] if len(given) == 1 else None
    if not given:
        raise InvalidRequest("prompt: expected a text, got an empty list", param="prompt")
    return (only, False) if isinstance(only, str) else (None, False)


def _spelling(r: schema.Request, *, plain: bool) -> frozenset[str]:
    words: list[str] = []
    if not plain:
        words.append(LIST)
    if isinstance(r.stop, str):
        words.append("stop")
    if r.stream is False:
        words.append("stream")
    if r.n == 1:
        words.append("n")
    return frozenset(words) if words else _ONE_SPELLING


def _own_fields(r: schema.Request, unknown: Fields, *, said: bool) -> Extra | None:
    """Fields of the request that the model has no word for."""
    fields = {pointer: raw for pointer, raw in unknown.items() if raw != NULL}
    content: set[str] = set()
    if r.stream_options is not None and r.stream_options.include_obfuscation is not None:
        raw = msgspec.json.encode(r.stream_options.include_obfuscation)
        fields["/stream_options/include_obfuscation"] = Raw(raw)
    given = {"best_of": r.best_of, "echo": r.echo, "suffix": r.suffix}
    if not said:
        given["prompt"] = r.prompt
    for name, value in given.items():
        if not present(value):
            continue
        if name != "prompt" and bytes(value) in {b"false", b"1", b'""'}:
            fields[name] = value  # it asks for nothing
            continue
        fields[f"/{name}"] = value
        if name in _CONTENT_FIELDS:
            content.add(f"/{name}")
    return Extra(NAME, fields, "", frozenset(content)) if fields else None
