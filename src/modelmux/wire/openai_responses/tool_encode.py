"""Neutral tools and tool choices as a request's."""

from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Extra
from modelmux.ir.request import GenericTool, Loss, Request, Tool, ToolChoice
from modelmux.wire import extra
from modelmux.wire.openai.names import Names
from modelmux.wire.openai.values import objects
from modelmux.wire.openai_responses import notes
from modelmux.wire.openai_responses.content import Json
from modelmux.wire.openai_responses.schema import NAME
from modelmux.wire.openai_responses.tool_decode import CHOICE, SPACE

_NO_PROPERTIES = Raw(b"{}")


def encode(request: Request, names: Names | None, losses: list[Loss], out: Json) -> None:
    """Write the tools, which of them to call, and how many at once.

    Args:
        request: With the tools.
        names: What tools are called here; `None`: the request came on this wire.
        losses: Where what cannot be said is noted.
        out: The body.
    """
    encoded = _tools(request, names, losses)
    if encoded:
        out["tools"] = encoded
    elif names is not None:
        return  # the API refuses a choice among no tools
    if request.tool_choice is not None:
        losses.extend(extra.losses(request.tool_choice.extra, NAME))
        out["tool_choice"] = _choice(request.tool_choice, request, names)
    if request.parallel_tool_calls is not None:
        out["parallel_tool_calls"] = request.parallel_tool_calls


def _tools(request: Request, names: Names | None, losses: list[Loss]) -> list[object]:
    out: list[object] = []
    open_: tuple[notes.Note, list[object]] | None = None  # the namespace that the last tool is in
    for index, tool in enumerate(request.tools):
        path = f"/tools/{index}"
        if isinstance(tool, GenericTool):
            open_ = None
            if tool.wire == NAME:
                out.append(tool.raw)
            else:
                reason = f"{NAME} has no tool of {tool.wire}'s type {tool.type!r}"
                if tool.optional:
                    losses.append(Loss(path, reason))
                else:
                    losses.append(Loss(path, reason, "content"))
            continue
        said = _tool(tool, names, path, losses)
        space = notes.read(tool.extra, SPACE)
        if space is None:
            open_ = None
            out.append(said)
            continue
        said["name"] = space["tool"]
        if open_ is None or not _same(open_[0], space):
            held: list[object] = []
            open_ = (space, held)
            fields = {n: raw for n, raw in space.items() if n != "tool"}
            out.append({"type": "namespace", **fields, "tools": held})
        open_[1].append(said)
    return out


def _same(one: notes.Note, other: notes.Note) -> bool:
    return one["name"] == other["name"]


def _tool(tool: Tool, names: Names | None, path: str, losses: list[Loss]) -> Json:
    name = tool.name if names is None else names.here(tool.name)
    out: Json = {"type": "custom" if tool.custom else "function", "name": name}
    if tool.description is not None:
        out["description"] = tool.description
    if tool.custom:
        _format(tool, out)
    else:
        _parameters(tool, foreign=names is not None, out=out)
    if tool.cache_control is not None:
        losses.append(Loss(f"{path}/cache_control", f"{NAME} takes no such marker"))
        losses.extend(extra.losses(tool.cache_control.extra, NAME))
    if tool.extra is not None:
        losses.extend(extra.losses(tool.extra, NAME))
        extra.merge(out, tool.extra, NAME)
    return out


def _format(tool: Tool, out: Json) -> None:
    note = notes.read(tool.extra, notes.PART)
    if tool.grammar is not None:
        grammar = {"syntax": tool.grammar.syntax, "definition": tool.grammar.definition}
        out["format"] = {"type": "grammar", **grammar}
    elif note is not None:
        out.update(note)


def _parameters(tool: Tool, *, foreign: bool, out: Json) -> None:
    if tool.parameters is not None:
        out["parameters"] = _with_properties(tool, tool.parameters) if foreign else tool.parameters
    elif foreign:
        out["parameters"] = {"type": "object", "properties": {}}
    if tool.strict is not None:
        out["strict"] = tool.strict
    elif foreign:  # here it is the default, and on no other wire
        out["strict"] = False


def _with_properties(tool: Tool, parameters: Raw) -> object:
    """An object schema without `properties`, which the API refuses, with none of them."""
    if b'"properties"' in bytes(parameters):
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
    kept = _own(choice.extra)
    if kept is not None:
        return kept
    match choice.mode:
        case "auto" | "none" | "required":
            return choice.mode
        case "named":
            return extra.merge(_named(choice.names[0], request, names), choice.extra, NAME)
        case "allowed":
            tools = [_named(name, request, names) for name in choice.names]
            mode = "required" if choice.required else "auto"
            out: Json = {"type": "allowed_tools", "mode": mode, "tools": tools}
            return extra.merge(out, choice.extra, NAME)


def _own(kept: Extra | None) -> Raw | None:
    """A choice as it came on this wire."""
    return kept.fields.get(CHOICE) if kept is not None and kept.wire == NAME else None


def _named(name: str, request: Request, names: Names | None) -> Json:
    custom = any(isinstance(t, Tool) and t.custom and t.name == name for t in request.tools)
    here = name if names is None else names.here(name)
    return {"type": "custom" if custom else "function", "name": here}
