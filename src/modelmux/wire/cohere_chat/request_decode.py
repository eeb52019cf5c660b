"""Bodies of `POST /v2/chat` to the neutral request."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Blob, Extra, Generic, Part, ResultPart, Text, ToolResult, Uri
from modelmux.ir.request import (
    Envelope,
    GenericTool,
    Message,
    ReasoningOptions,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from modelmux.wire import extra
from modelmux.wire.cohere_chat import content, schema
from modelmux.wire.cohere_chat.schema import NAME

STREAM: Final = "/stream"
"""The caller wrote `stream` although it is false."""

_CONTENT_FIELDS: Final = frozenset({"/documents"})
"""Fields without which the model is told something else."""

_body = extra.Schema(schema.Request)
_envelope = msgspec.json.Decoder(schema.Envelope)


def envelope(body: bytes) -> Envelope:
    """Model and `stream` of a body. Raises `InvalidRequest`."""
    try:
        found = _envelope.decode(body)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc) from None
    return Envelope(found.model, found.stream or False)


def decode(body: bytes) -> Request:
    """The neutral request. Raises `InvalidRequest`, naming the field."""
    params, unknown = _body.decode(body)
    rest = {
        pointer: raw
        for pointer, raw in unknown.items()
        if not pointer.startswith(("/messages/", "/tools/"))
    }
    form = params.response_format
    thinking = params.thinking
    return Request(
        params.model,
        tuple(
            [
                _message(message, content.of(unknown, f"/messages/{index}"), f"/messages/{index}")
                for index, message in enumerate(params.messages)
            ]
        ),
        _tools(params.tools or (), unknown),
        _choice(params.tool_choice),
        None,
        params.max_tokens,
        Sampling(
            params.temperature,
            params.p,
            params.k,
            params.seed,
            tuple(params.stop_sequences or ()),
            params.presence_penalty,
            params.frequency_penalty,
            logprobs=params.logprobs,
        ),
        _format(form) if form is not None else None,
        ReasoningOptions(thinking.type, None, thinking.token_budget) if thinking else None,
        stream=params.stream or False,
        wire=NAME,
        spelling=frozenset({STREAM}) if params.stream is False else frozenset(),
        extra=Extra(NAME, rest, "", _CONTENT_FIELDS.intersection(rest)) if rest else None,
    )


def _message(message: schema.Message, unknown: Mapping[str, Raw], at: str) -> Message:
    bare = isinstance(message.content, str)
    own = {
        pointer: raw
        for pointer, raw in unknown.items()
        if not pointer.startswith(("/content/", "/tool_calls/"))
    }
    kept = extra.keep(own, NAME, at)
    found = content.parts(message.content, unknown, at)
    if message.role == "tool":
        if message.tool_call_id is None:
            param = f"{extra.pointer_to_path(at)}.tool_call_id"
            raise InvalidRequest(f"{param}: field required", param=param)
        result = ToolResult(message.tool_call_id, tuple(_results(found)), bare=bare)
        return Message("user", (result,), extra=kept)
    if message.citations:
        if all(map(content.is_textual, message.citations)):
            found = content.cited(found, message.citations)
        else:
            raw = Raw(msgspec.json.encode(message.citations))
            kept = Extra(NAME, {**own, "/citations": raw}, at)
    parts: list[Part] = found
    if message.tool_plan is not None:
        parts = [content.plan(message.tool_plan, at), *parts]
    parts = [*parts, *content.calls(message.tool_calls or (), unknown, at)]
    return Message(message.role, tuple(parts), None, bare, kept)


def _results(found: Sequence[Part]) -> list[ResultPart]:
    return [part for part in found if isinstance(part, Text | Blob | Uri | Generic)]


def _tools(
    tools: Sequence[schema.Tool], unknown: Mapping[str, Raw]
) -> tuple[Tool | GenericTool, ...]:
    out: list[Tool | GenericTool] = []
    for index, tool in enumerate(tools):
        at = f"/tools/{index}"
        if tool.function is None:
            param = f"tools[{index}].function"
            raise InvalidRequest(f"{param}: field required", param=param)
        function = tool.function
        kept = extra.keep(content.of(unknown, at), NAME, at)
        parameters = function.parameters or None
        out.append(Tool(function.name, function.description, parameters, extra=kept))
    return tuple(out)


def _choice(said: str | None) -> ToolChoice | None:
    if said is None:
        return None
    return ToolChoice("required" if said == "REQUIRED" else "none")


def _format(form: schema.ResponseFormat) -> ResponseFormat:
    if form.type == "text":
        return ResponseFormat("text")
    if form.json_schema and bytes(form.json_schema) != b"null":
        return ResponseFormat("json_schema", schema=form.json_schema)
    return ResponseFormat("json_object")
