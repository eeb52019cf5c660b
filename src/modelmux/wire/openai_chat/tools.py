"""Neutral tools and tool choices as a request's."""

from collections.abc import Iterable

from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.request import GenericTool, Loss, Request, Tool, ToolChoice
from modelmux.wire import extra
from modelmux.wire.openai.names import Names
from modelmux.wire.openai.values import objects
from modelmux.wire.openai_chat import calls, markers
from modelmux.wire.openai_chat.content import Json
from modelmux.wire.openai_chat.request_decode import ANY
from modelmux.wire.openai_chat.schema import NAME

_NO_PROPERTIES = Raw(b"{}")


def encode(request: Request, names: Names | None, losses: list[Loss], out: Json) -> None:
    """Write the tools, which of them to call, and how many at once.

    Args:
        request: With the tools.
        names: What tools are called here; `None`: the request came on this wire.
        losses: Where what cannot be said is noted.
        out: The body.
    """
    legacy = names is None and calls.LEGACY in request.spelling
    if legacy:
        functions = [_function(tool, tool.name) for tool in request.tools if isinstance(tool, Tool)]
        if functions:
            out["functions"] = functions
        if request.tool_choice is not None:
            out["function_call"] = _legacy_choice(request.tool_choice)
        return
    encoded = list(_tools(request.tools, names, losses))
    if encoded:
        out["tools"] = encoded
    elif names is not None:
        return  # the API refuses a choice among no tools
    choice, parallel = request.tool_choice, request.parallel_tool_calls
    if choice is not None:
        losses.extend(extra.losses(choice.extra, NAME))
        out["tool_choice"] = _choice(choice, request, names)
    if parallel is not None:
        out["parallel_tool_calls"] = parallel


def _tools(
    tools: Iterable[Tool | GenericTool], names: Names | None, losses: list[Loss]
) -> Iterable[object]:
    for index, tool in enumerate(tools):
        path = f"/tools/{index}"
        if isinstance(tool, Tool):
            yield _tool(tool, names, path, losses)
        elif tool.wire == NAME:
            yield tool.raw
        else:
            reason = f"{NAME} has no tool of {tool.wire}'s type {tool.type!r}"
            if tool.optional:
                losses.append(Loss(path, reason))
            else:
                losses.append(Loss(path, reason, "content"))


def _tool(tool: Tool, names: Names | None, path: str, losses: list[Loss]) -> Json:
    here = tool.name if names is None else names.here(tool.name)
    out: Json
    if tool.custom:
        out = {"type": "custom", "custom": _custom(tool, here)}
    else:
        out = {"type": "function", "function": _function(tool, here, mend=names is not None)}
    if tool.cache_control is not None:
        if names is None:
            markers.encode(tool.cache_control, out)
        else:
            losses.append(Loss(f"{path}/cache_control", f"{NAME} takes no such marker"))
            losses.extend(extra.losses(tool.cache_control.extra, NAME))
    if tool.extra is not None:
        losses.extend(extra.losses(tool.extra, NAME))
        extra.merge(out, tool.extra, NAME)
    return out


def _custom(tool: Tool, name: str) -> Json:
    out: Json = {"name": name}
    if tool.description is not None:
        out["description"] = tool.description
    if tool.grammar is not None:
        grammar = {"syntax": tool.grammar.syntax, "definition": tool.grammar.definition}
        out["format"] = {"type": "grammar", "grammar": grammar}
    return out


def _function(tool: Tool, name: str, *, mend: bool = False) -> Json:
    out: Json = {"name": name}
    if tool.description is not None:
        out["description"] = tool.description
    if tool.parameters is not None:
        out["parameters"] = _with_properties(tool) if mend else tool.parameters
    if tool.strict is not None:
        out["strict"] = tool.strict
    return out


def _with_properties(tool: Tool) -> object:
    """An object schema without `properties`, which the API refuses, with none of them."""
    parameters = tool.parameters
    if parameters is None or b'"properties"' in bytes(parameters):
        return parameters
    try:
        fields = objects.decode(parameters)
    except extra.MALFORMED:
        raise InvalidRequest(
            f"tools: the parameters of {tool.name!r} are not a JSON Schema of an object",
            param="tools",
        ) from None
    return {**fields, "properties": _NO_PROPERTIES}


def _choice(choice: ToolChoice, request: Request, names: Names | None) -> object:
    match choice.mode:
        case "auto" | "none":
            return choice.mode
        case "required":
            return ANY if names is None and ANY in request.spelling else "required"
        case "named":
            return extra.merge(_named(choice.names[0], request, names), choice.extra, NAME)
        case "allowed":
            tools = [_named(name, request, names) for name in choice.names]
            mode = "required" if choice.required else "auto"
            out: Json = {"type": "allowed_tools", "allowed_tools": {"mode": mode, "tools": tools}}
            return extra.merge(out, choice.extra, NAME)


def _named(name: str, request: Request, names: Names | None) -> Json:
    here = name if names is None else names.here(name)
    if any(tool.name == name and _is_custom(tool) for tool in request.tools):
        return {"type": "custom", "custom": {"name": here}}
    return {"type": "function", "function": {"name": here}}


def _is_custom(tool: Tool | GenericTool) -> bool:
    return tool.type == "custom" if isinstance(tool, GenericTool) else tool.custom


def _legacy_choice(choice: ToolChoice) -> object:
    return {"name": choice.names[0]} if choice.mode == "named" else choice.mode
