"""Tools and the choice among them, for requests that come from another wire."""

import re
from collections.abc import Mapping, Sequence
from typing import assert_never

import msgspec
from msgspec import Raw, Struct

from modelmux.errors import InvalidRequest
from modelmux.ir.profile import Profile
from modelmux.ir.request import GenericTool, Loss, Request, Tool
from modelmux.wire import extra
from modelmux.wire.gemini import schemas
from modelmux.wire.gemini.part_encode import Piece
from modelmux.wire.gemini.schema import NAME

MAX_NAME = 64
"""ai.google.dev/api/caching#FunctionDeclaration, read 2026-11-20."""

_VALID = re.compile(r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")
_INVALID = re.compile(r"[^a-zA-Z0-9_.:-]")
_NOT_FIRST = re.compile(r"^[^a-zA-Z_]")

_object = msgspec.json.Decoder(dict[str, Raw])


class Names:
    """The caller's tool names in the letters that this wire allows.

    Depends on nothing but the request's own order, so that the same conversation is told with
    the same names on every turn and stays in the prompt cache.
    """

    def __init__(self, tools: Sequence[Tool | GenericTool]) -> None:
        self._said = {tool.name: tool.name for tool in tools if _VALID.fullmatch(tool.name)}
        self._taken = set(self._said)
        for tool in tools:
            self.say(tool.name)

    def say(self, name: str) -> str:
        """`name` as the target knows it."""
        said = self._said.get(name)
        if said is None:
            said = self._said[name] = self._new(name)
        return said

    def _new(self, name: str) -> str:
        cleaned = _NOT_FIRST.sub("_", _INVALID.sub("_", name))[:MAX_NAME] or "_"
        candidate, number = cleaned, 1
        while candidate in self._taken:
            number += 1
            suffix = f"_{number}"
            candidate = cleaned[: MAX_NAME - len(suffix)] + suffix
        self._taken.add(candidate)
        return candidate

    @property
    def changed(self) -> Mapping[str, str]:
        """The caller's names by the names that the target knows instead."""
        return {said: name for name, said in self._said.items() if said != name}


class Choice(Struct, frozen=True):
    """Which functions are offered, and how the model is to choose."""

    config: Piece | None = None
    only: frozenset[str] | None = None
    """The caller's names of the functions to offer; `None`: all."""


def choice(request: Request, profile: Profile, names: Names, losses: list[Loss]) -> Choice:
    """What the caller chose. Raises `InvalidRequest` if there is no such tool."""
    asked = request.tool_choice
    if asked is None:
        return Choice()
    known = {tool.name for tool in request.tools}
    missing = [name for name in asked.names if name not in known]
    if missing:
        raise InvalidRequest(f"tool_choice: no tool is named {missing[0]!r}", param="tool_choice")
    only = frozenset(asked.names) if asked.mode == "allowed" and not asked.required else None
    forced = asked.mode in {"required", "named"} or (asked.mode == "allowed" and asked.required)
    if forced and not request.tools:
        raise InvalidRequest("tool_choice: there are no tools", param="tool_choice")
    if forced and not profile.forced_tools:
        losses.append(Loss("/tool_choice", "the model cannot be made to call a tool"))
        return Choice({"mode": "AUTO"}, frozenset(asked.names) or None)
    match asked.mode:
        case "auto":
            return Choice({"mode": "AUTO"})
        case "none":
            return Choice({"mode": "NONE"})
        case "required":
            return Choice({"mode": "ANY"})
        case "named" | "allowed":
            if only is not None:
                return Choice({"mode": "AUTO"}, only)
            said = [names.say(name) for name in asked.names]
            return Choice({"mode": "ANY", "allowedFunctionNames": said})
        case _:
            assert_never(asked.mode)


def definitions(
    request: Request,
    names: Names,
    profile: Profile,
    only: frozenset[str] | None,
    losses: list[Loss],
) -> tuple[list[object], bool]:
    """The API's tools for those of `request`, and whether functions are among them."""
    functions: list[object] = []
    own: list[object] = []
    for index, tool in enumerate(request.tools):
        if only is not None and tool.name not in only:
            continue
        path = f"/tools/{index}"
        if isinstance(tool, Tool):
            functions.append(_function(tool, names.say(tool.name), profile, path, losses))
        elif tool.wire == NAME:
            own.append(tool.raw)
        else:
            reason = f"{NAME} has no tool {tool.name or tool.type!r} of type {tool.type!r}"
            if tool.optional:
                losses.append(Loss(path, reason))
            else:
                losses.append(Loss(path, reason, "content"))
    if functions:
        return [{"functionDeclarations": functions}, *own], True
    return own, False


def _function(tool: Tool, name: str, profile: Profile, path: str, losses: list[Loss]) -> Piece:
    losses.extend(extra.losses(tool.extra, NAME))
    if tool.strict:
        losses.append(Loss(f"{path}/strict", f"{NAME} does not enforce schemas of arguments"))
    if tool.cache_control is not None:
        losses.append(Loss(f"{path}/cache_control", f"{NAME} caches by itself"))
    out: Piece = {"name": name}
    # The API wants one: a function without a word on what it does is called by its name.
    out["description"] = tool.description or tool.name
    schema = tool.parameters
    if schema is None:
        return out
    if profile.json_schema:
        if not _is_empty(schema, path):
            out["parametersJsonSchema"] = schema
        return out
    narrowed = schemas.Narrowed(schema, f"{path}/parameters")
    if narrowed.lost:
        what = ", ".join(sorted(narrowed.lost))
        losses.append(Loss(f"{path}/parameters", f"the model knows no {what} in schemas"))
    if narrowed.schema is not None:
        out["parameters"] = narrowed.schema
    return out


def _is_empty(schema: Raw, path: str) -> bool:
    """Whether it is an object without fields, which the API refuses."""
    try:
        fields = _object.decode(schema)
    except extra.MALFORMED:
        param = f"{extra.pointer_to_path(path)}.parameters"
        raise InvalidRequest(f"{param}: expected a JSON Schema object", param=param) from None
    properties = fields.get("properties")
    return properties is None or bytes(properties).replace(b" ", b"") == b"{}"
