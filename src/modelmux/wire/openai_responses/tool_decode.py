"""Tools of a request, and the choice among them, to neutral ones."""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Extra
from modelmux.ir.request import GenericTool, Grammar, Tool, ToolChoice
from modelmux.wire import extra
from modelmux.wire.extra import Fields
from modelmux.wire.openai.values import NULL, present
from modelmux.wire.openai_responses import notes, schema
from modelmux.wire.openai_responses.items import flat_name
from modelmux.wire.openai_responses.schema import NAME

SPACE = "namespace"
"""The note of a tool that stands in a namespace: that, without its tools."""

CHOICE = "choice"
"""The note of a choice that other wires cannot say alike."""

_MODES: Mapping[str, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
}

_OPTIONAL = ("web_search", "tool_search")
"""What types of tools begin with that a model can do without: agents offer them unasked."""


def decode(tools: Sequence[Raw]) -> tuple[Tool | GenericTool, ...]:
    """The tools, those in namespaces among them.

    Raises:
        InvalidRequest: One is no tool of its type.
    """
    found: list[Tool | GenericTool] = []
    for index, raw in enumerate(tools):
        at = f"/tools/{index}"
        try:
            kind = schema.kind.decode(raw)
        except extra.MALFORMED as exc:
            raise extra.invalid(exc, at) from None
        match kind.type:
            case "function":
                found.append(_function(raw, at))
            case "custom":
                found.append(_custom(raw, at))
            case "namespace":
                found += _namespace(raw, at)
            case _:
                found.append(_generic(kind, raw))
    return tuple(found)


def _generic(kind: schema.Kind, raw: Raw) -> GenericTool:
    optional = kind.type.startswith(_OPTIONAL)
    return GenericTool(kind.type, kind.name or kind.type, NAME, raw, optional=optional)


def _function(raw: Raw, at: str) -> Tool:
    tool, unknown = schema.tool.decode(raw, at)
    parameters = tool.parameters if present(tool.parameters) else None
    kept = _kept(unknown, at)
    return Tool(tool.name, tool.description, parameters, tool.strict, extra=kept)


def _custom(raw: Raw, at: str) -> Tool:
    tool, unknown = schema.tool.decode(raw, at)
    kept = _kept(unknown, at)
    grammar: Grammar | None = None
    if present(tool.format):
        try:
            known = schema.grammar.decode(tool.format)
            grammar = Grammar(known.syntax, known.definition)
        except extra.MALFORMED:  # any text, or what is not known yet
            kept = notes.with_note(kept, notes.PART, {"format": tool.format})
    return Tool(tool.name, tool.description, extra=kept, custom=True, grammar=grammar)


def _kept(unknown: Fields, at: str) -> Extra | None:
    return extra.keep({name: raw for name, raw in unknown.items() if raw != NULL}, NAME, at)


def _namespace(raw: Raw, at: str) -> list[Tool | GenericTool]:
    space, unknown = schema.namespace.decode(raw, at)
    note: dict[str, object] = {"name": space.name, "description": space.description}
    note |= {name[1:]: value for name, value in unknown.items()}
    found: list[Tool | GenericTool] = []
    for index, inner in enumerate(space.tools):
        place = f"{at}/tools/{index}"
        try:
            kind = schema.kind.decode(inner).type
        except extra.MALFORMED as exc:
            raise extra.invalid(exc, place) from None
        if kind not in {"function", "custom"}:
            return [GenericTool("namespace", space.name, NAME, raw)]
        tool = _custom(inner, place) if kind == "custom" else _function(inner, place)
        kept = notes.with_note(tool.extra, SPACE, {**note, "tool": tool.name})
        found.append(replace(tool, name=flat_name(space.name, tool.name), extra=kept))
    return found


def choice(given: str | schema.ToolChoice, raw: Raw) -> ToolChoice:
    """The choice among tools.

    Args:
        given: What is known of it.
        raw: All of it.

    Raises:
        InvalidRequest: There is no such choice.
    """
    if isinstance(given, str):
        if given not in _MODES:
            expected = ", ".join(_MODES)
            raise InvalidRequest(
                f"tool_choice: expected one of {expected}, or an object; got {given!r}",
                param="tool_choice",
            )
        return ToolChoice(_MODES[given])
    match given:
        case schema.ToolChoice(type="function" | "custom", name=str(name)):
            kept = Extra(NAME, {CHOICE: raw}) if given.namespace else None
            return ToolChoice("named", (flat_name(given.namespace, name),), extra=kept)
        case schema.ToolChoice(type="allowed_tools", mode=str(mode), tools=list(tools)):
            return _allowed(mode == "required", tools, raw)
        case _:  # a tool that the provider runs
            kept = Extra(NAME, {CHOICE: raw}, "/tool_choice")
            return ToolChoice("named", (given.name or given.type,), extra=kept)


def _allowed(required: bool, tools: Sequence[Raw], raw: Raw) -> ToolChoice:
    try:
        found = [schema.allowed_tool.decode(tool) for tool in tools]
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "/tool_choice/tools") from None
    names = tuple([flat_name(tool.namespace, tool.name or tool.type) for tool in found])
    kept = Extra(NAME, {CHOICE: raw}, "/tool_choice")
    return ToolChoice("allowed", names, required, kept)
