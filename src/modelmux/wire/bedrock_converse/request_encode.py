"""Neutral requests as request bodies."""

from collections.abc import Mapping
from typing import Final, TypeAlias, assert_never

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest, Unrepresentable
from modelmux.ir.profile import Profile
from modelmux.ir.request import Encoded, Loss, Request, Tool, ToolChoice
from modelmux.ir.restore import Restore
from modelmux.wire import extra
from modelmux.wire.bedrock_converse import content_encode, native, options
from modelmux.wire.bedrock_converse.content_encode import Block
from modelmux.wire.bedrock_converse.schema import NAME
from modelmux.wire.bedrock_converse.turns import Conversation
from modelmux.wire.tool_names import ToolNames

JSON_ONLY: Final = "Answer with one JSON object and nothing else: no explanation, no Markdown."
ANSWER_TOOL: Final = "Gives the answer. Call it once, when the answer is complete."
"""Description of the tool that stands for the form of the answer."""
UNLISTED_TOOL: Final = "A tool that was called before."
"""Description of a tool whose definition the request no longer has."""

Offered: TypeAlias = dict[str, list[Block | Raw]]
"""The definitions of the caller's tools, by the caller's names."""

_ANY_OBJECT: Final = Raw(b'{"type":"object"}')

_object = msgspec.json.Decoder(dict[str, Raw])


def encode(request: Request, profile: Profile) -> Encoded:
    """A body for a model with `profile`, and what was done to the request to say it.

    Raises:
        InvalidRequest: The request contradicts itself in a way that the API refuses.
        Unrepresentable: Several answers are asked for.
    """
    if request.wire == NAME:
        return native.encode(request)
    if request.choices > 1:
        reason = f"{NAME} gives one answer, and {request.choices} are asked for"
        raise Unrepresentable(f"n: {reason}", losses=[reason], param="n")
    return _Translation(request, profile).encoded()


class _Translation:
    """One request on its way into this wire."""

    def __init__(self, request: Request, profile: Profile) -> None:
        self._profile = profile
        self._losses: list[Loss] = []
        for part in (request, request.tool_choice, request.response_format, request.reasoning):
            if part is not None and part.extra is not None:
                self._losses.extend(extra.losses(part.extra, NAME))
        if request.tools and not profile.tools:
            self._losses.append(Loss("/tools", "the model calls no tools", "content"))
            request = replace(request, tools=(), tool_choice=None)
        self._request = request
        self._names = ToolNames([tool.name for tool in request.tools])
        self._conversation = Conversation(self._names, profile, self._losses)
        self._format_tool: str | None = None
        self._fenced = False

    def encoded(self) -> Encoded:
        request, conversation = self._request, self._conversation
        for index, message in enumerate(request.messages):
            conversation.add(message, index)
        conversation.close()
        body: Block = {"messages": conversation.messages()}
        said = options.said(request, self._profile, self._losses)
        output: Block = {} if said.effort is None else {"effort": said.effort}
        self._add_format(output)
        if conversation.system:
            body["system"] = conversation.system
        if said.inference:
            body["inferenceConfig"] = said.inference
        tools = self._tool_config(thinks=said.thinks)
        if tools:
            body["toolConfig"] = tools
        if output:
            body["outputConfig"] = output
        if said.additional:
            body["additionalModelRequestFields"] = said.additional
        names = self._names.changed
        restore = None
        if self._format_tool is not None or names or self._fenced:
            restore = Restore(self._format_tool, names, self._fenced)
        return Encoded(msgspec.json.encode(body), tuple(self._losses), restore)

    def _add_format(self, output: Block) -> None:
        """Ask for the answer's form: natively, by a tool that must be called, or in words."""
        form = self._request.response_format
        if form is None or form.type == "text":
            return
        if form.type == "json_object" or form.schema is None:
            self._conversation.system.append({"text": JSON_ONLY})
            self._fenced = True
        elif self._profile.structured_output == "native":
            output["textFormat"] = native.text_format(form.schema, form.name, form.description)
        elif self._profile.forced_tools and self._profile.tools:
            self._format_tool = self._names.reserve(form.name or "answer")
        else:
            schema = native.schema_text(form.schema)
            words = f"{JSON_ONLY} It is valid under this JSON Schema:\n{schema}"
            self._conversation.system.append({"text": words})
            self._fenced = True

    def _tool_config(self, *, thinks: bool) -> Block:
        request = self._request
        offered = self._offered()
        choice: Block | None = None
        if request.tool_choice is not None and request.tools:
            choice, offered = self._choice(request.tool_choice, offered)
        if request.parallel_tool_calls is False and offered:
            self._losses.append(
                Loss("/parallel_tool_calls", f"{NAME} cannot be told to call one tool at a time")
            )
        if choice is not None and choice.keys() & {"any", "tool"}:
            choice, offered = self._unforced(choice, offered, thinks=thinks)
        definitions = [block for blocks in offered.values() for block in blocks]
        if self._format_tool is not None:
            definitions.append(self._answer_tool(self._format_tool))
            choice = {"any": {}} if offered else {"tool": {"name": self._format_tool}}
        if not definitions:
            definitions = [_unlisted(name) for name in self._conversation.called]
        if not definitions:
            return {}
        return {"tools": definitions, "toolChoice": choice} if choice else {"tools": definitions}

    def _choice(self, asked: ToolChoice, offered: Offered) -> tuple[Block | None, Offered]:
        """The choice as the API has it, and the tools that are offered with it."""
        self._check_choice(asked.names)
        match asked.mode:
            case "none":
                # There is no such choice. The tools go, unless the history has calls of some.
                if not self._conversation.called:
                    return None, {}
                reason = f"{NAME} cannot forbid tools where some were called"
                self._losses.append(Loss("/tool_choice", reason))
                return None, offered
            case "allowed":
                kept = {name: offered[name] for name in asked.names if name in offered}
                return {"any": {}} if asked.required else {"auto": {}}, kept
            case "named":
                if self._format_tool is not None:
                    reason = "the model answers in a form by a tool, and another is asked for"
                    self._losses.append(Loss("/response_format", reason, "content"))
                return {"tool": {"name": self._names.say(asked.names[0])}}, offered
            case "auto" | "required":
                return native.choice(asked), offered
            case _:
                assert_never(asked.mode)

    def _offered(self) -> Offered:
        out: Offered = {}
        for index, tool in enumerate(self._request.tools):
            path = f"/tools/{index}"
            if isinstance(tool, Tool):
                self._losses.extend(extra.losses(tool.extra, NAME))
                schema = _input_schema(tool.parameters, path)
                blocks: list[Block | Raw] = [
                    native.specification(tool, self._names.say(tool.name), schema)
                ]
                if tool.cache_control is not None:
                    blocks.append(content_encode.cache_point(tool.cache_control))
                out[tool.name] = blocks
            elif tool.wire == NAME:
                out[tool.name] = [tool.raw]
            else:
                reason = f"{NAME} has no tool {tool.name or tool.type!r} of type {tool.type!r}"
                if tool.optional:
                    self._losses.append(Loss(path, reason))
                else:
                    self._losses.append(Loss(path, reason, "content"))
        return out

    def _check_choice(self, names: tuple[str, ...]) -> None:
        known = {tool.name for tool in self._request.tools}
        for name in names:
            if name not in known:
                raise InvalidRequest(f"tool_choice: no tool is named {name!r}", param="tool_choice")

    def _unforced(self, choice: Block, offered: Offered, *, thinks: bool) -> tuple[Block, Offered]:
        """`choice` for a model that cannot be made to call a tool, or not while it thinks."""
        if not thinks and self._profile.forced_tools:
            return choice, offered
        self._losses.append(
            Loss("/tool_choice", "the model cannot be made to call a tool, or not thinking")
        )
        asked = self._request.tool_choice
        if asked is not None and asked.mode == "named":
            offered = {name: offered[name] for name in asked.names if name in offered}
        return {"auto": {}}, offered

    def _answer_tool(self, name: str) -> Block:
        form = self._request.response_format
        schema = form.schema if form is not None else None
        description = (form.description if form is not None else None) or ANSWER_TOOL
        return native.specification(Tool(name, description), name, schema)


def _unlisted(name: str) -> Block:
    return native.specification(Tool(name, UNLISTED_TOOL), name, None)


def _input_schema(parameters: Raw | None, path: str) -> Raw:
    """`parameters`, saying that it is an object, which the API wants to be told."""
    if parameters is None:
        return _ANY_OBJECT
    try:
        fields: Mapping[str, Raw] = _object.decode(parameters)
    except extra.MALFORMED:
        param = f"{extra.pointer_to_path(path)}.parameters"
        raise InvalidRequest(f"{param}: expected a JSON Schema object", param=param) from None
    if "type" in fields:
        return parameters
    return Raw(msgspec.json.encode({"type": "object", **fields}))
