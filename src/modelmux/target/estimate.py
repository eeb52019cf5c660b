"""A guess at how many tokens a prompt has."""

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
from modelmux.ir.request import GenericTool, Request, Tool

BYTES_PER_TOKEN = 4
"""English prose and code come to about four bytes a token in the vocabularies of 2023 and later."""

TOKENS_PER_MESSAGE = 4
"""The role and its delimiters."""

TOKENS_PER_MEDIUM = 1500
"""About an image of a megapixel: width x height / 750.
https://docs.anthropic.com/en/docs/build-with-claude/vision, read 2026-11-20."""


def input_tokens(request: Request) -> int:
    """About how many tokens the prompt of `request` has."""
    size = sum(_tool_bytes(tool) for tool in request.tools)
    media = 0
    for message in request.messages:
        for part in message.parts:
            part_bytes, part_media = _weigh(part)
            size += part_bytes
            media += part_media
    count = size // BYTES_PER_TOKEN
    return count + media * TOKENS_PER_MEDIUM + len(request.messages) * TOKENS_PER_MESSAGE


def text_tokens(text: str) -> int:
    """About how many tokens `text` has; at least one if it is not empty."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def _tool_bytes(tool: Tool | GenericTool) -> int:
    if isinstance(tool, GenericTool):
        return len(bytes(tool.raw))
    schema = len(bytes(tool.parameters)) if tool.parameters is not None else 0
    return len(tool.name) + len((tool.description or "").encode()) + schema


def _weigh(part: Part) -> tuple[int, int]:
    """Bytes of text in `part`, and how many media it has."""
    match part:
        case Text(text=text) | Refusal(text=text) | Reasoning(text=text):
            return len(text.encode()), 0
        case (
            ToolCall(name=name, arguments=arguments)
            | ServerToolCall(name=name, arguments=arguments)
        ):
            return len(name) + len(arguments.encode()), 0
        case ToolResult(parts=parts):
            weights = [_weigh(inner) for inner in parts]
            return sum(size for size, _ in weights), sum(media for _, media in weights)
        case Generic(raw=raw) | ServerToolResult(raw=raw):
            return len(bytes(raw)), 0
        case Blob() | Uri() | File():
            return 0, 1
