"""Bodies of `POST /v1/messages` and `/v1/messages/count_tokens` to the neutral request."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeVar

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Extra, Text
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
from modelmux.wire.anthropic_messages import block_decode, schema
from modelmux.wire.anthropic_messages.schema import NAME

STREAM = "/stream"
"""The caller wrote `stream` although it is false."""
LEADING_SYSTEM_TURN = "/messages/0"
"""The first system message is a turn in `messages`, and there is no `system`."""
OUTPUT_FORMAT = "/output_format"
"""The format of the answer stands in the field's older place."""
TOOL_TYPE = "/tools/{}/type"
"""The caller wrote the `type` of a tool of its own, which is `custom` anyway."""

_CONTENT_FIELDS = frozenset({"/compaction", "/container", "/mcp_servers", "/thread"})
"""Fields without which the model is told something else, or can do less."""

_MODES: Mapping[str, Literal["enabled", "disabled", "adaptive"]] = {
    "enabled": "enabled",
    "disabled": "disabled",
    "adaptive": "adaptive",
}
_CHOICES: Mapping[str, Literal["auto", "none", "required", "named"]] = {
    "auto": "auto",
    "none": "none",
    "any": "required",
    "tool": "named",
}

S = TypeVar("S", bound=Struct)

_body = extra.Schema(schema.MessageCreateParams)
_tool_param = extra.Schema(schema.ToolParam)
_tool_choice = extra.Schema(schema.ToolChoice)
_thinking = extra.Schema(schema.ThinkingConfig)
_output_config = extra.Schema(schema.OutputConfig)
_output_format = extra.Schema(schema.OutputFormat)
_envelope = msgspec.json.Decoder(schema.Envelope)
_named_tool = msgspec.json.Decoder(schema.NamedTool)

_reader = block_decode.Reader(InvalidRequest)


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
    if params.max_tokens is None:
        raise InvalidRequest("max_tokens: field required", param="max_tokens")
    return _request(params, unknown)


def decode_count(body: bytes) -> Request:
    """The same for a body of `count_tokens`, which has no `max_tokens`."""
    return _request(*_body.decode(body))


def _request(params: schema.MessageCreateParams, unknown: Mapping[str, Raw]) -> Request:
    rest, of_messages = _apart(unknown) if unknown else ({}, {})
    spelling: set[str] = set()
    if params.stream is False:
        spelling.add(STREAM)
    if params.system is None and params.messages and params.messages[0].role == "system":
        spelling.add(LEADING_SYSTEM_TURN)
    choice, parallel = _choice(params.tool_choice, rest) if params.tool_choice else (None, None)
    reasoning = response_format = None
    if params.thinking or params.output_config or params.output_format:
        reasoning, response_format = _output(params, rest, spelling)
    stop = params.stop_sequences
    return Request(
        params.model,
        _messages(params, of_messages),
        _tools(params.tools, spelling) if params.tools else (),
        choice,
        parallel,
        params.max_tokens,
        Sampling(params.temperature, params.top_p, params.top_k, None, tuple(stop) if stop else ()),
        response_format,
        reasoning,
        stream=params.stream or False,
        user=params.metadata.user_id if params.metadata else None,
        wire=NAME,
        spelling=frozenset(spelling),
        extra=Extra(NAME, rest, "", _CONTENT_FIELDS.intersection(rest)) if rest else None,
    )


def _apart(unknown: Mapping[str, Raw]) -> tuple[dict[str, Raw], dict[int, dict[str, Raw]]]:
    """Fields of the body, and fields of its messages by index, by pointer relative to each."""
    rest: dict[str, Raw] = {}
    of_messages: dict[int, dict[str, Raw]] = {}
    for pointer, raw in unknown.items():
        if pointer.startswith("/messages/"):
            index, _, field = pointer.removeprefix("/messages/").partition("/")
            of_messages.setdefault(int(index), {})[f"/{field}"] = raw
        else:
            rest[pointer] = raw
    return rest, of_messages


def _messages(
    params: schema.MessageCreateParams, unknown: Mapping[int, Mapping[str, Raw]]
) -> tuple[Message, ...]:
    out: list[Message] = []
    if isinstance(params.system, str):
        out.append(Message("system", (Text(params.system),), None, True))
    elif params.system is not None:
        out.append(Message("system", _reader.parts(params.system, "/system")))
    for index, message in enumerate(params.messages):
        kept = block_decode.keep(unknown[index], f"/messages/{index}") if index in unknown else None
        content = message.content
        if isinstance(content, str):
            out.append(Message(message.role, (Text(content),), None, True, kept))
        else:
            parts = _reader.parts(content, f"/messages/{index}/content")
            out.append(Message(message.role, parts, None, False, kept))
    return tuple(out)


def _tools(raws: Sequence[Raw], spelling: set[str]) -> tuple[Tool | GenericTool, ...]:
    out: list[Tool | GenericTool] = []
    for index, raw in enumerate(raws):
        at = f"/tools/{index}"
        try:
            named = _named_tool.decode(raw)
        except extra.MALFORMED as exc:
            raise extra.invalid(exc, at) from None
        if named.type not in {None, "custom"}:
            out.append(GenericTool(named.type or "", named.name or "", NAME, raw))
            continue
        param, unknown = _tool_param.decode(raw, at)
        if param.type is not None:
            spelling.add(TOOL_TYPE.format(index))
        out.append(
            Tool(
                param.name,
                param.description,
                param.input_schema,
                param.strict,
                block_decode.cache(param.cache_control),
                block_decode.keep(unknown, at),
            )
        )
    return tuple(out)


def _choice(raw: Raw, rest: dict[str, Raw]) -> tuple[ToolChoice | None, bool | None]:
    """The tool choice, and whether several tools may be called at once."""
    choice = _nested(_tool_choice, raw, "/tool_choice", rest)
    if choice is None:
        return None, None
    mode = _CHOICES.get(choice.type)
    if mode is None:
        rest["/tool_choice"] = raw
        return None, None
    if mode == "named" and choice.name is None:
        raise InvalidRequest("tool_choice.name: field required", param="tool_choice.name")
    single = choice.disable_parallel_tool_use
    names = (choice.name,) if choice.name is not None else ()
    return ToolChoice(mode, names), None if single is None else not single


def _output(
    params: schema.MessageCreateParams, rest: dict[str, Raw], spelling: set[str]
) -> tuple[ReasoningOptions | None, ResponseFormat | None]:
    """What `thinking`, `output_config` and `output_format` say."""
    mode = budget = None
    thinking = _nested(_thinking, params.thinking, "/thinking", rest)
    if thinking is not None:
        mode, budget = _MODES.get(thinking.type), thinking.budget_tokens
        if mode is None:  # such as `between_tools`
            rest["/thinking"] = params.thinking
    config = _nested(_output_config, params.output_config, "/output_config", rest)
    effort = config.effort if config else None
    reasoning = None
    if mode is not None or effort is not None:
        reasoning = ReasoningOptions(mode, effort, budget)
    response_format = None
    if config is not None:
        response_format = _format(config.format, "/output_config/format", rest)
    if response_format is None:
        response_format = _format(params.output_format, "/output_format", rest)
        if response_format is not None:
            spelling.add(OUTPUT_FORMAT)
    elif params.output_format:
        rest["/output_format"] = params.output_format
    return reasoning, response_format


def _format(raw: Raw, at: str, rest: dict[str, Raw]) -> ResponseFormat | None:
    found = _nested(_output_format, raw, at, rest)
    if found is None:
        return None
    if found.type != "json_schema":
        rest[at] = raw
        return None
    if not found.schema:
        param = extra.pointer_to_path(at) + ".schema"
        raise InvalidRequest(f"{param}: field required", param=param)
    return ResponseFormat("json_schema", schema=found.schema)


def _nested(nested: extra.Schema[S], raw: Raw, at: str, rest: dict[str, Raw]) -> S | None:
    """An object at `at`, whose unknown fields go to `rest`; `None` where there is none."""
    if not raw or bytes(raw) == b"null":
        return None
    found, unknown = nested.decode(raw, at)
    for pointer, field in unknown.items():
        rest[at + pointer] = field
    return found
