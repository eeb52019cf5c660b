"""Tools of free text as functions, for models that know no others.

Such a tool becomes a function with one string, `input`, and calls of it in the conversation become
calls of that function. What the model then writes is made free text again by `restore`.
"""

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.ir.parts import Part, ToolCall
from modelmux.ir.request import GenericTool, Grammar, Message, Request, Tool

_PARAMETERS = Raw(
    b'{"type":"object","properties":{"input":{"type":"string"}},'
    b'"required":["input"],"additionalProperties":false}'
)


def names(request: Request) -> frozenset[str]:
    """Names of the tools of a request that take free text."""
    return frozenset([t.name for t in request.tools if isinstance(t, Tool) and t.custom])


def as_functions(request: Request) -> Request:
    """`request` with every custom tool, and every call of one, as a function's."""
    tools = tuple([_function(tool) for tool in request.tools])
    messages = tuple([_message(message) for message in request.messages])
    return replace(request, tools=tools, messages=messages)


def _function(tool: Tool | GenericTool) -> Tool | GenericTool:
    if not isinstance(tool, Tool) or not tool.custom:
        return tool
    description = "\n\n".join(filter(None, (tool.description, _rules(tool.grammar))))
    return replace(
        tool,
        description=description or None,
        parameters=_PARAMETERS,
        custom=False,
        grammar=None,
    )


def _rules(grammar: Grammar | None) -> str:
    if grammar is None:
        return ""
    return f"`input` follows this {grammar.syntax} grammar:\n{grammar.definition}"


def _message(message: Message) -> Message:
    if not any(isinstance(part, ToolCall) and part.custom for part in message.parts):
        return message
    return replace(message, parts=tuple([_call(part) for part in message.parts]))


def _call(part: Part) -> Part:
    if not isinstance(part, ToolCall) or not part.custom:
        return part
    arguments = msgspec.json.encode({"input": part.arguments}).decode()
    return replace(part, arguments=arguments, custom=False)
