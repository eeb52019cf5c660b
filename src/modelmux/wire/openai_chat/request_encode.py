"""Neutral requests as request bodies."""

from collections.abc import Iterable

import msgspec
from msgspec.structs import replace

from modelmux.errors import InvalidRequest
from modelmux.ir.parts import Text
from modelmux.ir.profile import UNKNOWN, Profile
from modelmux.ir.request import (
    Encoded,
    Loss,
    Message,
    ReasoningOptions,
    Request,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from modelmux.ir.restore import Restore
from modelmux.wire import extra
from modelmux.wire.openai.names import Names
from modelmux.wire.openai_chat import tools
from modelmux.wire.openai_chat.content import Json
from modelmux.wire.openai_chat.message_encode import Writer
from modelmux.wire.openai_chat.request_decode import REASONING, THINKING
from modelmux.wire.openai_chat.schema import NAME

MAX_STOP = 4
"""Most stop sequences, as OpenAI's Python library 3.51 documents `stop`, read 2026-11-20."""

FORMAT_TOOL = "structured_answer"
"""The tool whose arguments are the answer, where a model takes a schema for nothing else."""

SCHEMA_NAME = "answer"
"""What a schema is called that has no name on its own wire: the API wants one."""

_ASK_FOR_JSON = Message("system", (Text("Answer with a JSON object."),), bare=True)
"""The API refuses `json_object` unless some message says JSON."""

_BUDGETS = ((4096, "low"), (16384, "medium"))
"""Thinking budgets below which an effort has that name. The API knows efforts only."""

_NO_SAMPLING = Sampling()


def encode(request: Request, profile: Profile = UNKNOWN) -> Encoded:
    """The body for a target, and what it does not say.

    Raises:
        InvalidRequest: The request contradicts itself in a way that the target would refuse.
    """
    if request.wire == NAME:
        return _encode_own(request, profile)
    losses = list(_unsayable(request, profile))
    if request.tools and not profile.tools:
        request = replace(request, tools=(), tool_choice=None)
    names = Names([tool.name for tool in request.tools])
    request, format_tool = _with_format(request, profile, names, losses)
    writer = Writer(request, profile, names)
    writer.write()
    losses += writer.losses
    out: Json = {"model": request.model, "messages": writer.messages}
    if request.tools:
        tools.encode(request, names, losses, out)
    if request.response_format is not None:
        named = replace(request.response_format, name=request.response_format.name or SCHEMA_NAME)
        out["response_format"] = _format(named)
        losses.extend(extra.losses(request.response_format.extra, NAME))
    if request.sampling != _NO_SAMPLING:
        _foreign_sampling(request.sampling, profile, losses, out)
    _limit(request, profile, losses, out)
    if request.reasoning is not None:
        _reasoning(request.reasoning, profile, losses, out)
    if request.user is not None:
        out["user"] = request.user
    if request.stream:
        _stream(profile, out)
    if request.extra is not None:
        losses.extend(extra.losses(request.extra, NAME))
    changed = names.changed
    restore = Restore(format_tool, changed) if format_tool or changed else None
    return Encoded(msgspec.json.encode(out), tuple(losses), restore)


def _encode_own(request: Request, profile: Profile) -> Encoded:
    """A request that came on this wire: as it came, but for what the model is known to refuse."""
    writer = Writer(request, profile, None)
    writer.write()
    losses = writer.losses
    out: Json = {"model": request.model, "messages": writer.messages}
    spelling = request.spelling
    if request.tools or request.tool_choice or request.parallel_tool_calls is not None:
        tools.encode(request, None, losses, out)
    if request.response_format is not None:
        out["response_format"] = _format(request.response_format)
    if request.sampling != _NO_SAMPLING:
        _own_sampling(request, profile, losses, out)
    _limit(request, profile, losses, out)
    if request.reasoning is not None:
        _own_reasoning(request.reasoning, spelling, out)
    if request.user is not None:
        out["user"] = request.user
    if request.metadata:
        out["metadata"] = request.metadata
    if request.choices > 1 or "n" in spelling:
        out["n"] = request.choices
    if request.stream:
        _stream(profile, out)
    elif "stream" in spelling:
        out["stream"] = False
    extra.merge(out, request.extra, NAME)
    return Encoded(msgspec.json.encode(out), tuple(losses))


def _unsayable(request: Request, profile: Profile) -> Iterable[Loss]:
    """What of another wire's request the API, or this model, has no word for at all."""
    if not request.messages:
        raise InvalidRequest("messages: expected at least one, got none", param="messages")
    if request.messages[-1].role == "assistant" and not profile.prefill:
        raise InvalidRequest(
            "messages: the model does not continue an answer that was begun for it: "
            "end with a user's message",
            param="messages",
        )
    if request.tools and not profile.tools:
        yield Loss("/tools", f"{request.model} calls no tools", "content")
    if request.choices > 1:
        yield Loss("/choices", f"{NAME} answers of {request.wire} hold one choice", "content")
    if request.metadata:
        yield Loss("/metadata", f"{NAME} takes metadata for stored answers only")


def _limit(request: Request, profile: Profile, losses: list[Loss], out: Json) -> None:
    limit = request.max_tokens
    if limit is None:
        return
    own = request.wire == NAME
    if not own and 0 < profile.max_output_tokens < limit:
        limit = profile.max_output_tokens
        losses.append(Loss("/max_tokens", f"{request.model} answers with {limit} tokens at most"))
    short = profile.max_tokens_field == "max_tokens" or (own and "max_tokens" in request.spelling)
    out["max_tokens" if short else "max_completion_tokens"] = limit


def _stream(profile: Profile, out: Json) -> None:
    out["stream"] = True
    if profile.stream_usage:  # always asked for, so that the answer is accounted for
        out["stream_options"] = {"include_usage": True}


def _sampling(sampling: Sampling, profile: Profile, losses: list[Loss], out: Json) -> None:
    """What every server of the wire understands, but for what this model refuses."""
    if sampling.temperature is not None:
        out["temperature"] = sampling.temperature
    if sampling.top_p is not None:
        out["top_p"] = sampling.top_p
    if sampling.seed is not None:
        out["seed"] = sampling.seed
    if sampling.presence_penalty is not None:
        out["presence_penalty"] = sampling.presence_penalty
    if sampling.frequency_penalty is not None:
        out["frequency_penalty"] = sampling.frequency_penalty
    if sampling.logprobs is not None:
        out["logprobs"] = sampling.logprobs
    if sampling.top_logprobs is not None:
        out["top_logprobs"] = sampling.top_logprobs
    if profile.refuses or profile.temperature_or_top_p:
        _refused(profile, losses, out)


def _refused(profile: Profile, losses: list[Loss], out: Json) -> None:
    """Leave out what the model is known to answer with 400."""
    losses += [
        Loss(f"/sampling/{name}", f"the model refuses {name}")
        for name in sorted(profile.refuses)
        if out.pop(name, None) is not None
    ]
    if profile.temperature_or_top_p and "temperature" in out and out.pop("top_p", None) is not None:
        losses.append(Loss("/sampling/top_p", "the model refuses it beside temperature"))


def _foreign_sampling(sampling: Sampling, profile: Profile, losses: list[Loss], out: Json) -> None:
    """What another wire says of sampling. Each wire has words that others do not."""
    _sampling(sampling, profile, losses, out)
    if sampling.top_k is not None or sampling.logit_bias is not None:
        losses += [
            Loss(f"/sampling/{name}", f"{NAME} has no {name} of another wire's kind")
            for name in ("top_k", "logit_bias")
            if getattr(sampling, name) is not None
        ]
    stop = sampling.stop
    if stop and "stop" in profile.refuses:
        losses.append(Loss("/sampling/stop", "the model refuses stop sequences"))
    elif stop:
        out["stop"] = stop[:MAX_STOP]
        reason = f"{NAME} takes {MAX_STOP} stop sequences"
        losses += [Loss(f"/sampling/stop/{n}", reason) for n in range(MAX_STOP, len(stop))]


def _own_sampling(request: Request, profile: Profile, losses: list[Loss], out: Json) -> None:
    sampling = request.sampling
    _sampling(sampling, profile, losses, out)
    if sampling.top_k is not None:
        out["top_k"] = sampling.top_k
    if sampling.logit_bias is not None:
        out["logit_bias"] = sampling.logit_bias
    if sampling.stop:
        out["stop"] = sampling.stop[0] if "stop" in request.spelling else sampling.stop


def _with_format(
    request: Request, profile: Profile, names: Names, losses: list[Loss]
) -> tuple[Request, str | None]:
    """The request with its structured answer as this model takes it, and the tool for that."""
    wanted = request.response_format
    if wanted is None or wanted.type == "text":
        return replace(request, response_format=None) if wanted else request, None
    if wanted.type == "json_object":
        if not _says_json(request):
            request = replace(request, messages=(_ASK_FOR_JSON, *request.messages))
        return request, None
    choice = request.tool_choice
    if profile.structured_output == "native":
        return request, None
    if choice is not None and choice.mode == "named":
        reason = "the model gives a structured answer by a tool, and another tool was asked for"
        losses.append(Loss("/response_format", reason, "content"))
        return replace(request, response_format=None), None
    name = names.new(FORMAT_TOOL)
    description = wanted.description or "Give the answer."
    tool = Tool(name, description, wanted.schema, wanted.strict)
    if not request.tools or (choice is not None and choice.mode == "none"):
        choice = ToolChoice("named", (name,))
    elif choice is not None and choice.mode == "allowed":
        choice = ToolChoice("allowed", (*choice.names, name), required=True)
    else:
        choice = ToolChoice("required")
    request = replace(
        request, tools=(*request.tools, tool), tool_choice=choice, response_format=None
    )
    return request, name


def _says_json(request: Request) -> bool:
    parts = (part for message in request.messages for part in message.parts)
    return any(isinstance(part, Text) and "json" in part.text.lower() for part in parts)


def _format(wanted: ResponseFormat) -> Json:
    out: Json = {"type": wanted.type}
    if wanted.type == "json_schema":
        fields: Json = {
            "name": wanted.name,
            "description": wanted.description,
            "schema": wanted.schema,
            "strict": wanted.strict,
        }
        out["json_schema"] = {name: value for name, value in fields.items() if value is not None}
    return extra.merge(out, wanted.extra, NAME)


def _own_reasoning(options: ReasoningOptions, spelling: frozenset[str], out: Json) -> None:
    if REASONING in spelling:
        fields: Json = {
            "effort": options.effort,
            "max_tokens": options.budget_tokens,
            "enabled": None if options.mode is None else options.mode == "enabled",
        }
        given = {name: value for name, value in fields.items() if value is not None}
        out["reasoning"] = extra.merge(given, options.extra, NAME)
        return
    if THINKING in spelling:
        thinking: Json = {"type": options.mode}
        if options.budget_tokens is not None:
            thinking["budget_tokens"] = options.budget_tokens
        out["thinking"] = extra.merge(thinking, options.extra, NAME)
    if options.effort is not None:
        out["reasoning_effort"] = options.effort


def _reasoning(options: ReasoningOptions, profile: Profile, losses: list[Loss], out: Json) -> None:
    """How much to think, in the one word that the API has for it."""
    losses.extend(extra.losses(options.extra, NAME))
    if options.mode == "disabled" and profile.reasoning == "effort":
        out["reasoning_effort"] = "none"
        return
    if options.mode == "disabled" and profile.reasoning != "none":
        # A model that cannot think refuses the word, so it is not said to one we do not know.
        losses.append(Loss("/reasoning/mode", "whether it thinks is left to the model"))
        return
    effort = options.effort or _effort(options)
    if options.mode == "disabled" or effort is None:
        return
    if profile.reasoning == "none":
        losses.append(Loss("/reasoning", "the model does not think"))
        return
    out["reasoning_effort"] = effort
    if options.budget_tokens is not None:
        losses.append(Loss("/reasoning/budget_tokens", f"{NAME} has efforts: {effort} was said"))


def _effort(options: ReasoningOptions) -> str | None:
    """The effort that comes nearest to a budget; `None`: the model decides."""
    if options.budget_tokens is not None:
        near = (effort for budget, effort in _BUDGETS if options.budget_tokens < budget)
        return next(near, "high")
    return "medium" if options.mode == "enabled" else None
