"""Neutral requests as request bodies."""

from collections.abc import Mapping, Sequence
from typing import Final, assert_never

import msgspec
from msgspec import Raw
from msgspec.structs import replace

from modelmux.errors import InvalidRequest, Unrepresentable
from modelmux.ir.profile import Profile
from modelmux.ir.request import Encoded, Loss, ReasoningOptions, Request, Tool, ToolChoice
from modelmux.ir.restore import Restore
from modelmux.wire import extra
from modelmux.wire.cohere_chat import native
from modelmux.wire.cohere_chat.content import Block
from modelmux.wire.cohere_chat.messages import Writer
from modelmux.wire.cohere_chat.schema import NAME
from modelmux.wire.tool_names import ToolNames

MAX_STOP: Final = 5
"""Most stop sequences. docs.cohere.com/reference/chat, read 2026-11-20"""

JSON_ONLY: Final = "Answer with one JSON object and nothing else: no explanation, no Markdown."

BUDGETS: Final[Mapping[str, int]] = {
    "minimal": 1_024,
    "low": 2_048,
    "medium": 8_192,
    "high": 16_384,
    "xhigh": 24_576,
    "max": 32_768,
}
"""Thinking tokens by effort: the API is told a budget."""

_ANY_OBJECT: Final = Raw(b'{"type":"object","properties":{}}')

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
    losses = list(_unsayable(request))
    if request.tools and not profile.tools:
        losses.append(Loss("/tools", "the model calls no tools", "content"))
        request = replace(request, tools=(), tool_choice=None)
    names = ToolNames([tool.name for tool in request.tools])
    body: Block = {"model": request.model, "messages": []}
    tools = _add_tools(request, names, losses, body)
    instruction = _add_format(request, body, has_tools=bool(tools))
    writer = Writer(names, profile, losses)
    body["messages"] = writer.write(request.messages, instruction)
    if request.stream:
        body["stream"] = True
    body.update(_sampling(request, profile, losses))
    if request.reasoning is not None:
        thinking = _thinking(request.reasoning, profile, losses)
        if thinking is not None:
            body["thinking"] = thinking
    changed = names.changed
    fenced = instruction is not None
    restore = Restore(None, changed, fenced) if changed or fenced else None
    return Encoded(msgspec.json.encode(body), tuple(losses), restore)


def _unsayable(request: Request) -> Sequence[Loss]:
    """What this wire has no word for, unless it asks for what is done anyway."""
    asked = request.sampling
    out: list[Loss] = []
    for part in (request, request.tool_choice, request.response_format, request.reasoning):
        if part is not None and part.extra is not None:
            out.extend(extra.losses(part.extra, NAME))
    if asked.logit_bias is not None and bytes(asked.logit_bias) != b"{}":
        out.append(Loss("/sampling/logit_bias", f"{NAME} has no logit_bias"))
    if asked.top_logprobs:
        out.append(Loss("/sampling/top_logprobs", f"{NAME} has no top_logprobs"))
    if request.user is not None:
        out.append(Loss("/user", f"{NAME} is not told of users"))
    out.extend(
        Loss(f"/metadata/{extra.escape(key)}", f"{NAME} keeps no metadata")
        for key in request.metadata
    )
    if request.parallel_tool_calls is False and request.tools:
        out.append(
            Loss("/parallel_tool_calls", f"{NAME} cannot be told to call one tool at a time")
        )
    return out


def _sampling(request: Request, profile: Profile, losses: list[Loss]) -> Block:
    limit = request.max_tokens
    if limit is not None and 0 < profile.max_output_tokens < limit:
        limit = profile.max_output_tokens
        losses.append(Loss("/max_tokens", f"the model writes at most {limit} tokens"))
    asked = request.sampling
    if len(asked.stop) > MAX_STOP:
        losses.append(Loss("/sampling/stop", f"{NAME} takes {MAX_STOP} stop sequences"))
        asked = replace(asked, stop=asked.stop[:MAX_STOP])
    said = native.sampling(replace(request, max_tokens=limit, sampling=asked))
    for name in ("presence_penalty", "frequency_penalty"):
        value = getattr(asked, name)
        if value is not None and not 0 <= value <= 1:
            said[name] = min(max(value, 0.0), 1.0)
            losses.append(Loss(f"/sampling/{name}", "from 0 to 1 here"))
    temperature = asked.temperature
    if temperature is not None and temperature > 1:
        said["temperature"] = 1.0
        losses.append(Loss("/sampling/temperature", "at most 1 here"))
    if asked.logprobs is False:
        said.pop("logprobs", None)
    return said


def _thinking(options: ReasoningOptions, profile: Profile, losses: list[Loss]) -> Block | None:
    off = options.mode == "disabled" or options.effort == "none" or options.budget_tokens == 0
    if profile.reasoning == "none":
        if not off:
            losses.append(Loss("/reasoning", "the model does not think"))
        return None
    if off:
        return {"type": "disabled"}
    if options.mode is None and options.effort is None and options.budget_tokens is None:
        return None
    said: Block = {"type": "enabled"}
    budget = options.budget_tokens or BUDGETS.get(options.effort or "")
    if budget is not None:
        said["token_budget"] = budget
    if options.effort is not None and options.budget_tokens is None:
        losses.append(Loss("/reasoning/effort", f"said as {budget or 'no'} tokens"))
    return said


def _add_format(request: Request, body: Block, *, has_tools: bool) -> str | None:
    """Ask for the answer's form; what to say of it in words, where it must be said so."""
    form = request.response_format
    if form is None or form.type == "text":
        return None
    if has_tools:
        # The API takes either. docs.cohere.com/v2/docs/structured-outputs, read 2026-11-20
        if form.schema is None:
            return JSON_ONLY
        return f"{JSON_ONLY} It is valid under this JSON Schema:\n{_text(form.schema)}"
    said: Block = {"type": "json_object"}
    if form.schema is not None:
        said["json_schema"] = form.schema
    body["response_format"] = said
    return None


def _text(schema: Raw) -> str:
    try:
        return bytes(schema).decode()
    except UnicodeDecodeError as exc:
        raise extra.invalid(exc, "/response_format/schema") from None


def _add_tools(
    request: Request, names: ToolNames, losses: list[Loss], body: Block
) -> Sequence[Block]:
    """Tell the tools and the choice among them; those that are told."""
    only = _chosen(request, losses, body)
    tools: list[Block] = []
    strict: list[bool] = []
    for index, tool in enumerate(request.tools):
        path = f"/tools/{index}"
        if not isinstance(tool, Tool):
            reason = f"{NAME} has no tool {tool.name or tool.type!r} of type {tool.type!r}"
            if tool.optional:
                losses.append(Loss(path, reason))
            else:
                losses.append(Loss(path, reason, "content"))
            continue
        if only is not None and tool.name not in only:
            continue
        losses.extend(extra.losses(tool.extra, NAME))
        if tool.cache_control is not None:
            losses.append(Loss(f"{path}/cache_control", f"{NAME} has no cache markers"))
        schema = _input_schema(tool.parameters, path)
        tools.append(native.tool_block(replace(tool, parameters=schema), names.say(tool.name)))
        strict.append(bool(tool.strict))
    if not tools:
        body.pop("tool_choice", None)
        return tools
    body["tools"] = tools
    if all(strict):
        body["strict_tools"] = True
    elif any(strict):
        losses.append(Loss("/tools/strict", f"{NAME} holds all tools to their schema, or none"))
    return tools


def _chosen(request: Request, losses: list[Loss], body: Block) -> frozenset[str] | None:
    """Say the choice among tools; which of them are offered, `None` being all."""
    asked: ToolChoice | None = request.tool_choice
    if asked is None or not request.tools:
        return None
    known = {tool.name for tool in request.tools}
    for name in asked.names:
        if name not in known:
            raise InvalidRequest(f"tool_choice: no tool is named {name!r}", param="tool_choice")
    match asked.mode:
        case "auto":
            return None
        case "none":
            body["tool_choice"] = "NONE"
            return None
        case "required":
            body["tool_choice"] = "REQUIRED"
            return None
        case "named":  # the only one that is offered
            body["tool_choice"] = "REQUIRED"
            return frozenset(asked.names)
        case "allowed":
            if asked.required:
                body["tool_choice"] = "REQUIRED"
            return frozenset(asked.names)
        case _:
            assert_never(asked.mode)


def _input_schema(parameters: Raw | None, path: str) -> Raw:
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
