"""A request that came from this wire, written back as it was said.

Nothing is cleaned up: what the caller wrote, the caller meant. Only what another hand put into
the request may be unsayable.
"""

from collections.abc import Sequence
from typing import assert_never

import msgspec
from msgspec import Raw

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
from modelmux.ir.request import Encoded, GenericTool, Loss, Message, Request, Tool, ToolChoice
from modelmux.wire import extra
from modelmux.wire.bedrock_converse import content_encode
from modelmux.wire.bedrock_converse.content_encode import Block
from modelmux.wire.bedrock_converse.request_decode import LEADING_SYSTEM_TURN
from modelmux.wire.bedrock_converse.schema import NAME


def encode(request: Request) -> Encoded:
    """The body, and what of it another hand put in and cannot be said."""
    losses: list[Loss] = []
    body: Block = {}
    messages = request.messages
    first = 0
    leads = LEADING_SYSTEM_TURN in request.spelling
    if messages and messages[0].role in {"system", "developer"} and not leads:
        body["system"] = _blocks(messages[0].parts, "/messages/0", losses)
        first = 1
    body["messages"] = [
        _message(message, f"/messages/{index}", losses)
        for index, message in enumerate(messages[first:], first)
    ]
    config = inference(request)
    if config:
        body["inferenceConfig"] = config
    if request.tools:
        body["toolConfig"] = _tool_config(request, losses)
    output = _output(request)
    if output:
        body["outputConfig"] = output
    if request.metadata:
        body["requestMetadata"] = request.metadata
    for name in ("inferenceConfig", "outputConfig"):
        if request.extra is not None and any(
            pointer.startswith(f"/{name}/") for pointer in request.extra.fields
        ):
            body.setdefault(name, {})
    return Encoded(msgspec.json.encode(extra.merge(body, request.extra, NAME)), tuple(losses))


def inference(request: Request) -> Block:
    """How much is written, and how tokens are chosen."""
    said: Block = {
        "maxTokens": request.max_tokens,
        "temperature": request.sampling.temperature,
        "topP": request.sampling.top_p,
        "stopSequences": request.sampling.stop or None,
    }
    return {name: value for name, value in said.items() if value is not None}


def _message(message: Message, path: str, losses: list[Loss]) -> Block:
    role = "system" if message.role == "developer" else message.role
    out: Block = {"role": role, "content": _blocks(message.parts, path, losses)}
    return extra.merge(out, message.extra, NAME)


def _blocks(parts: Sequence[Part], path: str, losses: list[Loss]) -> list[object]:
    out: list[object] = []
    for place, part in enumerate(parts):
        at = f"{path}/parts/{place}"
        block = _block(part, at, losses)
        if isinstance(block, str):
            losses.append(Loss(at, block, "content"))
            continue
        out.append(block)
        marker = getattr(part, "cache_control", None)
        if marker is not None:
            out.append(content_encode.cache_point(marker))
    return out


def _block(part: Part, path: str, losses: list[Loss]) -> Block | Raw | str:
    """The block for `part`; or why there is none."""
    match part:
        case Text():
            return content_encode.text(part)
        case ToolCall():
            return content_encode.tool_use(
                part, part.id, part.name, content_encode.any_arguments(part)
            )
        case ToolResult():
            return _result(part, path, losses)
        case Reasoning(origin=origin):
            if origin != NAME:
                return f"{NAME} takes back its own thinking only"
            return content_encode.reasoning(part)
        case Blob() | Uri():
            return content_encode.blob(part, part.name, as_said=True)
        case Generic(wire=wire, raw=raw) | ServerToolResult(wire=wire, raw=raw):
            return raw if wire == NAME else f"{NAME} has no {part.type!r} content"
        case Refusal(text=text):
            return {"text": text}
        case File() | ServerToolCall():
            return f"{NAME} has no such content"
        case _:
            assert_never(part)


def _result(part: ToolResult, path: str, losses: list[Loss]) -> Block:
    result: Block = {"toolUseId": part.id, "content": _blocks(part.parts, path, losses)}
    if part.is_error is not None:
        result["status"] = "error" if part.is_error else "success"
    return extra.merge({"toolResult": result}, part.extra, NAME)


def _tool_config(request: Request, losses: list[Loss]) -> Block:
    tools: list[object] = []
    for index, tool in enumerate(request.tools):
        if isinstance(tool, GenericTool):
            if tool.wire == NAME:
                tools.append(tool.raw)
            else:
                reason = f"{NAME} has no tool of type {tool.type!r}"
                losses.append(Loss(f"/tools/{index}", reason, "content"))
            continue
        tools.append(specification(tool, tool.name, tool.parameters))
        if tool.cache_control is not None:
            tools.append(content_encode.cache_point(tool.cache_control))
    config: Block = {"tools": tools}
    if request.tool_choice is not None:
        config["toolChoice"] = choice(request.tool_choice)
    return config


def specification(tool: Tool, name: str, parameters: Raw | None) -> Block:
    """A tool as the API has it, its unknown fields included."""
    spec: Block = {"name": name}
    if tool.description:
        spec["description"] = tool.description
    spec["inputSchema"] = {"json": parameters or Raw(b'{"type":"object"}')}
    if tool.strict is not None:
        spec["strict"] = tool.strict
    return extra.merge({"toolSpec": spec}, tool.extra, NAME)


def choice(asked: ToolChoice) -> Block:
    """The choice among tools; what this wire has no word for is left to the model."""
    match asked.mode:
        case "named":
            return {"tool": {"name": asked.names[0]}}
        case "required":
            return {"any": {}}
        case "auto" | "none" | "allowed":
            return {"auto": {}}
        case _:
            assert_never(asked.mode)


def _output(request: Request) -> Block:
    out: Block = {}
    form = request.response_format
    if form is not None and form.schema is not None:
        out["textFormat"] = text_format(form.schema, form.name, form.description)
    if request.reasoning is not None and request.reasoning.effort is not None:
        out["effort"] = request.reasoning.effort
    return out


def text_format(schema: Raw, name: str | None, description: str | None) -> Block:
    """The form of an answer as the API has it. Raises `InvalidRequest`: it is no text."""
    definition: Block = {"schema": schema_text(schema)}
    if name is not None:
        definition["name"] = name
    if description is not None:
        definition["description"] = description
    return {"type": "json_schema", "structure": {"jsonSchema": definition}}


def schema_text(schema: Raw) -> str:
    """A schema as text. Raises `InvalidRequest`: it is none."""
    try:
        return bytes(schema).decode()
    except UnicodeDecodeError as exc:
        raise extra.invalid(exc, "/response_format/schema") from None
