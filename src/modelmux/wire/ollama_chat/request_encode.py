"""The neutral request to bodies of `/api/chat` and `/api/generate`.

A request that came from the same wire is written back as it was said. One that came from another
is put in the form that the API takes; what cannot be said is noted as a loss.
"""

from typing import assert_never

import msgspec
from msgspec.structs import replace

from modelmux.errors import InvalidRequest, Unrepresentable
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
from modelmux.ir.profile import Profile
from modelmux.ir.request import Encoded, GenericTool, Loss, Message, Request, Tool
from modelmux.wire import extra
from modelmux.wire.ollama_chat import chat, generate, settings
from modelmux.wire.ollama_chat.schema import CHAT, GENERATE
from modelmux.wire.ollama_chat.settings import Body


def encode_chat(request: Request, profile: Profile) -> Encoded:
    """A body of `/api/chat`, and what was done to the request to say it.

    Raises:
        InvalidRequest: The request contradicts itself.
        Unrepresentable: Several answers are asked for.
    """
    if request.wire == CHAT:
        return chat.native(request)
    losses = _prepared(request, CHAT)
    messages = _Messages(profile, losses)
    for index, message in enumerate(request.messages):
        messages.add(message, index)
    messages.close()
    body: Body = {"model": request.model, "messages": messages.said}
    tools = _tools(request, profile, losses)
    if tools:
        body["tools"] = tools
    body.update(settings.translated(request, profile, CHAT, losses))
    return Encoded(msgspec.json.encode(body), tuple(losses))


def encode_generate(request: Request, profile: Profile) -> Encoded:
    """The same for `/api/generate`, which takes one prompt and no conversation."""
    if request.wire == GENERATE:
        return generate.native(request)
    losses = _prepared(request, GENERATE)
    messages = _Messages(profile, losses)
    for index, message in enumerate(request.messages):
        messages.add(message, index)
    system = [str(said["content"]) for said in messages.said if said["role"] == "system"]
    turns = [said for said in messages.said if said["role"] != "system"]
    if len(turns) != 1 or turns[0]["role"] != "user" or request.tools:
        reason = f"{GENERATE} takes one prompt, and no conversation and no tools"
        raise Unrepresentable(f"messages: {reason}", losses=[reason], param="messages")
    body: Body = {"model": request.model, "prompt": turns[0].get("content", "")}
    if system:
        body["system"] = "\n\n".join(system)
    if "images" in turns[0]:
        body["images"] = turns[0]["images"]
    body.update(settings.translated(request, profile, GENERATE, losses))
    return Encoded(msgspec.json.encode(body), tuple(losses))


def _prepared(request: Request, name: str) -> list[Loss]:
    """The losses of what stands beside messages. Raises `Unrepresentable`."""
    if request.choices > 1:
        reason = f"{name} gives one answer, and {request.choices} are asked for"
        raise Unrepresentable(f"n: {reason}", losses=[reason], param="n")
    losses: list[Loss] = []
    for part in (request, request.tool_choice, request.response_format, request.reasoning):
        if part is not None and part.extra is not None:
            losses.extend(extra.losses(part.extra, name))
    return losses


def _tools(request: Request, profile: Profile, losses: list[Loss]) -> list[Body]:
    """The tools that are offered, which is all that the API has of a choice among them."""
    choice = request.tool_choice
    if request.tools and not profile.tools:
        losses.append(Loss("/tools", "the model calls no tools", "content"))
        return []
    if not request.tools or (choice is not None and choice.mode == "none"):
        return []
    only: frozenset[str] | None = None
    if choice is not None and choice.mode != "auto":
        only = frozenset(choice.names) or None
        if choice.mode != "allowed" or choice.required:
            losses.append(Loss("/tool_choice", "the model cannot be made to call a tool"))
    if request.parallel_tool_calls is False:
        losses.append(Loss("/parallel_tool_calls", f"{CHAT} cannot be kept to one call"))
    out: list[Body] = []
    for index, tool in enumerate(request.tools):
        if only is None or tool.name in only:
            out += _tool(tool, f"/tools/{index}", losses)
    return out


def _tool(tool: Tool | GenericTool, path: str, losses: list[Loss]) -> list[Body]:
    if not isinstance(tool, Tool):
        reason = f"{CHAT} has no tool {tool.name or tool.type!r} of type {tool.type!r}"
        if tool.optional:
            losses.append(Loss(path, reason))
        else:
            losses.append(Loss(path, reason, "content"))
        return []
    losses.extend(extra.losses(tool.extra, CHAT))
    if tool.strict:
        losses.append(Loss(f"{path}/strict", f"{CHAT} does not enforce schemas of arguments"))
    if tool.cache_control is not None:
        losses.append(Loss(f"{path}/cache_control", f"{CHAT} caches by itself"))
    return [chat.definition(tool)]


class _Messages:
    """Collects messages as the API has them. One for each request."""

    def __init__(self, profile: Profile, losses: list[Loss]) -> None:
        self.said: list[Body] = []
        self._profile = profile
        self._losses = losses
        self._names: dict[str, str] = {}  # of the functions called last, by the ids of the calls
        self._waiting: set[str] = set()  # those that have no result

    def add(self, message: Message, index: int) -> None:
        """Take the next message. Raises `InvalidRequest` for what contradicts an earlier one."""
        self._losses.extend(extra.losses(message.extra, CHAT))
        role = "system" if message.role == "developer" else message.role
        if message.role == "assistant":
            self._check_answered(index)
        said: Body = {"role": role}
        texts: list[str] = []
        for place, part in enumerate(self._parts(message, index)):
            path = f"/messages/{index}/parts/{place}"
            if isinstance(part, ToolResult):
                self._add_result(part, index, path)
            elif (text := self._piece(part, said, index, path)) is not None:
                texts.append(text)
        if texts or len(said) > 1:
            said["content"] = "".join(texts)
            self.said.append(said)

    def close(self) -> None:
        """All messages have come. Raises `InvalidRequest` if a call has no result."""
        self._check_answered(len(self.said))

    def _parts(self, message: Message, index: int) -> tuple[Part, ...]:
        if message.name is None:
            return message.parts
        path = f"/messages/{index}/name"
        if message.role != "user":  # in words, the model would take it for its own way to speak
            self._losses.append(Loss(path, f"{CHAT} does not name speakers"))
            return message.parts
        self._losses.append(Loss(path, f"{CHAT} does not name speakers: said in words"))
        return (Text(f"{message.name}: "), *message.parts)

    def _piece(self, part: Part, said: Body, index: int, path: str) -> str | None:
        """Text of a message; what else a part says goes into `said`."""
        match part:
            case Text(text=text):
                self._losses.extend(extra.losses(part.extra, CHAT))
                self._unmarked(part, path)
                if part.citations:
                    self._losses.append(Loss(f"{path}/citations", f"{CHAT} takes none back"))
                return text or None
            case Refusal(text=text):
                return text or None
            case Reasoning():
                if part.origin == CHAT and part.encrypted is None:
                    said["thinking"] = part.text
                else:
                    self._losses.append(Loss(path, f"{CHAT} takes back its own thinking only"))
            case ToolCall():
                self._add_call(part, said, index, path)
            case Blob() | Uri() | File() | Generic() | ServerToolCall() | ServerToolResult():
                self._add_image(part, said, path)
            case ToolResult():
                pass
            case _:
                assert_never(part)
        return None

    def _unmarked(self, part: Text | Blob | ToolCall | ToolResult, path: str) -> None:
        if part.cache_control is not None:
            self._losses.append(Loss(f"{path}/cache_control", f"{CHAT} caches by itself"))

    def _add_image(self, part: Part, said: Body, path: str) -> None:
        takes = self._profile.input_modalities
        if not isinstance(part, Blob) or part.modality != "image":
            what = part.modality if isinstance(part, Blob | Uri | File) else "content"
            reason = f"{CHAT} takes images by value only, and no such {what}"
            self._losses.append(Loss(path, reason, "content"))
        elif takes is not None and "image" not in takes:
            self._losses.append(Loss(path, "the model takes no image", "content"))
        else:
            self._unmarked(part, path)
            if part.name is not None or part.detail not in {None, "auto"}:
                self._losses.append(Loss(f"{path}/detail", f"{CHAT} looks at all images alike"))
            settings.held(said, "images").append(part.content)

    def _add_call(self, part: ToolCall, said: Body, index: int, path: str) -> None:
        self._losses.extend(extra.losses(part.extra, CHAT))
        self._unmarked(part, path)
        plain = replace(part, extra=None)
        if part.custom:
            arguments = msgspec.json.encode({"input": part.arguments}).decode()
            plain = replace(plain, arguments=arguments, custom=False)
        if part.id in self._waiting:
            where = f"messages[{index}]"
            raise InvalidRequest(f"{where}: two tool calls have the id {part.id!r}", param=where)
        self._names[part.id] = part.name
        self._waiting.add(part.id)
        call = chat.said_call(plain, chat.arguments(plain, index))
        settings.held(said, "tool_calls").append(call)

    def _add_result(self, part: ToolResult, index: int, path: str) -> None:
        if part.id not in self._waiting:
            where = f"messages[{index}]"
            raise InvalidRequest(
                f"{where}: no tool call with the id {part.id!r} before it waits for a result",
                param=where,
            )
        self._waiting.discard(part.id)
        self._losses.extend(extra.losses(part.extra, CHAT))
        self._unmarked(part, path)
        texts = [piece.text for piece in part.parts if isinstance(piece, Text)]
        content = "\n".join(texts)
        said: Body = {"role": "tool", "content": f"Error: {content}" if part.is_error else content}
        said["tool_name"] = self._names[part.id]
        if not part.id.startswith(chat.MADE):
            said["tool_call_id"] = part.id
        for place, piece in enumerate(part.parts):
            if not isinstance(piece, Text):
                self._add_image(piece, said, f"{path}/parts/{place}")
        self.said.append(said)

    def _check_answered(self, index: int) -> None:
        """Raise `InvalidRequest` if a tool was called and no result has come."""
        if self._waiting:
            where = f"messages[{max(0, index - 1)}]"
            raise InvalidRequest(
                f"{where}: the tool call {min(self._waiting)!r} has no result after it",
                param=where,
            )
