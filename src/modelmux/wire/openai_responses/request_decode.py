"""Request bodies into neutral requests."""

from typing import Literal

import msgspec
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Extra, Text
from modelmux.ir.request import (
    Message,
    ReasoningOptions,
    Request,
    ResponseFormat,
    Sampling,
    ToolChoice,
)
from modelmux.wire import extra
from modelmux.wire.extra import Fields
from modelmux.wire.openai.values import NULL, objects, present
from modelmux.wire.openai_responses import items, schema, tool_decode
from modelmux.wire.openai_responses.schema import NAME

INSTRUCTIONS = "instructions"
"""In `spelling`: the first message is the request's `instructions`."""

STRING = "input"
"""In `spelling`: the input is one string."""

LOGPROBS = "message.output_text.logprobs"
"""In `include`: probabilities of tokens."""

SEALED = "reasoning.encrypted_content"
"""In `include`: reasoning that can be given back, which every answer has that is translated."""

_CONTENT_FIELDS = frozenset(
    {"background", "conversation", "image", "moderation", "previous_response_id", "prompt"}
)
"""Fields without a neutral word whose loss is a loss of what was asked, not of how."""

_SILENT: dict[str, tuple[bytes, ...]] = {
    "background": (b"false",),
    "service_tier": (b'"auto"', b'"default"'),
    "stream_options": (b"{}", b'{"include_obfuscation":false}'),
    "truncation": (b'"disabled"',),
}
"""Values that say what goes without saying, and so are nothing to lose."""

_ONE_SPELLING: frozenset[str] = frozenset()

_includes = msgspec.json.Decoder(list[str])


def decode(body: bytes) -> Request:
    """The request in `body`.

    Raises:
        InvalidRequest: It is none, and the error names the field.
    """
    if not body.isascii():
        _check_utf8(body)
    r, unknown = _read(body)
    full = r if isinstance(r, schema.Request) else None
    messages = _messages(r, full)
    return Request(
        r.model,
        tuple(messages),
        tool_decode.decode(r.tools) if r.tools else (),
        _choice(r, body) if r.tool_choice is not None else None,
        r.parallel_tool_calls,
        r.max_output_tokens,
        _sampling(r, full),
        _format(r.text, unknown),
        _reasoning(r.reasoning, unknown),
        stream=bool(r.stream),
        user=r.user,
        metadata=r.metadata or {},
        wire=NAME,
        spelling=_spelling(r),
        extra=_own_fields(r, full, unknown),
    )


def _read(body: bytes) -> tuple[schema.PlainRequest, Fields]:
    try:
        return schema.plain_request.decode(body), {}
    except extra.MALFORMED:
        return schema.request.decode(body)  # some field more, or a mistake to report


def _check_utf8(body: bytes) -> None:
    """What is passed on as the bytes that came is read by nobody here: it must be text."""
    try:
        body.decode()
    except UnicodeDecodeError as exc:
        raise extra.invalid(exc) from None


def _messages(r: schema.PlainRequest, full: schema.Request | None) -> list[Message]:
    found: list[Message] = []
    if r.instructions is not None:
        found.append(Message("system", (Text(r.instructions),), bare=True))
    if isinstance(r.input, str):
        found.append(Message("user", (Text(r.input),), bare=True))
    elif r.input is not None:
        for index, raw in enumerate(r.input):
            items.join(found, items.decode(raw, f"/input/{index}"))
    if not found and not _has_conversation(full):
        raise InvalidRequest("input: expected a string or at least one item", param="input")
    return found


def _has_conversation(full: schema.Request | None) -> bool:
    """Whether the provider knows of something to answer."""
    return full is not None and bool(full.prompt or full.conversation or full.previous_response_id)


def _spelling(r: schema.PlainRequest) -> frozenset[str]:
    words: list[str] = []
    if r.instructions is not None:
        words.append(INSTRUCTIONS)
    if isinstance(r.input, str):
        words.append(STRING)
    if r.stream is False:
        words.append("stream")
    return frozenset(words) if words else _ONE_SPELLING


def _sampling(r: schema.PlainRequest, full: schema.Request | None) -> Sampling:
    include = bytes(full.include) if full is not None else b""
    logprobs = True if LOGPROBS.encode() in include else None
    return Sampling(r.temperature, r.top_p, logprobs=logprobs, top_logprobs=r.top_logprobs)


def _choice(r: schema.PlainRequest, body: bytes) -> ToolChoice:
    assert r.tool_choice is not None  # noqa: S101 - who calls has looked
    raw = Raw()
    if not isinstance(r.tool_choice, str):
        raw = objects.decode(body)["tool_choice"]
    return tool_decode.choice(r.tool_choice, raw)


def _format(text: schema.Text | None, unknown: Fields) -> ResponseFormat | None:
    if text is None or text.format is None:
        return None
    form = text.format
    match form.type:
        case "text" | "json_object" | "json_schema":
            return ResponseFormat(
                form.type,
                form.name,
                form.description,
                form.schema if present(form.schema) else None,
                form.strict,
                _below(unknown, "/text/format"),
            )
        case _:
            raise InvalidRequest(
                f"text.format.type: expected text, json_object or json_schema, got {form.type!r}",
                param="text.format.type",
            )


def _reasoning(given: schema.Reasoning | None, unknown: Fields) -> ReasoningOptions | None:
    if given is None:
        return None
    kept = _below(unknown, "/reasoning")
    fields = dict(kept.fields) if kept else {}
    for name in ("summary", "generate_summary", "mode", "context"):
        value: Raw = getattr(given, name)
        if present(value):
            # How much of it is told: every other wire tells what it has.
            fields[name if name in {"summary", "generate_summary"} else f"/{name}"] = value
    mode: Literal["disabled"] | None = "disabled" if given.effort == "none" else None
    options = Extra(NAME, fields, "/reasoning") if fields else None
    return ReasoningOptions(mode, given.effort, extra=options)


def _below(unknown: Fields, at: str) -> Extra | None:
    """The unknown fields of the object at `at`."""
    begin = f"{at}/"
    found = {
        pointer[len(at) :]: raw
        for pointer, raw in unknown.items()
        if pointer.startswith(begin) and raw != NULL
    }
    return extra.keep(found, NAME, at)


def _own_fields(
    r: schema.PlainRequest, full: schema.Request | None, unknown: Fields
) -> Extra | None:
    """Fields of the request that the model has no word for."""
    fields = {
        pointer: raw
        for pointer, raw in unknown.items()
        if raw != NULL and not pointer.startswith(("/reasoning/", "/text/format/"))
    }
    content: set[str] = set()
    for name in schema.OWN_FIELDS if full is not None else ():
        value: Raw = getattr(full, name)
        if not present(value):
            continue
        if _goes_without_saying(name, value):
            fields[name] = value
            continue
        fields[f"/{name}"] = value
        if name in _CONTENT_FIELDS:
            content.add(f"/{name}")
    if r.text is not None and present(r.text.verbosity):
        fields["/text/verbosity"] = r.text.verbosity
    return Extra(NAME, fields, "", frozenset(content)) if fields else None


def _goes_without_saying(name: str, value: Raw) -> bool:
    """Whether a field asks for nothing that another wire's target does not do anyway."""
    if name == "store":  # by the gateway, wherever the target does not
        return True
    if name == "include":
        try:
            return set(_includes.decode(value)) <= {SEALED, LOGPROBS}
        except extra.MALFORMED:
            return False
    return bytes(value) in _SILENT.get(name, ())
