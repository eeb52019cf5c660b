"""Tools and the choice among them, for requests that come from another wire."""

import re
from collections.abc import Container, Mapping, Sequence
from typing import Literal, assert_never

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import InvalidRequest
from modelmux.ir.request import GenericTool, Loss, Request, Tool
from modelmux.wire import extra
from modelmux.wire.anthropic_messages import block_encode, structured
from modelmux.wire.anthropic_messages.schema import NAME

MAX_NAME = 64
"""platform.claude.com/docs/en/agents-and-tools/tool-use/implement-tool-use, read 2026-11-20."""

_VALID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_INVALID = re.compile(r"[^a-zA-Z0-9_-]")
_ANY_OBJECT = Raw(b'{"type":"object"}')

_object = msgspec.json.Decoder(dict[str, Raw])


def sanitise(name: str, taken: Container[str]) -> str:
    """`name` in the letters that the API allows, unlike any that is taken."""
    cleaned = _INVALID.sub("_", name)[:MAX_NAME] or "_"
    candidate, number = cleaned, 1
    while candidate in taken:
        number += 1
        suffix = f"_{number}"
        candidate = cleaned[: MAX_NAME - len(suffix)] + suffix
    return candidate


class Names:
    """The caller's tool names in the letters that this wire allows.

    Depends on nothing but the request's own order, so that the same conversation is told with
    the same names on every turn and stays in the prompt cache.
    """

    def __init__(self, tools: Sequence[Tool | GenericTool]) -> None:
        self._said: dict[str, str] = {}
        self._taken: set[str] = set()
        if tools:
            self._said = {tool.name: tool.name for tool in tools if _VALID.fullmatch(tool.name)}
            self._taken.update(self._said)
            for tool in tools:
                self.say(tool.name)

    def say(self, name: str) -> str:
        """`name` as the target knows it."""
        said = self._said.get(name)
        if said is None:
            said = self._said[name] = self.reserve(name)
        return said

    def reserve(self, name: str) -> str:
        """A new name like `name` that is nobody's."""
        said = sanitise(name, self._taken)
        self._taken.add(said)
        return said

    @property
    def changed(self) -> Mapping[str, str]:
        """The caller's names by the names that the target knows instead."""
        if not self._said:
            return {}
        return {said: name for name, said in self._said.items() if said != name}


class Choice(Struct, frozen=True):
    """Which tools are offered, and which of them the model is to call."""

    type: Literal["auto", "none", "any", "tool"] | None
    """`None`: the caller does not say, and so neither do we."""
    name: str | None = None
    """The caller's name of the tool that must be called."""
    only: frozenset[str] | None = None
    """The caller's names of the tools to offer; `None`: all."""

    @property
    def forced(self) -> bool:
        return self.type in {"any", "tool"}


FREE = Choice(None)


def choice(request: Request) -> Choice:
    """What the caller chose. Raises `InvalidRequest` if there is no such tool."""
    asked = request.tool_choice
    if asked is None:
        return FREE
    known = {tool.name for tool in request.tools}
    missing = [name for name in asked.names if name not in known]
    if missing:
        raise InvalidRequest(f"tool_choice: no tool is named {missing[0]!r}", param="tool_choice")
    match asked.mode:
        case "auto":
            return Choice("auto")
        case "none":
            return Choice("none")
        case "required":
            if not request.tools:
                raise InvalidRequest("tool_choice: there are no tools", param="tool_choice")
            return Choice("any")
        case "named":
            return Choice("tool", asked.names[0])
        case "allowed":
            return Choice("any" if asked.required else "auto", only=frozenset(asked.names))
        case _:
            assert_never(asked.mode)


def unforced(choice: Choice, losses: list[Loss]) -> Choice:
    """`choice` for a model that cannot be made to call a tool, or not while it thinks.

    It is offered nothing but the tool that it should call. Forced choices are refused under
    thinking (platform.claude.com/docs/en/build-with-claude/extended-thinking#feature-compatibility)
    and by some models always (…/docs/en/models/opus-5-5/whats-new-opus-5-5), read 2026-11-20.
    """
    losses.append(Loss("/tool_choice", "the model cannot be made to call a tool, or not thinking"))
    only = choice.only if choice.name is None else frozenset({choice.name})
    return Choice("auto", None, only)


def definitions(
    request: Request, names: Names, only: frozenset[str] | None, losses: list[Loss]
) -> list[block_encode.Block | Raw]:
    """The tools of `request`, or those among them that are in `only`."""
    out: list[block_encode.Block | Raw] = []
    for index, tool in enumerate(request.tools):
        if only is not None and tool.name not in only:
            continue
        path = f"/tools/{index}"
        if isinstance(tool, Tool):
            out.append(_definition(tool, names.say(tool.name), path, losses))
        elif tool.wire == NAME:
            out.append(tool.raw)
        else:
            reason = f"{NAME} has no tool {tool.name or tool.type!r} of type {tool.type!r}"
            if tool.optional:
                losses.append(Loss(path, reason))
            else:
                losses.append(Loss(path, reason, "content"))
    return out


def definition(tool: Tool, name: str, schema: Raw) -> block_encode.Block:
    """A tool as the API has it, its unknown fields included."""
    out: block_encode.Block = {"name": name}
    if tool.description is not None:
        out["description"] = tool.description
    out["input_schema"] = schema
    if tool.strict is not None:
        out["strict"] = tool.strict
    if tool.cache_control is not None:
        out["cache_control"] = block_encode.cache(tool.cache_control)
    return extra.merge(out, tool.extra, NAME)


def _definition(tool: Tool, name: str, path: str, losses: list[Loss]) -> block_encode.Block:
    losses.extend(extra.losses(tool.extra, NAME))
    schema = _input_schema(tool.parameters, path)
    enforced = structured.native(schema) if tool.strict else None
    if enforced is not None and enforced.schema is not None and enforced.changes is None:
        return definition(tool, name, enforced.schema)
    out = definition(tool, name, schema)
    if out.pop("strict", None):
        losses.append(Loss(f"{path}/strict", "the schema says more than can be enforced here"))
    return out


def _input_schema(parameters: Raw | None, path: str) -> Raw:
    """`parameters`, saying that it is an object, which the API wants to be told."""
    if parameters is None:
        return _ANY_OBJECT
    try:
        fields = _object.decode(parameters)
    except extra.MALFORMED:
        param = f"{extra.pointer_to_path(path)}.parameters"
        raise InvalidRequest(f"{param}: expected a JSON Schema object", param=param) from None
    if "type" in fields:
        return parameters
    return Raw(msgspec.json.encode({"type": "object", **fields}))
