"""A request that came from this wire, written back as it was said.

Nothing is cleaned up: what the caller wrote, the caller meant. Only what another hand put into
the request may be unsayable.
"""

from collections.abc import Iterable, Sequence
from typing import assert_never, cast

import msgspec
from msgspec import Raw

from modelmux.errors import InvalidRequest
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
from modelmux.ir.request import Encoded, GenericTool, Loss, Message, Request, Tool
from modelmux.wire import extra
from modelmux.wire.gemini import calls, part_encode, request_decode, spelling
from modelmux.wire.gemini.part_encode import Piece
from modelmux.wire.gemini.schema import NAME

_HOLDERS = ("/generationConfig", "/toolConfig")
"""Objects that may hold nothing but fields the neutral model does not know."""


def encode(request: Request) -> Encoded:
    """The body, and what of it another hand put in and cannot be said."""
    losses: list[Loss] = []
    body: Piece = {}
    names = call_names(request.messages)
    messages = list(request.messages)
    if messages and messages[0].role in {"system", "developer"}:
        body["systemInstruction"] = _system(messages.pop(0), request, losses)
    first = len(request.messages) - len(messages)
    body["contents"] = [
        _content(message, index, f"/messages/{index + first}", request, names, losses)
        for index, message in enumerate(messages)
    ]
    if request.tools:
        body["tools"] = _tools(request, losses)
    config = _config(request)
    if config or request_decode.CONFIG in request.spelling:
        body["generationConfig"] = config
    if (calling := _calling(request)) is not None:
        body["toolConfig"] = {"functionCallingConfig": calling}
    if request.extra is not None:
        _make_room(body, request.extra.fields)
    return Encoded(msgspec.json.encode(extra.merge(body, request.extra, NAME)), tuple(losses))


def call_names(messages: Sequence[Message]) -> dict[str, str]:
    """Names of the functions called, by the ids of the calls."""
    return {
        part.id: part.name
        for message in messages
        for part in message.parts
        if isinstance(part, ToolCall)
    }


def _make_room(body: Piece, pointers: Iterable[str]) -> None:
    """Make the objects into which unknown fields go, where they hold nothing else."""
    for holder in sorted({pointer.rpartition("/")[0] for pointer in pointers}):
        if not holder.startswith(_HOLDERS):
            continue
        place = body
        for step in holder.split("/")[1:]:
            inner = place.setdefault(step, {})
            if not isinstance(inner, dict):
                break
            place = cast("Piece", inner)  # built here: JSON and nothing else


def _system(message: Message, request: Request, losses: list[Loss]) -> Piece:
    out: Piece = {"parts": pieces(message.parts, "/messages/0", {}, losses)}
    for spelled in request.spelling:
        if spelled.startswith(request_decode.SYSTEM_ROLE):
            out["role"] = spelled.removeprefix(request_decode.SYSTEM_ROLE)
    return extra.merge(out, message.extra, NAME)


def _content(
    message: Message,
    index: int,
    path: str,
    request: Request,
    names: dict[str, str],
    losses: list[Loss],
) -> Piece:
    out: Piece = {"parts": pieces(message.parts, path, names, losses)}
    if message.role == "assistant":
        out["role"] = "model"
    elif request_decode.NO_ROLE.format(index) not in request.spelling:
        out["role"] = "user"
    return extra.merge(out, message.extra, NAME) if message.extra else out


def pieces(
    parts: Sequence[Part], path: str, names: dict[str, str], losses: list[Loss]
) -> list[Piece | Raw]:
    """The API's parts for `parts`, with signatures back in their places."""
    out: list[Piece | Raw] = []
    for place, part in enumerate(parts):
        at = f"{path}/parts/{place}"
        if isinstance(part, Reasoning) and part_encode.is_attached(part) and out:
            part_encode.attach(part, out)
            continue
        piece = _piece(part, at, names, losses)
        if isinstance(piece, str):
            losses.append(Loss(at, piece, "content"))
        else:
            out.append(piece)
    return out


def _piece(part: Part, path: str, names: dict[str, str], losses: list[Loss]) -> Piece | Raw | str:
    """The part of the API for `part`; or why there is none."""
    match part:
        case Text():
            return part_encode.text(part)
        case Refusal(text=text):
            return {"text": text}
        case Reasoning():
            return part_encode.thought(part)
        case ToolCall():
            return part_encode.function_call(part, part.name, _arguments(part, path))
        case ToolResult():
            return _result(part, path, names, losses)
        case Blob() | Uri() | File():
            return part_encode.media(part)
        case ServerToolCall(origin=origin):
            if origin == NAME:
                return part_encode.server_tool_call(part)
            return f"{NAME} does not run {part.name!r}"
        case Generic() | ServerToolResult():
            return part.raw if part.wire == NAME else f"{NAME} has no {part.type!r} content"
        case _:
            assert_never(part)


def _arguments(part: ToolCall, path: str) -> Raw:
    arguments = None if part.custom else part_encode.arguments(part.arguments)
    if arguments is None:
        where = extra.pointer_to_path(path.partition("/parts/")[0])
        raise InvalidRequest(
            f"{where}: the arguments of the call of {part.name!r} are not a JSON object",
            param=where,
        )
    return arguments


def _result(part: ToolResult, path: str, names: dict[str, str], losses: list[Loss]) -> Piece:
    media: list[object] = []
    for place, inner in enumerate(part.parts):
        piece = part_encode.of_result(inner)
        if isinstance(piece, str):
            losses.append(Loss(f"{path}/parts/{place}", piece, "content"))
        elif piece is not None:
            media.append(piece)
    id_ = calls.split(part.id).id
    out = part_encode.function_response(part, id_, names.get(part.id, ""), media)
    response = out["functionResponse"]
    if isinstance(response, dict) and not part.parts:
        del response["response"]
    return out


def _tools(request: Request, losses: list[Loss]) -> list[object]:
    """Tools as they were grouped; those that another hand put in are in one of their own."""
    functions: list[object] = []
    own: list[Raw] = []
    for index, tool in enumerate(request.tools):
        match tool:
            case Tool():
                functions.append(_function(tool, index, request))
            case GenericTool(wire=wire, raw=raw) if wire == NAME:
                own.append(raw)
            case GenericTool(name=name):
                losses.append(Loss(f"/tools/{index}", f"{NAME} has no tool {name!r}", "content"))
            case _:
                assert_never(tool)
    out: list[object] = []
    for index in range(len(request.tools)):
        at = request_decode.TOOL.format(index)
        group = next((s for s in request.spelling if s.startswith(f"{at}=")), None)
        piece: Piece | None = None
        if group is not None:
            size = int(group.partition("=")[2])
            piece = {"functionDeclarations": functions[:size]}
            del functions[:size]
        if own and (f"{at}+" in request.spelling or f"{at}&" in request.spelling):
            fields = msgspec.json.decode(own.pop(0), type=dict[str, Raw])
            piece = {**(piece or {}), **fields}
        if piece is not None:
            out.append(piece)
    if functions:
        out.append({"functionDeclarations": functions})
    return [*out, *own]


def _function(tool: Tool, index: int, request: Request) -> Piece:
    out: Piece = {"name": tool.name}
    if tool.description is not None:
        out["description"] = tool.description
    if tool.parameters is not None:
        at = request_decode.OPENAPI_SCHEMA.format(index)
        if at in request.spelling:
            capital = f"{at}/type" in request.spelling
            schema = spelling.openapi_schema(tool.parameters) if capital else tool.parameters
            out["parameters"] = schema
        else:
            out["parametersJsonSchema"] = tool.parameters
    return extra.merge(out, tool.extra, NAME)


def _calling(request: Request) -> Piece | None:
    choice = request.tool_choice
    if choice is None:
        return None
    match choice.mode:
        case "auto":
            return {"mode": "AUTO"}
        case "none":
            return {"mode": "NONE"}
        case "required":
            return {"mode": "ANY"}
        case "named" | "allowed":
            mode = "ANY" if choice.mode == "named" or choice.required else "VALIDATED"
            return {"mode": mode, "allowedFunctionNames": choice.names}
        case _:
            assert_never(choice.mode)


def _config(request: Request) -> Piece:
    sampling = request.sampling
    said: Piece = {
        "temperature": sampling.temperature,
        "topP": sampling.top_p,
        "topK": sampling.top_k,
        "seed": sampling.seed,
        "stopSequences": sampling.stop or None,
        "presencePenalty": sampling.presence_penalty,
        "frequencyPenalty": sampling.frequency_penalty,
        "responseLogprobs": sampling.logprobs,
        "logprobs": sampling.top_logprobs,
        "maxOutputTokens": request.max_tokens,
        "candidateCount": request.choices if request.choices > 1 else None,
        **_format(request),
    }
    thinking = _thinking(request)
    if thinking is not None:
        said["thinkingConfig"] = thinking
    return {name: value for name, value in said.items() if value is not None}


def _thinking(request: Request) -> Piece | None:
    options = request.reasoning
    if options is None:
        return None
    out: Piece = {}
    for value in (True, False):
        if f"{request_decode.THOUGHTS}={str(value).lower()}" in request.spelling:
            out["includeThoughts"] = value
    if options.mode == "disabled":
        out["thinkingBudget"] = 0
    elif options.mode == "adaptive":
        out["thinkingBudget"] = -1
    elif options.budget_tokens is not None:
        out["thinkingBudget"] = options.budget_tokens
    if options.effort is not None:
        lower = request_decode.LOWER_LEVEL in request.spelling
        out["thinkingLevel"] = options.effort if lower else options.effort.upper()
    return out


def _format(request: Request) -> Piece:
    form = request.response_format
    if form is None:
        return {}
    if form.type == "text":
        return {"responseMimeType": "text/plain"}
    out: Piece = {}
    if request_decode.MIME_TYPE not in request.spelling:
        out["responseMimeType"] = "application/json"
    if form.schema is not None:
        if request_decode.FORMAT in request.spelling:
            capital = f"{request_decode.FORMAT}/type" in request.spelling
            schema = spelling.openapi_schema(form.schema) if capital else form.schema
            out["responseSchema"] = schema
        else:
            out["responseJsonSchema"] = form.schema
    return out
