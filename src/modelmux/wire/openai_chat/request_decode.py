"""Request bodies into neutral requests."""

from typing import Literal

import msgspec
from msgspec import Raw

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import CacheControl, Extra
from modelmux.ir.request import (
    GenericTool,
    Grammar,
    ReasoningOptions,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from modelmux.wire import extra
from modelmux.wire.extra import Fields
from modelmux.wire.openai import values
from modelmux.wire.openai.values import present
from modelmux.wire.openai_chat import calls, markers, schema
from modelmux.wire.openai_chat.message_decode import Reading
from modelmux.wire.openai_chat.schema import NAME

ANY = "any"
"""In `spelling`: `tool_choice` is Mistral's `any`, which others call `required`."""

BARE_FILES = "file_data"
"""In `spelling`: files are bare Base64 and not data URLs."""

REASONING = "reasoning"
"""In `spelling`: reasoning is set by OpenRouter's `reasoning`."""

THINKING = "thinking"
"""In `spelling`: reasoning is set by Anthropic's `thinking`, and perhaps `reasoning_effort`."""

_CONTENT_FIELDS = frozenset({"audio", "modalities", "moderation", "web_search_options"})
"""Fields without a neutral word whose loss is a loss of what was asked, not of how."""

_ONE_SPELLING: frozenset[str] = frozenset()

_MODES: dict[str, Literal["auto", "none", "required"]] = {
    "auto": "auto",
    "none": "none",
    "required": "required",
    ANY: "required",
}


def decode(body: bytes) -> Request:
    """The request in `body`.

    Raises:
        InvalidRequest: It is none, and the error names the field.
    """
    if not body.isascii():
        _check_utf8(body)
    r, unknown = _read(body)
    if not r.messages:
        raise InvalidRequest("messages: expected at least one message", param="messages")
    reading = Reading(body, unknown)
    messages = tuple([reading.message(index, m) for index, m in enumerate(r.messages)])
    tools = _tools(r.tools, body, reading) if r.tools else ()
    choice = _choice(r.tool_choice, reading) if r.tool_choice is not None else None
    parallel = r.parallel_tool_calls
    full = r if isinstance(r, schema.FullRequest) else None
    if full is not None and _is_legacy(full):
        tools = tuple([_function(function, None, None) for function in full.functions or ()])
        choice = _legacy_choice(full.function_call)
        parallel = False  # the older form has room for one call
    return Request(
        r.model,
        messages,
        tools,
        choice,
        parallel,
        r.max_tokens if r.max_completion_tokens is None else r.max_completion_tokens,
        _sampling(r),
        _format(r.response_format, reading) if r.response_format is not None else None,
        _reasoning(r, full, reading),
        r.n or 1,
        bool(r.stream),
        r.stream_options is not None and bool(r.stream_options.include_usage),
        r.user,
        r.metadata or {},
        NAME,
        _spelling(r, full, reading.bare_files),
        _own_fields(r, full, reading.kept(""), body),
    )


def _check_utf8(body: bytes) -> None:
    """What is passed on as the bytes that came is read by nobody here: it must be text."""
    try:
        body.decode()
    except UnicodeDecodeError as exc:
        raise extra.invalid(exc) from None


def _read(body: bytes) -> tuple[schema.Request, Fields]:
    try:
        return schema.plain_request.decode(body), {}
    except extra.MALFORMED:
        return schema.full_request.decode(body)  # some field more, or a mistake to report


def _is_legacy(full: schema.FullRequest) -> bool:
    """Whether tools are said as functions."""
    return not full.tools and bool(full.functions or full.function_call)


def _spelling(
    r: schema.Request, full: schema.FullRequest | None, bare_files: bool
) -> frozenset[str]:
    words = _words(full) if full is not None else []
    if r.max_tokens is not None and r.max_completion_tokens is None:
        words.append("max_tokens")
    if isinstance(r.stop, str):
        words.append("stop")
    if r.stream is False:
        words.append("stream")
    if r.n == 1:
        words.append("n")
    if r.tool_choice == ANY:
        words.append(ANY)
    if bare_files:
        words.append(BARE_FILES)
    return frozenset(words) if words else _ONE_SPELLING


def _words(full: schema.FullRequest) -> list[str]:
    """Spellings that not every request has room for."""
    words: list[str] = []
    if _is_legacy(full):
        words.append(calls.LEGACY)
    if full.reasoning is not None:
        words.append(REASONING)
    elif full.thinking is not None:
        words.append(THINKING)
    return words


def _sampling(r: schema.Request) -> Sampling:
    stop = (r.stop,) if isinstance(r.stop, str) else tuple(r.stop or ())
    return Sampling(
        r.temperature,
        r.top_p,
        r.top_k,
        r.seed,
        stop,
        r.presence_penalty,
        r.frequency_penalty,
        r.logit_bias if present(r.logit_bias) else None,
        r.logprobs,
        r.top_logprobs,
    )


def _tools(
    tools: list[schema.Tool], body: bytes, reading: Reading
) -> tuple[Tool | GenericTool, ...]:
    return tuple([_tool(tool, index, body, reading) for index, tool in enumerate(tools)])


def _tool(tool: schema.Tool, index: int, body: bytes, reading: Reading) -> Tool | GenericTool:
    at = f"/tools/{index}"
    if tool.type == "function":
        if tool.function is None:
            path = extra.pointer_to_path(f"{at}/function")
            raise InvalidRequest(f"{path}: expected a function", param=path)
        cache = markers.decode(tool.cache_control, Raw(), at) if tool.cache_control else None
        return _function(tool.function, cache, reading.kept(at))
    raw = values.raws.decode(_field(body, "tools"))[index]
    if not present(tool.custom):
        return GenericTool(tool.type, tool.type, NAME, raw)
    return _custom(tool, raw, at)


def _custom(tool: schema.Tool, raw: Raw, at: str) -> Tool | GenericTool:
    """A tool of free text; one that says more of itself than is known, as it came."""
    try:
        known = schema.custom_definition.decode(tool.custom)
    except extra.MALFORMED:
        try:
            name = schema.custom_name.decode(tool.custom).name
        except extra.MALFORMED as exc:
            raise extra.invalid(exc, f"{at}/custom") from None
        return GenericTool(tool.type, name, NAME, raw)
    grammar = None
    if known.format is not None:
        grammar = Grammar(known.format.grammar.syntax, known.format.grammar.definition)
    cache = markers.decode(tool.cache_control, Raw(), at) if tool.cache_control else None
    return Tool(known.name, known.description, cache_control=cache, custom=True, grammar=grammar)


def _function(
    function: schema.FunctionDefinition, cache: CacheControl | None, kept: Extra | None
) -> Tool:
    parameters = function.parameters if present(function.parameters) else None
    return Tool(function.name, function.description, parameters, function.strict, cache, kept)


def _choice(given: str | schema.ToolChoice, reading: Reading) -> ToolChoice:
    if isinstance(given, str):
        return _plain_choice(given, "tool_choice")
    kept = reading.kept("/tool_choice")
    match given:
        case schema.ToolChoice(type="function", function=schema.Named(name)):
            return ToolChoice("named", (name,), extra=kept)
        case schema.ToolChoice(type="custom", custom=schema.Named(name)):
            return ToolChoice("named", (name,), extra=kept)
        case schema.ToolChoice(type="allowed_tools", allowed_tools=schema.AllowedTools() as tools):
            return _allowed(tools, kept)
        case _:
            raise InvalidRequest(
                f"tool_choice: an object of type {given.type!r} cannot be read", param="tool_choice"
            )


def _plain_choice(given: str, field: str) -> ToolChoice:
    if given not in _MODES:
        expected = ", ".join(_MODES)
        raise InvalidRequest(
            f"{field}: expected one of {expected}, or an object; got {given!r}", param=field
        )
    return ToolChoice(_MODES[given])


def _allowed(allowed: schema.AllowedTools, kept: Extra | None) -> ToolChoice:
    try:
        tools = [schema.allowed_tool.decode(raw) for raw in allowed.tools]
    except extra.MALFORMED as exc:
        raise extra.invalid(exc, "/tool_choice/allowed_tools/tools") from None
    names = [tool.function or tool.custom for tool in tools]
    if any(tool.function is None for tool in tools):
        fields = {
            **(kept.fields if kept else {}),
            "/allowed_tools/tools": Raw(msgspec.json.encode(allowed.tools)),
        }
        kept = Extra(NAME, fields, "/tool_choice")
    named = tuple([tool.name for tool in names if tool is not None])
    return ToolChoice("allowed", named, allowed.mode == "required", kept)


def _legacy_choice(given: str | schema.Named | None) -> ToolChoice | None:
    if isinstance(given, schema.Named):
        return ToolChoice("named", (given.name,))
    return None if given is None else _plain_choice(given, "function_call")


def _format(given: schema.ResponseFormat, reading: Reading) -> ResponseFormat:
    kept = reading.kept("/response_format")
    match given.type:
        case "text" | "json_object":
            return ResponseFormat(given.type, extra=kept)
        case "json_schema":
            wanted = given.json_schema or schema.JSONSchema()
            return ResponseFormat(
                "json_schema",
                wanted.name,
                wanted.description,
                wanted.schema if present(wanted.schema) else None,
                wanted.strict,
                kept,
            )
        case _:
            raise InvalidRequest(
                "response_format.type: expected text, json_object or json_schema, "
                f"got {given.type!r}",
                param="response_format.type",
            )


def _reasoning(
    r: schema.Request, full: schema.FullRequest | None, reading: Reading
) -> ReasoningOptions | None:
    effort = r.reasoning_effort
    if full is not None and full.reasoning is not None:
        given = full.reasoning
        mode: Literal["enabled", "disabled"] | None = None
        if given.enabled is not None:
            mode = "enabled" if given.enabled else "disabled"
        kept = reading.kept("/reasoning")
        return ReasoningOptions(mode, given.effort, given.max_tokens, kept)
    if full is not None and full.thinking is not None:
        kept = reading.kept("/thinking")
        return ReasoningOptions(full.thinking.type, effort, full.thinking.budget_tokens, kept)
    if effort is None:
        return None
    return ReasoningOptions("disabled" if effort == "none" else None, effort)


def _own_fields(
    r: schema.Request, full: schema.FullRequest | None, kept: Extra | None, body: bytes
) -> Extra | None:
    """Fields of the request that the model has no word for."""
    options = r.stream_options
    if kept is None and full is None and (options is None or options.include_obfuscation is None):
        return None
    fields = dict(kept.fields) if kept is not None else {}
    if options is not None and options.include_obfuscation is not None:
        value = msgspec.json.encode(options.include_obfuscation)
        fields["/stream_options/include_obfuscation"] = Raw(value)
    content: set[str] = set()
    if full is not None:
        for name in schema.OWN_FIELDS:
            value = getattr(full, name)
            if present(value):
                fields[f"/{name}"] = value
                if name in _CONTENT_FIELDS and bytes(value) != b'["text"]':
                    content.add(f"/{name}")
        for name in _superseded(full):
            fields[f"/{name}"] = _field(body, name)
    return Extra(NAME, fields, "", frozenset(content)) if fields else None


def _superseded(full: schema.FullRequest) -> list[str]:
    """Older or foreign spellings that stand beside the one that counts."""
    names: list[str] = []
    if full.tools and full.functions:
        names.append("functions")
    if full.tools and full.function_call:
        names.append("function_call")
    if full.reasoning is not None:
        names += [name for name in ("reasoning_effort", "thinking") if getattr(full, name)]
    return names


def _field(body: bytes, name: str) -> Raw:
    return values.objects.decode(body)[name]
