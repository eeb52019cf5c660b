"""A request that came from this wire, written back as it was said.

Nothing is cleaned up: what the caller wrote, the caller meant. Only what another hand put into
the request may be unsayable.
"""

from collections.abc import Sequence
from typing import assert_never

import msgspec
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import (
    Blob,
    File,
    Generic,
    Part,
    Reasoning,
    Refusal,
    ServerToolCall,
    ServerToolResult,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.request import (
    Encoded,
    GenericTool,
    Loss,
    Message,
    Request,
    Tool,
)
from modelmux.wire import extra
from modelmux.wire.anthropic_messages import block_encode, request_decode, tools
from modelmux.wire.anthropic_messages.block_encode import Block
from modelmux.wire.anthropic_messages.schema import NAME

_CHOICES = {"auto": "auto", "none": "none", "required": "any", "named": "tool", "allowed": "auto"}
_ANY_OBJECT = Raw(b'{"type":"object"}')
_HOLDERS = ("metadata", "output_config")
"""Objects that may hold nothing but fields the neutral model does not know."""


def encode(request: Request) -> Encoded:
    """The body, and what of it another hand put in and cannot be said."""
    losses: list[Loss] = []
    body: Block = {"model": request.model}
    if request.max_tokens is not None:
        body["max_tokens"] = request.max_tokens
    system, messages = _split(request)
    if system is not None:
        body["system"] = _content(system, "/system", losses)
    first = len(request.messages) - len(messages)
    body["messages"] = [
        _message(message, f"/messages/{index}", losses)
        for index, message in enumerate(messages, first)
    ]
    if request.tools:
        body["tools"] = _tools(request, losses)
    _tool_choice(request, body)
    _output(request, body)
    _settings(request, body)
    for name in _HOLDERS:
        if request.extra is not None and any(
            pointer.startswith(f"/{name}/") for pointer in request.extra.fields
        ):
            body.setdefault(name, {})
    return Encoded(msgspec.json.encode(extra.merge(body, request.extra, NAME)), tuple(losses))


def _split(request: Request) -> tuple[Message | None, Sequence[Message]]:
    """The system prompt, and the turns."""
    first = request.messages[0] if request.messages else None
    turn = request_decode.LEADING_SYSTEM_TURN in request.spelling
    if first is None or turn or first.role not in {"system", "developer"}:
        return None, request.messages
    return first, request.messages[1:]


def _message(message: Message, path: str, losses: list[Loss]) -> Block:
    role = "system" if message.role == "developer" else message.role
    out: Block = {"role": role, "content": _content(message, path, losses)}
    return extra.merge(out, message.extra, NAME) if message.extra else out


def _content(message: Message, path: str, losses: list[Loss]) -> object:
    if message.bare and len(message.parts) == 1:
        part = message.parts[0]
        if isinstance(part, Text) and part == Text(part.text):  # without marks
            return part.text
    return _blocks(message.parts, path, losses)


def _blocks(parts: Sequence[Part], path: str, losses: list[Loss]) -> list[object]:
    out: list[object] = []
    for place, part in enumerate(parts):
        at = f"{path}/parts/{place}"
        block = _block(part, at, losses)
        if isinstance(block, str):
            losses.append(Loss(at, block, "content"))
        elif block is not None:
            out.append(block)
    return out


def _block(part: Part, path: str, losses: list[Loss]) -> Block | Raw | str | None:
    """The block for `part`; or why there is none; `None` where `losses` says so."""
    match part:
        case Text():
            return block_encode.text(part, block_encode.own_citations(part.citations))
        case ToolCall():
            return block_encode.tool_use(part, part.name, _arguments(part, path))
        case ToolResult():
            return _tool_result(part, path, losses)
        case Reasoning(origin=origin):
            if origin != NAME:
                losses.append(Loss(path, f"{NAME} takes back its own thinking only"))
                return None
            return block_encode.reasoning(part)
        case Blob() | Uri() | File():
            return block_encode.media(part, as_said=True)
        case Generic() | ServerToolResult() | ServerToolCall():
            return _foreign_or_own(part)
        case Refusal(text=text):
            return {"type": "text", "text": text}
        case _:
            assert_never(part)


def _foreign_or_own(part: Generic | ServerToolResult | ServerToolCall) -> Block | Raw | str:
    if isinstance(part, ServerToolCall):
        if part.origin == NAME:
            return block_encode.server_tool_use(part)
        return f"{NAME} does not run {part.name!r}"
    return part.raw if part.wire == NAME else f"{NAME} has no {part.type!r} content"


def _arguments(part: ToolCall, path: str) -> Raw:
    arguments = None if part.custom else block_encode.arguments(part.arguments)
    if arguments is None:
        where = extra.pointer_to_path(path.partition("/parts/")[0])
        raise InvalidRequest(
            f"{where}: the arguments of the call of {part.name!r} are not a JSON object",
            param=where,
        )
    return arguments


def _tool_result(part: ToolResult, path: str, losses: list[Loss]) -> Block:
    block: Block = {"type": "tool_result", "tool_use_id": part.id}
    only = part.parts[0] if len(part.parts) == 1 else None
    if part.bare and isinstance(only, Text) and only == Text(only.text):  # without marks
        block["content"] = only.text
    elif part.parts:
        block["content"] = _blocks(part.parts, path, losses)
    if part.is_error is not None:
        block["is_error"] = part.is_error
    if part.cache_control is not None:
        block["cache_control"] = block_encode.cache(part.cache_control)
    return extra.merge(block, part.extra, NAME) if part.extra else block


def _tools(request: Request, losses: list[Loss]) -> list[object]:
    out: list[object] = []
    for index, tool in enumerate(request.tools):
        match tool:
            case Tool():
                block = tools.definition(tool, tool.name, tool.parameters or _ANY_OBJECT)
                if request_decode.TOOL_TYPE.format(index) in request.spelling:
                    block["type"] = "custom"
                out.append(block)
            case GenericTool(wire=wire, raw=raw) if wire == NAME:
                out.append(raw)
            case GenericTool(name=name):
                losses.append(Loss(f"/tools/{index}", f"{NAME} has no tool {name!r}", "content"))
            case _:
                assert_never(tool)
    return out


def _tool_choice(request: Request, body: Block) -> None:
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if choice is None and (parallel is None or not request.tools):
        return
    out: Block = {"type": _CHOICES[choice.mode] if choice else "auto"}
    if choice is not None and choice.mode == "named":
        out["name"] = choice.names[0]
    if parallel is not None:
        out["disable_parallel_tool_use"] = not parallel
    body["tool_choice"] = out


def _output(request: Request, body: Block) -> None:
    """`thinking`, `output_config` and `output_format`."""
    reasoning, form = request.reasoning, request.response_format
    config: Block = {}
    if reasoning is not None and reasoning.mode is not None:
        thinking: Block = {"type": reasoning.mode}
        if reasoning.budget_tokens is not None:
            thinking["budget_tokens"] = reasoning.budget_tokens
        body["thinking"] = thinking
    if reasoning is not None and reasoning.effort is not None:
        config["effort"] = reasoning.effort
    if form is not None and form.schema is not None:
        output_format: Block = {"type": "json_schema", "schema": form.schema}
        if request_decode.OUTPUT_FORMAT in request.spelling:
            body["output_format"] = output_format
        else:
            config["format"] = output_format
    if config:
        body["output_config"] = config


def _settings(request: Request, body: Block) -> None:
    sampling = request.sampling
    for name in ("temperature", "top_p", "top_k"):
        value: float | None = getattr(sampling, name)
        if value is not None:
            body[name] = value
    if sampling.stop:
        body["stop_sequences"] = sampling.stop
    if request.user is not None:
        body["metadata"] = {"user_id": request.user}
    if request.stream or request_decode.STREAM in request.spelling:
        body["stream"] = request.stream
