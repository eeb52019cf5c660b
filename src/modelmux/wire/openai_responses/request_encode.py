"""Neutral requests as request bodies."""

from collections.abc import Sequence

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
)
from modelmux.ir.restore import Restore
from modelmux.wire import extra
from modelmux.wire.openai.names import Names
from modelmux.wire.openai_responses import tool_encode
from modelmux.wire.openai_responses.content import Json
from modelmux.wire.openai_responses.message_encode import Writer
from modelmux.wire.openai_responses.request_decode import INSTRUCTIONS, LOGPROBS, SEALED, STRING
from modelmux.wire.openai_responses.schema import NAME

SCHEMA_NAME = "answer"
"""What a schema is called that has no name on its own wire: the API wants one."""

MIN_OUTPUT_TOKENS = 16
"""The API refuses a lower limit: platform.openai.com/docs/api-reference/responses, read
2026-11-20."""

_ASK_FOR_JSON = Message("system", (Text("Answer with a JSON object."),), bare=True)
"""The API refuses `json_object` unless some message says JSON."""

_BUDGETS = ((4096, "low"), (16384, "medium"))
"""Thinking budgets below which an effort has that name. The API knows efforts only."""

_NO_SAMPLING = Sampling()

_UNSAID = ("top_k", "seed", "presence_penalty", "frequency_penalty", "logit_bias")
"""What other wires say of sampling and this one does not."""


def encode(request: Request, profile: Profile = UNKNOWN) -> Encoded:
    """The body for a target, and what it does not say.

    Raises:
        InvalidRequest: The request contradicts itself in a way that the target would refuse.
    """
    if request.wire == NAME:
        return _encode_own(request, profile)
    _check(request, profile)
    losses = _unsayable(request, profile)
    if request.tools and not profile.tools:
        request = replace(request, tools=(), tool_choice=None)
    wanted = request.response_format
    if wanted is not None and wanted.type == "json_object" and not _says_json(request):
        request = replace(request, messages=(*request.messages, _ASK_FOR_JSON))
    names = Names([tool.name for tool in request.tools])
    instructions, messages = _instructions(request)
    out: Json = {"model": request.model}
    if instructions is not None:
        out["instructions"] = instructions
    writer = Writer(request, profile, names)
    writer.write(messages, len(request.messages) - len(messages))
    losses += writer.losses
    out["input"] = writer.items
    if request.tools:
        tool_encode.encode(request, names, losses, out)
    if wanted is not None and wanted.type != "text":
        named = replace(wanted, name=wanted.name or SCHEMA_NAME)
        out["text"] = {"format": _format(named)}
        losses.extend(extra.losses(wanted.extra, NAME))
    _settings(request, profile, losses, out)
    if request.extra is not None:
        losses.extend(extra.losses(request.extra, NAME))
    changed = names.changed
    restore = Restore(None, changed) if changed else None
    return Encoded(msgspec.json.encode(out), tuple(losses), restore)


def _settings(request: Request, profile: Profile, losses: list[Loss], out: Json) -> None:
    thinks = profile.reasoning not in {None, "none"} or request.reasoning is not None
    include = [SEALED] if thinks and profile.reasoning != "none" else []
    if request.sampling != _NO_SAMPLING:
        _foreign_sampling(request.sampling, profile, losses, out, include)
    _limit(request, profile, losses, out)
    if request.reasoning is not None:
        _reasoning(request.reasoning, profile, losses, out)
    if request.user is not None:
        out["user"] = request.user
    if include:
        out["include"] = include
    out["store"] = False  # the caller of another wire has no word for what is kept
    if request.stream:
        out["stream"] = True


def _encode_own(request: Request, profile: Profile) -> Encoded:
    """A request that came on this wire: as it came, but for what the model is known to refuse."""
    spelling = request.spelling
    out: Json = {"model": request.model}
    messages = request.messages
    if INSTRUCTIONS in spelling and (text := _plain(messages[:1])) is not None:
        out["instructions"] = text
        messages = messages[1:]
    writer = Writer(request, profile, None)
    writer.write(messages, len(request.messages) - len(messages))
    losses = writer.losses
    if STRING in spelling and len(messages) == 1 and (text := _plain(messages)) is not None:
        out["input"] = text
    elif messages:
        out["input"] = writer.items
    if request.tools or request.tool_choice or request.parallel_tool_calls is not None:
        tool_encode.encode(request, None, losses, out)
    if request.response_format is not None:
        out["text"] = {"format": _format(request.response_format)}
    elif request.extra is not None and any(p.startswith("/text/") for p in request.extra.fields):
        out["text"] = {}
    _own_settings(request, profile, losses, out)
    return Encoded(msgspec.json.encode(out), tuple(losses))


def _own_settings(request: Request, profile: Profile, losses: list[Loss], out: Json) -> None:
    if request.sampling != _NO_SAMPLING:
        _sampling(request.sampling, profile, losses, out)
    fields: Json = {
        "max_output_tokens": request.max_tokens,
        "reasoning": _own_reasoning(request.reasoning) if request.reasoning is not None else None,
        "user": request.user,
        "metadata": request.metadata or None,
        "stream": True if request.stream else False if "stream" in request.spelling else None,
    }
    out.update({name: value for name, value in fields.items() if value is not None})
    if request.extra is not None and request.extra.wire == NAME:
        notes = {n: raw for n, raw in request.extra.fields.items() if not n.startswith("/")}
        extra.merge(out, request.extra, NAME).update(notes)


def _plain(messages: Sequence[Message]) -> str | None:
    """The text of a message that is one; `None` where there is more to it, or none."""
    parts = messages[0].parts if messages else ()
    part = parts[0] if len(parts) == 1 else None
    return part.text if isinstance(part, Text) else None


def _check(request: Request, profile: Profile) -> None:
    if not request.messages:
        raise InvalidRequest("messages: expected at least one, got none", param="messages")
    if request.messages[-1].role == "assistant" and not profile.prefill:
        raise InvalidRequest(
            "messages: the model does not continue an answer that was begun for it: "
            "end with a user's message",
            param="messages",
        )


def _unsayable(request: Request, profile: Profile) -> list[Loss]:
    """What of another wire's request the API, or this model, has no word for at all."""
    losses: list[Loss] = []
    if request.tools and not profile.tools:
        losses.append(Loss("/tools", f"{request.model} calls no tools", "content"))
    if request.choices > 1:
        losses.append(Loss("/choices", f"{NAME} answers once", "content"))
    if request.metadata:
        losses.append(Loss("/metadata", f"{NAME} takes metadata for stored answers only"))
    return losses


def _instructions(request: Request) -> tuple[str | None, tuple[Message, ...]]:
    """The first message as the request's instructions, if it is a system's plain text."""
    first, *rest = request.messages
    if (
        rest
        and first.role in {"system", "developer"}
        and len(first.parts) == 1
        and isinstance(text := first.parts[0], Text)
        and text.text
        and text == Text(text.text)
        and first.extra is None
        and first.name is None
        and any(message.role not in {"system", "developer"} for message in rest)
    ):
        return text.text, tuple(rest)
    return None, request.messages


def _says_json(request: Request) -> bool:
    """Whether the input says it, of which instructions are no part."""
    _, messages = _instructions(request)
    parts = (part for message in messages for part in message.parts)
    return any(isinstance(part, Text) and "json" in part.text.lower() for part in parts)


def _limit(request: Request, profile: Profile, losses: list[Loss], out: Json) -> None:
    limit = request.max_tokens
    if limit is None:
        return
    if 0 < profile.max_output_tokens < limit:
        limit = profile.max_output_tokens
        losses.append(Loss("/max_tokens", f"{request.model} answers with {limit} tokens at most"))
    if limit < MIN_OUTPUT_TOKENS:
        limit = MIN_OUTPUT_TOKENS
        losses.append(Loss("/max_tokens", f"{NAME} answers with {limit} tokens at least"))
    out["max_output_tokens"] = limit


def _sampling(sampling: Sampling, profile: Profile, losses: list[Loss], out: Json) -> None:
    if sampling.temperature is not None:
        out["temperature"] = sampling.temperature
    if sampling.top_p is not None:
        out["top_p"] = sampling.top_p
    if sampling.top_logprobs is not None:
        out["top_logprobs"] = sampling.top_logprobs
    if profile.refuses:
        losses += [
            Loss(f"/sampling/{name}", f"the model refuses {name}")
            for name in sorted(profile.refuses)
            if out.pop(name, None) is not None
        ]
    if profile.temperature_or_top_p and "temperature" in out and out.pop("top_p", None) is not None:
        losses.append(Loss("/sampling/top_p", "the model refuses it beside temperature"))


def _foreign_sampling(
    sampling: Sampling, profile: Profile, losses: list[Loss], out: Json, include: list[str]
) -> None:
    _sampling(sampling, profile, losses, out)
    if sampling.logprobs and "logprobs" in profile.refuses:
        losses.append(Loss("/sampling/logprobs", "the model refuses logprobs"))
    elif sampling.logprobs:
        include.append(LOGPROBS)
    losses += [
        Loss(f"/sampling/{name}", f"{NAME} has no {name}")
        for name in _UNSAID
        if getattr(sampling, name) is not None
    ]
    if sampling.stop:
        losses.append(Loss("/sampling/stop", f"{NAME} has no stop sequences"))


def _format(wanted: ResponseFormat) -> Json:
    out: Json = {"type": wanted.type}
    if wanted.type == "json_schema":
        fields: Json = {
            "name": wanted.name,
            "description": wanted.description,
            "schema": wanted.schema,
            "strict": wanted.strict,
        }
        out.update({name: value for name, value in fields.items() if value is not None})
    return extra.merge(out, wanted.extra, NAME)


def _own_reasoning(options: ReasoningOptions) -> Json:
    out: Json = {} if options.effort is None else {"effort": options.effort}
    if options.extra is not None and options.extra.wire == NAME:
        fields = options.extra.fields
        out.update({n: raw for n, raw in fields.items() if not n.startswith("/")})
    return extra.merge(out, options.extra, NAME)


def _reasoning(options: ReasoningOptions, profile: Profile, losses: list[Loss], out: Json) -> None:
    """How much to think, in the one word that the API has for it, and whether it is told."""
    losses.extend(extra.losses(options.extra, NAME))
    if options.mode == "disabled":
        if profile.reasoning == "effort":
            out["reasoning"] = {"effort": "none"}
        elif profile.reasoning != "none":
            losses.append(Loss("/reasoning/mode", "whether it thinks is left to the model"))
        return
    if profile.reasoning == "none":
        losses.append(Loss("/reasoning", "the model does not think"))
        return
    effort = options.effort or _effort(options)
    said: Json = {} if effort is None else {"effort": effort}
    if options.mode is not None:  # callers who switch it on are callers who want to see it
        said["summary"] = "auto"
    if said:
        out["reasoning"] = said
    if options.budget_tokens is not None:
        losses.append(Loss("/reasoning/budget_tokens", f"{NAME} has efforts: {effort} was said"))


def _effort(options: ReasoningOptions) -> str | None:
    """The effort that comes nearest to a budget; `None`: the model decides."""
    if options.budget_tokens is not None:
        near = (effort for budget, effort in _BUDGETS if options.budget_tokens < budget)
        return next(near, "high")
    return "medium" if options.mode == "enabled" else None
