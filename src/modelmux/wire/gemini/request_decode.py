"""Bodies of `generateContent`, `streamGenerateContent` and `countTokens` to the neutral request.

Model and stream are said by the path, and are for whoever knows it to fill in.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Extra, Part, ToolCall, ToolResult
from modelmux.ir.request import (
    Envelope,
    GenericTool,
    Message,
    ReasoningOptions,
    Request,
    ResponseFormat,
    Role,
    Sampling,
    Tool,
    ToolChoice,
)
from modelmux.wire import extra
from modelmux.wire.gemini import calls, part_decode, schema, spelling
from modelmux.wire.gemini.schema import NAME

NO_ROLE = "/contents/{}/role"
"""The caller left out the role of a turn, which is the user's then."""
OPENAPI_SCHEMA = "/tools/{}/parameters"
"""A function's schema is in the API's own dialect."""
TOOL = "/tools/{}"
"""With `=N`: how many functions are in it; with `+`: a tool of Google's; with `&`: beside them."""
FORMAT = "/generationConfig/responseSchema"
"""The schema of the answer is in the API's own dialect."""
CONFIG = "/generationConfig"
THINKING = "/generationConfig/thinkingConfig"
"""The object is there, whatever it says."""
THOUGHTS = "/generationConfig/thinkingConfig/includeThoughts"
"""With `=true` or `=false`: the caller said whether to be shown thoughts."""
LOWER_LEVEL = "/generationConfig/thinkingConfig/thinkingLevel"
"""The level is written in lower case."""
MIME_TYPE = "/generationConfig/responseMimeType"
"""There is a schema of the answer without a type of it."""
SYSTEM_ROLE = "/systemInstruction/role="
"""And the role that the caller gave to the system."""

_ROLES: Mapping[str, Role] = {"user": "user", "model": "assistant"}
_MODES: Mapping[str, Literal["auto", "none", "required"]] = {
    "AUTO": "auto",
    "NONE": "none",
    "ANY": "required",
}
_CONTENT_FIELDS = frozenset({"/cachedContent"})
"""Fields without which the model is told something else."""

_body = extra.Schema(schema.GenerateContentRequest)
_declaration = extra.Schema(schema.FunctionDeclaration)
_tool = msgspec.json.Decoder(schema.Tool)
_object = msgspec.json.Decoder(dict[str, Raw])
_envelope = msgspec.json.Decoder(schema.Envelope)
_count = msgspec.json.Decoder(schema.CountTokensRequest)

_reader = part_decode.Reader(InvalidRequest, keeps_signatures_in_ids=False)


def envelope(body: bytes) -> Envelope:
    """How many answers a body asks for. Raises `InvalidRequest` if it is no object."""
    try:
        config = _envelope.decode(body).generation_config
    except extra.MALFORMED as exc:
        raise extra.invalid(exc) from None
    return Envelope("", choices=(config.candidate_count if config else None) or 1)


def decode(body: bytes) -> Request:
    """The neutral request. Raises `InvalidRequest`, naming the field."""
    params, unknown = _body.decode(spelling.camel(body))
    if not params.contents:
        raise InvalidRequest("contents: field required", param="contents")
    return _request(params, unknown)


def decode_count(body: bytes) -> Request:
    """The same for `countTokens`, which has `contents` or a whole request."""
    body = spelling.camel(body)
    try:
        whole = _count.decode(body).generate_content_request
    except extra.MALFORMED as exc:
        raise extra.invalid(exc) from None
    return _request(*_body.decode(whole or body))


def _request(params: schema.GenerateContentRequest, unknown: Mapping[str, Raw]) -> Request:
    rest, of_contents, of_system = _apart(unknown)
    spelled: set[str] = set()
    config = params.generation_config
    messages = _messages(params, of_contents, of_system, spelled)
    sampling, reasoning, form = Sampling(), None, None
    if config is not None:
        sampling = _sampling(config)
        spelled.add(CONFIG)
        reasoning = _reasoning(config.thinking_config, spelled)
        form = _format(config, rest, spelled)
    return Request(
        "",
        messages,
        _tools(params.tools, spelled) if params.tools else (),
        _choice(params.tool_config, rest),
        None,
        config.max_output_tokens if config else None,
        sampling,
        form,
        reasoning,
        (config.candidate_count if config else None) or 1,
        wire=NAME,
        spelling=frozenset(spelled),
        extra=Extra(NAME, rest, "", _CONTENT_FIELDS.intersection(rest)) if rest else None,
    )


def _apart(
    unknown: Mapping[str, Raw],
) -> tuple[dict[str, Raw], dict[int, dict[str, Raw]], dict[str, Raw]]:
    """Fields of the body, of its turns by index, and of the system's, by relative pointer."""
    rest: dict[str, Raw] = {}
    of_contents: dict[int, dict[str, Raw]] = {}
    of_system: dict[str, Raw] = {}
    for pointer, raw in unknown.items():
        if pointer.startswith("/contents/"):
            index, _, field = pointer.removeprefix("/contents/").partition("/")
            of_contents.setdefault(int(index), {})[f"/{field}"] = raw
        elif pointer.startswith("/systemInstruction/"):
            of_system[pointer.removeprefix("/systemInstruction")] = raw
        else:
            rest[pointer] = raw
    return rest, of_contents, of_system


def _messages(
    params: schema.GenerateContentRequest,
    of_contents: Mapping[int, Mapping[str, Raw]],
    of_system: Mapping[str, Raw],
    spelled: set[str],
) -> tuple[Message, ...]:
    out: list[Message] = []
    if params.system_instruction is not None:
        kept = dict(of_system)
        role = params.system_instruction.role
        parts = _parts(params.system_instruction, "/systemInstruction")
        if role is not None:
            spelled.add(f"{SYSTEM_ROLE}{role}")
        out.append(Message("system", parts, extra=extra.keep(kept, NAME, "/systemInstruction")))
    asked: list[ToolCall] = []
    for index, content in enumerate(params.contents or ()):
        at = f"/contents/{index}"
        kept = dict(of_contents.get(index, {}))
        neutral = _ROLES.get(content.role or "user")
        if content.role is None:
            spelled.add(NO_ROLE.format(index))
        elif neutral is None:  # `function`, in older bodies
            kept["/role"] = Raw(msgspec.json.encode(content.role))
        parts = _parts(content, at)
        if neutral == "assistant":
            asked = [part for part in parts if isinstance(part, ToolCall)]
        elif any(isinstance(part, ToolResult) for part in parts):
            parts = _paired(parts, asked)
        out.append(Message(neutral or "user", parts, extra=extra.keep(kept, NAME, at)))
    return tuple(out)


def _parts(content: schema.Content, at: str) -> tuple[Part, ...]:
    return tuple(_reader.parts(content.parts or (), f"{at}/parts", _ids(at)))


def _ids(at: str) -> Callable[[], str]:
    numbers = iter(range(1 << 30))
    place = at.strip("/").replace("/", "-")
    return lambda: calls.made(place, next(numbers))


def _paired(parts: Sequence[Part], asked: list[ToolCall]) -> tuple[Part, ...]:
    """`parts` with each result given the id of its call: the first of its name without one."""
    out: list[Part] = []
    for part in parts:
        if not isinstance(part, ToolResult):
            out.append(part)
            continue
        kept = dict(part.extra.fields) if part.extra is not None else {}
        name = msgspec.json.decode(kept["/functionResponse/name"], type=str)
        call = next(
            (c for c in asked if (c.id == part.id if part.id else c.name == name)),
            asked[0] if asked and not part.id else None,
        )
        if call is not None:
            asked.remove(call)
            if call.name == name:
                del kept["/functionResponse/name"]
        id_ = call.id if call is not None else part.id or calls.made(f"of-{name}", len(out))
        at = part.extra.at if part.extra is not None else ""
        out.append(replace(part, id=id_, extra=extra.keep(kept, NAME, at)))
    return tuple(out)


def _tools(raws: Sequence[Raw], spelled: set[str]) -> tuple[Tool | GenericTool, ...]:
    """Functions one by one; what else is in a tool is a tool of Google's own, one for each.

    How many of them stood in one tool is a matter of spelling.
    """
    out: list[Tool | GenericTool] = []
    for index, raw in enumerate(raws):
        at = TOOL.format(index)
        try:
            declarations = _tool.decode(raw).function_declarations
            fields = _object.decode(raw)
        except extra.MALFORMED as exc:
            raise extra.invalid(exc, at) from None
        fields.pop("functionDeclarations", None)
        if declarations is not None:
            spelled.add(f"{at}={len(declarations)}")
            for place, declared in enumerate(declarations):
                where = f"{at}/functionDeclarations/{place}"
                out.append(_function(declared, where, len(out), spelled))
        if fields or declarations is None:
            spelled.add(f"{at}+" if declarations is None else f"{at}&")
            kind = ",".join(fields) or "tool"
            out.append(GenericTool(kind, kind, NAME, Raw(msgspec.json.encode(fields))))
    return tuple(out)


def _function(raw: Raw, at: str, number: int, spelled: set[str]) -> Tool:
    found, unknown = _declaration.decode(raw, at)
    fields = dict(unknown)
    parameters = found.parameters_json_schema
    if found.parameters and bytes(found.parameters) != b"null":
        if parameters:
            fields["/parameters"] = found.parameters
        else:
            parameters = spelling.json_schema(found.parameters)
            spelled.add(OPENAPI_SCHEMA.format(number))
            if bytes(parameters) != bytes(found.parameters):
                spelled.add(OPENAPI_SCHEMA.format(number) + "/type")
    return Tool(
        found.name,
        found.description,
        parameters or None,
        extra=extra.keep(fields, NAME, at),
    )


def _choice(config: schema.ToolConfig | None, rest: dict[str, Raw]) -> ToolChoice | None:
    calling = config.function_calling_config if config is not None else None
    if calling is None:
        return None
    names = tuple(calling.allowed_function_names or ())
    mode = _MODES.get((calling.mode or "").upper())
    if mode is None:  # VALIDATED, or none said
        fields = {"mode": calling.mode, "allowedFunctionNames": calling.allowed_function_names}
        said = {name: value for name, value in fields.items() if value is not None}
        rest["/toolConfig/functionCallingConfig"] = Raw(msgspec.json.encode(said))
        return ToolChoice("auto") if calling.mode else None
    if mode != "required" or not names:
        if names:
            raw = Raw(msgspec.json.encode(names))
            rest["/toolConfig/functionCallingConfig/allowedFunctionNames"] = raw
        return ToolChoice(mode)
    if len(names) == 1:
        return ToolChoice("named", names)
    return ToolChoice("allowed", names, required=True)


def _sampling(config: schema.GenerationConfig) -> Sampling:
    top_k = config.top_k
    stop = config.stop_sequences
    return Sampling(
        config.temperature,
        config.top_p,
        int(top_k) if top_k is not None else None,
        config.seed,
        tuple(stop) if stop else (),
        config.presence_penalty,
        config.frequency_penalty,
        logprobs=config.response_logprobs,
        top_logprobs=config.logprobs,
    )


def _reasoning(config: schema.ThinkingConfig | None, spelled: set[str]) -> ReasoningOptions | None:
    if config is None:
        return None
    spelled.add(THINKING)
    budget, level = config.thinking_budget, config.thinking_level
    mode: Literal["enabled", "disabled", "adaptive"] | None = None
    if budget == 0:
        mode, budget = "disabled", None
    elif budget == -1:
        mode, budget = "adaptive", None
    elif budget is not None or level is not None or config.include_thoughts:
        mode = "enabled"
    if config.include_thoughts is not None:
        spelled.add(f"{THOUGHTS}={msgspec.json.encode(config.include_thoughts).decode()}")
    if level is not None and level != level.upper():
        spelled.add(LOWER_LEVEL)
    return ReasoningOptions(mode, level.lower() if level else None, budget)


def _format(
    config: schema.GenerationConfig, rest: dict[str, Raw], spelled: set[str]
) -> ResponseFormat | None:
    mime = config.response_mime_type
    schema_ = config.response_json_schema
    if config.response_schema and bytes(config.response_schema) != b"null":
        if schema_:
            rest["/generationConfig/responseSchema"] = config.response_schema
        else:
            schema_ = spelling.json_schema(config.response_schema)
            spelled.add(FORMAT)
            if bytes(schema_) != bytes(config.response_schema):
                spelled.add(FORMAT + "/type")
    if mime is None:
        if schema_:
            spelled.add(MIME_TYPE)
            return ResponseFormat("json_schema", schema=schema_)
        return None
    if mime == "text/plain":
        return ResponseFormat("text")
    if mime != "application/json":  # `text/x.enum`
        rest["/generationConfig/responseMimeType"] = Raw(msgspec.json.encode(mime))
        if schema_:
            name = "responseSchema" if FORMAT in spelled else "responseJsonSchema"
            rest[f"/generationConfig/{name}"] = schema_
        return None
    if schema_:
        return ResponseFormat("json_schema", schema=schema_)
    return ResponseFormat("json_object")
