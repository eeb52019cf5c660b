"""Bodies of `POST /api/chat`, to the neutral request and back.

Results of calls name their function, and newer ones the id of their call; else they answer calls
in the order in which these were made.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, assert_never

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import GatewayError, InvalidRequest
from modelmux.ir.parts import Blob, Part, Reasoning, Refusal, Text, ToolCall, ToolResult
from modelmux.ir.request import (
    Encoded,
    GenericTool,
    Loss,
    Message,
    Request,
    Role,
    Tool,
)
from modelmux.wire import extra, pairing
from modelmux.wire.ollama_chat import images, schema, settings
from modelmux.wire.ollama_chat.schema import CHAT
from modelmux.wire.ollama_chat.settings import Body

MADE = "ollama_"
"""How the id of a call begins that has none."""

TOOL_TYPE = "/tools/{}/type"
"""The caller wrote the type of the tool, which is `function` anyway."""
CONTENT = "/messages/{}/content"
"""The message has content beside its calls, if an empty one."""

_ROLES: Mapping[str, Role] = {
    "system": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "user",
}
_EMPTY = Raw(b"{}")
_NOTHING: Mapping[str, Raw] = {}

_body = extra.Schema(schema.ChatRequest)
_tool = extra.Schema(schema.Tool)
_object = msgspec.json.Decoder(dict[str, Raw])


def decode(body: bytes) -> Request:
    """The neutral request. Raises `InvalidRequest`, naming the field."""
    params, unknown = _body.decode(body)
    if not params.messages:
        raise InvalidRequest("messages: expected at least one", param="messages")
    rest, of_messages = settings.split(unknown, "messages")
    spelled: set[str] = set()
    said = settings.decode(params, spelled, rest)
    return Request(
        params.model,
        _messages(params.messages, of_messages, spelled),
        _tools(params.tools or (), spelled),
        max_tokens=said.max_tokens,
        sampling=said.sampling,
        response_format=said.response_format,
        reasoning=said.reasoning,
        stream=params.stream is not False,
        wire=CHAT,
        spelling=frozenset(spelled),
        extra=settings.kept(rest, CHAT, frozenset()),
    )


def _messages(
    messages: Sequence[schema.Message],
    unknown: Mapping[int, Mapping[str, Raw]],
    spelled: set[str],
) -> tuple[Message, ...]:
    out: list[Message] = []
    asked: list[ToolCall] = []
    for index, message in enumerate(messages):
        role = _ROLES.get(message.role)
        where = f"messages[{index}]"
        if role is None:
            known = ", ".join(_ROLES)
            raise InvalidRequest(
                f"{where}.role: expected one of {known}, got {message.role!r}",
                param=f"{where}.role",
            )
        fields = dict(unknown.get(index, {}))
        if message.role == "tool":
            parts = _result(message, asked, index, fields)
        else:
            parts = _parts(message, index, fields)
            if role == "assistant":
                asked = [part for part in parts if isinstance(part, ToolCall)]
                if asked and message.content == "":
                    spelled.add(CONTENT.format(index))
        out.append(Message(role, parts, None, True, extra.keep(fields, CHAT, f"/messages/{index}")))
    return tuple(out)


def _parts(message: schema.Message, index: int, fields: dict[str, Raw]) -> tuple[Part, ...]:
    out: list[Part] = []
    if message.thinking is not None:
        out.append(Reasoning(message.thinking, origin=CHAT))
    if message.content or not (message.tool_calls or message.images or out):
        out.append(Text(message.content or ""))
    out += [images.decode(image) for image in message.images or ()]
    for number, call in enumerate(message.tool_calls or ()):
        out.append(tool_call(call, f"{MADE}{index}_{number}"))
        prefix = f"/tool_calls/{number}"
        for pointer in [at for at in fields if at.startswith(prefix + "/")]:
            part = out[-1]
            kept = {pointer.removeprefix(prefix): fields.pop(pointer)}
            if isinstance(part, ToolCall):
                more = part.extra.fields if part.extra is not None else _NOTHING
                at = f"/messages/{index}{prefix}"
                out[-1] = replace(part, extra=extra.keep({**more, **kept}, CHAT, at))
    return tuple(out)


def tool_call(
    call: schema.ToolCall, made: str, error: type[GatewayError] = InvalidRequest
) -> ToolCall:
    """A call, under the id `made` where it has none; raises `error` if it is not text."""
    try:
        arguments = bytes(call.function.arguments or _EMPTY).decode()
    except UnicodeDecodeError as exc:
        raise extra.invalid(exc, "/tool_calls", error) from None
    return ToolCall(call.id or made, call.function.name, arguments)


def _result(
    message: schema.Message, asked: list[ToolCall], index: int, fields: dict[str, Raw]
) -> tuple[Part, ...]:
    """The result that a message is, as the answer to the call that it names or that is next."""
    id_, name = message.tool_call_id, message.tool_name
    call = next(
        (c for c in asked if (c.id == id_ if id_ else name in {None, c.name})),
        asked[0] if asked and not id_ else None,
    )
    if call is not None:
        asked.remove(call)
    if id_ is not None:
        fields["tool_call_id"] = Raw(b"")  # a note: it was said
    if name is not None and call is not None and call.name == name:
        fields["tool_name"] = Raw(b"")
    elif name is not None:
        fields["/tool_name"] = Raw(msgspec.json.encode(name))
    pieces: tuple[Text | Blob, ...] = (Text(message.content or ""),)
    pieces += tuple([images.decode(image) for image in message.images or ()])
    answered = id_ or (call.id if call is not None else f"{MADE}{index}_of_{name or ''}")
    return (ToolResult(answered, pieces, bare=len(pieces) == 1),)


def _tools(raws: Sequence[Raw], spelled: set[str]) -> tuple[Tool | GenericTool, ...]:
    out: list[Tool | GenericTool] = []
    for index, raw in enumerate(raws):
        at = f"/tools/{index}"
        tool, unknown = _tool.decode(raw, at)
        if tool.type is not None:
            spelled.add(TOOL_TYPE.format(index))
        function = tool.function
        parameters = function.parameters or None
        kept = extra.keep(unknown, CHAT, at)
        out.append(Tool(function.name, function.description, parameters, extra=kept))
    return tuple(out)


def native(request: Request) -> Encoded:
    """A request of this wire as it was said, and what of it another hand put in and is lost."""
    losses: list[Loss] = []
    names = {p.id: p.name for m in request.messages for p in m.parts if isinstance(p, ToolCall)}
    body: Body = {"model": request.model}
    body["messages"] = [
        said
        for index, message in enumerate(request.messages)
        for said in _native_message(message, index, request, names, losses)
    ]
    if request.tools:
        body["tools"] = _native_tools(request, losses)
    body.update(settings.native(request, CHAT))
    return Encoded(msgspec.json.encode(extra.merge(body, request.extra, CHAT)), tuple(losses))


def _native_message(
    message: Message,
    index: int,
    request: Request,
    names: Mapping[str, str],
    losses: list[Loss],
) -> list[Body]:
    """One message for what is said, and one for each result."""
    results = [part for part in message.parts if isinstance(part, ToolResult)]
    if results:
        return [_native_result(part, message, names) for part in results]
    role = "system" if message.role == "developer" else message.role
    out: Body = {"role": role}
    said = _Said([], [], [])
    for place, part in enumerate(message.parts):
        if not _native_part(part, index, out, said):
            path = f"/messages/{index}/parts/{place}"
            losses.append(Loss(path, f"{CHAT} has no such content", "content"))
    has_content = CONTENT.format(index) in request.spelling
    if said.texts or has_content or not (said.calls or said.media):
        out["content"] = "".join(said.texts)
    if said.media:
        out["images"] = said.media
    if said.calls:
        out["tool_calls"] = said.calls
    return [extra.merge(out, message.extra, CHAT) if message.extra else out]


class _Said(NamedTuple):
    """What of a message is said in lists."""

    texts: list[str]
    media: list[str]
    calls: list[Body]


def _native_part(part: Part, index: int, out: Body, said: _Said) -> bool:
    """Say a part; whether that can be done."""
    match part:
        case Text(text=text) | Refusal(text=text):
            said.texts.append(text)
        case Reasoning(text=text):
            out["thinking"] = text
        case ToolCall():
            said.calls.append(said_call(part, arguments(part, index)))
        case Blob(modality="image", content=content):
            said.media.append(content)
        case _:
            return False
    return True


def said_call(part: ToolCall, arguments_: Raw) -> Body:
    """A call as the API has it; an id that was made for it is none."""
    call: Body = {"function": {"name": part.name, "arguments": arguments_}}
    if not part.id.startswith(MADE):
        call["id"] = part.id
    return extra.merge(call, part.extra, CHAT) if part.extra else call


def arguments(part: ToolCall, index: int) -> Raw:
    """Arguments as the object that they must be. Raises `InvalidRequest`."""
    text = part.arguments
    if not text or text.isspace():
        return _EMPTY
    try:
        _object.decode(text)
    except extra.MALFORMED:
        raise pairing.no_object(part.name, index) from None
    return Raw(text.encode())


def _native_result(part: ToolResult, message: Message, names: Mapping[str, str]) -> Body:
    notes = message.extra.fields if message.extra is not None else _NOTHING
    out: Body = {"role": "tool", "content": "".join([_text(piece) for piece in part.parts])}
    if media := [piece.content for piece in part.parts if isinstance(piece, Blob)]:
        out["images"] = media
    if "tool_name" in notes:
        out["tool_name"] = names.get(part.id, "")
    if "tool_call_id" in notes:
        out["tool_call_id"] = part.id
    return extra.merge(out, message.extra, CHAT) if message.extra else out


def _text(part: Part) -> str:
    return part.text if isinstance(part, Text) else ""


def _native_tools(request: Request, losses: list[Loss]) -> list[Body]:
    out: list[Body] = []
    for index, tool in enumerate(request.tools):
        match tool:
            case Tool():
                said = definition(tool)
                if TOOL_TYPE.format(index) not in request.spelling:
                    del said["type"]
                out.append(extra.merge(said, tool.extra, CHAT))
            case GenericTool(name=name):
                losses.append(Loss(f"/tools/{index}", f"{CHAT} has no tool {name!r}", "content"))
            case _:
                assert_never(tool)
    return out


def definition(tool: Tool) -> Body:
    """A tool as the API has it."""
    function: Body = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.parameters is not None:
        function["parameters"] = tool.parameters
    return {"type": "function", "function": function}
