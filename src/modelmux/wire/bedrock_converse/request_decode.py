"""Bodies of `Converse` and `ConverseStream` to the neutral request.

The model's name and whether the answer is streamed are in the path, and so not in the body.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Literal

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import CacheControl, Extra
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
from modelmux.wire.bedrock_converse import content_decode, schema
from modelmux.wire.bedrock_converse.schema import NAME

LEADING_SYSTEM_TURN: Final = "/messages/0"
"""The first system message is a turn in `messages`, and there is no `system`."""

_CONTENT_FIELDS: Final = frozenset({"/guardrailConfig", "/promptVariables"})
"""Fields without which the model is told something else, or may say more."""

_body = extra.Schema(schema.ConverseRequest)
_spec = extra.Schema(schema.ToolSpec)
_point = msgspec.json.Decoder(schema.CachePoint)
_object = msgspec.json.Decoder(dict[str, Raw])
_named = msgspec.json.Decoder(dict[str, dict[str, Raw]])
_string = msgspec.json.Decoder(str)

_reader = content_decode.Reader(InvalidRequest)


def envelope(body: bytes) -> Envelope:
    """What a body says without its path, which is nothing. Raises `InvalidRequest`."""
    try:
        _object.decode(body)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc) from None
    return Envelope("")


def decode(body: bytes) -> Request:
    """The neutral request. Raises `InvalidRequest`, naming the field."""
    params, unknown = _body.decode(body)
    rest, of_messages = _apart(unknown)
    spelling: set[str] = set()
    messages = params.messages or []
    if params.system is None and messages and messages[0].role == "system":
        spelling.add(LEADING_SYSTEM_TURN)
    config = params.inferenceConfig or schema.InferenceConfiguration()
    tools, choice = _tools(params.toolConfig)
    form, reasoning = _output(params.outputConfig)
    return Request(
        "",
        (*_system(params.system), *_messages(messages, of_messages)),
        tools,
        choice,
        None,
        config.maxTokens,
        Sampling(config.temperature, config.topP, stop=tuple(config.stopSequences or ())),
        form,
        reasoning,
        metadata=params.requestMetadata or {},
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


def _system(blocks: Sequence[Raw] | None) -> Sequence[Message]:
    if blocks is None:
        return ()
    return (Message("system", _reader.parts(blocks, "/system")),)


def _messages(
    messages: Sequence[schema.Message], unknown: Mapping[int, Mapping[str, Raw]]
) -> Sequence[Message]:
    out: list[Message] = []
    for index, message in enumerate(messages):
        at = f"/messages/{index}"
        kept = extra.keep(unknown[index], NAME, at) if index in unknown else None
        parts = _reader.parts(message.content, f"{at}/content")
        out.append(Message(message.role, parts, extra=kept))
    return out


def _tools(
    config: schema.ToolConfiguration | None,
) -> tuple[tuple[Tool | GenericTool, ...], ToolChoice | None]:
    if config is None:
        return (), None
    out: list[Tool | GenericTool] = []
    for index, raw in enumerate(config.tools):
        tool = _tool(raw, f"/toolConfig/tools/{index}")
        if not isinstance(tool, CacheControl):
            out.append(tool)
            continue
        last = out[-1] if out else None
        if isinstance(last, Tool) and last.cache_control is None:
            out[-1] = replace(last, cache_control=tool)
        else:
            out.append(GenericTool("cachePoint", "", NAME, raw))
    return tuple(out), _choice(config.toolChoice)


def _tool(raw: Raw, at: str) -> Tool | GenericTool | CacheControl:
    try:
        keys = _object.decode(raw)
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, at) from None
    if "toolSpec" in keys:
        found, unknown = _spec.decode(raw, at)
        spec = found.toolSpec
        return Tool(
            spec.name,
            spec.description,
            spec.inputSchema.json,
            spec.strict,
            extra=extra.keep(unknown, NAME, at),
        )
    if "cachePoint" in keys:
        try:
            return CacheControl(_point.decode(raw).cachePoint.ttl)
        except extra.MALFORMED:
            return GenericTool("cachePoint", "", NAME, raw)
    type_ = next(iter(keys), "")
    return GenericTool(type_, _name(raw, type_), NAME, raw)


def _name(raw: Raw, type_: str) -> str:
    try:
        return _string.decode(_named.decode(raw)[type_]["name"])
    except (KeyError, *extra.MALFORMED):
        return ""


def _choice(choice: schema.ToolChoice | None) -> ToolChoice | None:
    if choice is None:
        return None
    if choice.tool is not None:
        return ToolChoice("named", (choice.tool.name,))
    mode: Literal["required", "auto"] = "required" if choice.any else "auto"
    return ToolChoice(mode)


def _output(
    config: schema.OutputConfig | None,
) -> tuple[ResponseFormat | None, ReasoningOptions | None]:
    if config is None:
        return None, None
    form = None
    if config.textFormat is not None:
        definition = config.textFormat.structure.jsonSchema
        param = "outputConfig.textFormat.structure.jsonSchema.schema"
        try:
            raw = definition.schema.encode()
            _object.decode(raw)
        except (UnicodeEncodeError, *extra.MALFORMED):
            raise InvalidRequest(f"{param}: expected JSON in a string", param=param) from None
        form = ResponseFormat(
            "json_schema", definition.name, definition.description, Raw(raw), None
        )
    reasoning = ReasoningOptions(effort=config.effort) if config.effort is not None else None
    return form, reasoning
