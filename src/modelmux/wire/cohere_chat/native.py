"""A request that came from this wire, written back as it was said.

Nothing is cleaned up: what the caller wrote, the caller meant. Only what another hand put into
the request may be unsayable.
"""

from collections.abc import Sequence

import msgspec

from modelmux.ir.parts import (
    Blob,
    Generic,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Uri,
)
from modelmux.ir.request import Encoded, Loss, Message, Request, Tool
from modelmux.wire import extra
from modelmux.wire.cohere_chat import content
from modelmux.wire.cohere_chat.content import Block
from modelmux.wire.cohere_chat.request_decode import STREAM
from modelmux.wire.cohere_chat.schema import NAME


def encode(request: Request) -> Encoded:
    """The body, and what of it another hand put in and cannot be said."""
    losses: list[Loss] = []
    body: Block = {"model": request.model}
    body["messages"] = [
        _message(message, f"/messages/{index}", losses)
        for index, message in enumerate(request.messages)
    ]
    if request.stream or STREAM in request.spelling:
        body["stream"] = request.stream
    if request.tools:
        body["tools"] = [
            tool_block(tool, tool.name) for tool in request.tools if isinstance(tool, Tool)
        ]
    choice = request.tool_choice
    if choice is not None:
        body["tool_choice"] = "NONE" if choice.mode == "none" else "REQUIRED"
    form = request.response_format
    if form is not None:
        said: Block = {"type": "text" if form.type == "text" else "json_object"}
        if form.schema is not None:
            said["json_schema"] = form.schema
        body["response_format"] = said
    thinking = request.reasoning
    if thinking is not None and thinking.mode is not None:
        config: Block = {"type": thinking.mode}
        if thinking.budget_tokens is not None:
            config["token_budget"] = thinking.budget_tokens
        body["thinking"] = config
    body.update(sampling(request))
    return Encoded(msgspec.json.encode(extra.merge(body, request.extra, NAME)), tuple(losses))


def sampling(request: Request) -> Block:
    """Limits, and how tokens are chosen."""
    asked = request.sampling
    said: Block = {
        "max_tokens": request.max_tokens,
        "temperature": asked.temperature,
        "p": asked.top_p,
        "k": asked.top_k,
        "seed": asked.seed,
        "stop_sequences": asked.stop or None,
        "presence_penalty": asked.presence_penalty,
        "frequency_penalty": asked.frequency_penalty,
        "logprobs": asked.logprobs,
    }
    return {name: value for name, value in said.items() if value is not None}


def tool_block(tool: Tool, name: str) -> Block:
    """A tool as the API has it."""
    function: Block = {"name": name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    return extra.merge({"type": "function", "function": function}, tool.extra, NAME)


def _message(message: Message, path: str, losses: list[Loss]) -> Block:
    parts = message.parts
    first = parts[0] if parts else None
    if len(parts) == 1 and isinstance(first, ToolResult):
        out: Block = {"role": "tool", "tool_call_id": first.id}
        out["content"] = _content(first.parts, first.bare, f"{path}/parts/0", losses)
        return extra.merge(out, message.extra, NAME)
    role = "system" if message.role == "developer" else message.role
    out = {"role": role}
    said = [part for part in parts if not isinstance(part, ToolCall) and not _is_plan(part)]
    if said:
        out["content"] = _content(said, message.bare, path, losses)
    plans = [part.text for part in parts if isinstance(part, Reasoning) and _is_plan(part)]
    if plans:
        out["tool_plan"] = "".join(plans)
    calls = [
        content.tool_call(part, part.id, part.name, part.arguments)
        for part in parts
        if isinstance(part, ToolCall)
    ]
    if calls:
        out["tool_calls"] = calls
    cited = content.citations(parts)
    if cited:
        out["citations"] = cited
    return extra.merge(out, message.extra, NAME)


def _is_plan(part: Part) -> bool:
    return isinstance(part, Reasoning) and content.is_plan(part)


def _content(parts: Sequence[Part], bare: bool, path: str, losses: list[Loss]) -> object:
    if bare and len(parts) == 1 and isinstance(parts[0], Text) and parts[0].extra is None:
        return parts[0].text
    out: list[object] = []
    for place, part in enumerate(parts):
        block = _block(part)
        if isinstance(block, str):
            losses.append(Loss(f"{path}/parts/{place}", block, "content"))
        else:
            out.append(block)
    return out


def _block(part: Part) -> object:
    """The piece of content that says `part`; or, as text, why there is none."""
    match part:
        case Text():
            return content.text(part)
        case Refusal(text=text):
            return {"type": "text", "text": text}
        case Reasoning(origin=origin) if origin == NAME:
            return content.thinking(part)
        case Blob() | Uri():
            return content.image(part)
        case Generic(wire=wire, raw=raw) if wire == NAME:
            return raw
        case _:
            return f"{NAME} has no such content"
